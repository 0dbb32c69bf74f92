"""Find what an import would make that may stand there already: beside every record of the org, and within its files."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from .. import ids
from ..crm.duplicate_search import record, region_of
from ..crm.duplicates import FIELDS
from ..matching.matcher import Matcher
from ..matching.reach import domain, email

MOST = 20_000
"""Records that are compared with one another; among more, only what is spelled alike is found."""
_APART = {
    # what stands for one and the same by design: a contact of an individual, an account of an organization
    "individuals": "not exists (select from crm.contacts k where k.org_id = t.org_id and k.individual_id = t.id)",
    "customers": "not exists (select from crm.customer_parties k where k.org_id = t.org_id and k.customer_id = t.id)",
}


class Twin(NamedTuple):
    """A record that the import would make, the one it is like, how likely they are one (0 to 1), and why."""

    new: str
    other: str
    score: float
    why: str


async def twins(
    conn: AsyncConnection, org: int, call: int, lines: Mapping[tuple[str, int], str]
) -> tuple[list[Twin], str]:
    """Return what a call made that may be another record, the surest first, and how it was looked for.

    `lines` tells of rows of a file where they stand.
    """
    made = await _made(conn, org, call)
    rows: list[dict[str, Any]] = []
    for table, columns in FIELDS.items():
        apart = f" and {_APART[table]}" if table in _APART else ""
        found = await conn.exec_driver_sql(
            f"select t.id, {columns} from crm.{table} t where t.org_id = %s and t.archived_at is null{apart}", (org,)
        )
        rows += [{**row, "table": table} for row in found.mappings()]
    seen = [row for row in rows if row["name"]]
    told: list[Twin] = []
    by = "compared in all they say"
    if len(seen) > MOST:
        by = f"only those of the same address, or the same name and domain: there are more than {MOST:,} records"
    for kind in ("organization", "individual"):
        mine = {f"{row['table']} {row['id']}": row for row in seen if row["kind"] == kind}
        if not any(_at(row) in made for row in mine.values()):
            continue
        pairs = await asyncio.to_thread(_compared, mine, region_of(seen)) if len(seen) <= MOST else _alike(mine)
        for left, right, score, why in pairs:
            new, other = sorted((mine[left], mine[right]), key=lambda row: _at(row) not in made)
            # an account that was made of a contact is like them by design
            mine_too = any(
                one["table"] == "customers" and _at(one) in made and _at(one) not in lines for one in (new, other)
            )
            if _at(new) in made and not mine_too:
                told.append(Twin(_shown(new, made, lines), _shown(other, made, lines), score, why))
    return sorted(told, key=lambda one: (-one.score, one.new)), by


def _at(row: Mapping[str, Any]) -> tuple[str, int]:
    return row["table"], row["id"]


async def _made(conn: AsyncConnection, org: int, call: int) -> set[tuple[str, int]]:
    found = await conn.exec_driver_sql(
        "select tbl, (key ->> 'id')::bigint from crm.changes where org_id = %s and call_id = %s and op = 'I' "
        "and tbl = any(%s)",
        (org, call, list(FIELDS)),
    )
    rows: list[Any] = list(found)
    return {(row[0], row[1]) for row in rows}


def _compared(rows: Mapping[str, Mapping[str, Any]], region: str) -> list[tuple[str, str, float, str]]:
    records = [record({**row, "id": key}, row["kind"]) for key, row in rows.items()]
    return [
        (
            pair.left,
            pair.right,
            pair.score,
            ", ".join(dict.fromkeys(one.field for one in pair.findings if one.weight > 0)),
        )
        for pair in Matcher(records, region).duplicates().pairs
    ]


def _alike(rows: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, float, str]]:
    """Return pairs of the same e-mail address, or of the same name and domain: what hundreds of thousands allow."""
    first: dict[tuple[str, ...], str] = {}
    pairs: dict[tuple[str, str], str] = {}
    for key, row in rows.items():
        box = email(row.get("email") or "")
        site = domain(row.get("website") or "") if row.get("website") else ""
        name = " ".join(str(row["name"]).casefold().split())
        for sign, why in ((("e", str(box)), "email"), (("n", name, site), "name and domain")):
            if (sign[0] == "e" and box is None) or (sign[0] == "n" and not site):
                continue
            if sign in first:
                pairs.setdefault((first[sign], key), why)
            else:
                first[sign] = key
    return [(left, right, 1.0, why) for (left, right), why in pairs.items()]


def _shown(row: Mapping[str, Any], made: set[tuple[str, int]], lines: Mapping[tuple[str, int], str]) -> str:
    where = lines.get(_at(row)) or ("made beside a row" if _at(row) in made else ids.show(row["table"], row["id"]))
    return f"{str(row['name'])[:80]} ({where})"
