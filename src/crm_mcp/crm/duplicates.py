"""Organizations, individuals, contacts and customers that may stand twice: their rows read, compared aside, grouped."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import phonenumbers

from .. import ids
from ..context import Read
from ..matching.matcher import LIKELY, Cancelled, Finding, Found, Matcher, Pair
from ..matching.places import country_code
from ..matching.records import Kind, Record

BATCH = 5000
"""Rows of one statement."""
_EVERY = 0.5
"""Seconds between two reports of progress."""
_PLACE = "t.street, t.city, t.region, t.postal_code as code, t.country"
FIELDS: Mapping[str, str] = {
    "organizations": f"""'organization' as kind, t.name, t.email, t.phone, coalesce(t.website, t.domain) as website,
   {_PLACE}, t.linkedin_url""",
    "individuals": f"""'individual' as kind, t.name, t.first_name as given, t.last_name as family, t.email, t.phone,
   {_PLACE}, t.linkedin_url""",
    "contacts": """'individual' as kind, t.name, t.email, t.phone, t.linkedin_url, coalesce(
   (select o.name from crm.organizations o where o.org_id = t.org_id and o.id = t.organization_id),
   (select c.name from crm.customers c where c.org_id = t.org_id and c.id = t.customer_id)) as employer""",
    "customers": f"""case t.kind when 'person' then 'individual' else 'organization' end as kind, t.name, t.email, t.phone,
   t.domain as website, {_PLACE}, t.tax_number""",
}
"""What of each kind's rows, `t`, is compared."""
COMPARED: Final = tuple(FIELDS)
"""The kinds of records that are compared."""


class Group(NamedTuple):
    """Records that may be one, the one to keep first; `best` is the surest pair of them, `least` the lowest score."""

    records: Sequence[Mapping[str, Any]]
    best: Pair
    least: float

    @property
    def sure(self) -> bool:
        return self.best.sure


class Duplicates(NamedTuple):
    """Groups, the surest first, out of how many records, and how many pairs of large blocks were not compared."""

    groups: Sequence[Group]
    read: int
    left_out: int


async def find(ctx: Read, table: str, least: float = LIKELY) -> Duplicates:
    """Return what may stand twice in one table of the principal's org, telling the client how far it is.

    The comparing runs in a thread, so that other calls are answered meanwhile; it ends where the call is cancelled.
    """
    rows = await _rows(ctx, table)
    groups: list[Group] = []
    left_out = 0
    region = region_of(rows)
    for kind in sorted({row["kind"] for row in rows}):
        mine = {str(row["id"]): row for row in rows if row["kind"] == kind}
        found = await _aside(ctx, [record(row, kind) for row in mine.values()], region, least)
        left_out += found.left_out
        groups += _groups(found, mine)
    groups.sort(key=lambda group: (-group.best.score, group.records[0]["id"]))
    return Duplicates(groups, len(rows), left_out)


async def _rows(ctx: Read, table: str) -> list[dict[str, Any]]:
    """Read the records that are not archived, a batch a statement."""
    sql = f"""select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(r)) order by r.id), '[]') from (
 select t.id, {FIELDS[table]} from crm.{table} t
  where t.org_id = %(org)s and t.archived_at is null and t.id > %(after)s order by t.id limit {BATCH}) r"""
    rows: list[dict[str, Any]] = []
    while True:
        row = await ctx.one(sql, after=rows[-1]["id"] if rows else 0)
        assert row is not None
        rows += row[0]
        if len(row[0]) < BATCH:
            return rows


def record(row: Mapping[str, Any], kind: Kind) -> Record:
    """Return a row as it is compared."""
    texts = {key: str(row[key]) for key in _TEXTS if row.get(key)}
    emails = (row["email"],) if row.get("email") else ()
    return Record(str(row["id"]), kind, emails=emails, phones=(row["phone"],) if row.get("phone") else (), **texts)


_TEXTS = (
    "name",
    "given",
    "family",
    "website",
    "street",
    "city",
    "region",
    "code",
    "country",
    "employer",
    "tax_number",
)


def region_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return where numbers without a country code are dialled: the country of most records, else of most numbers."""
    countries = Counter(code for row in rows if (code := country_code(row.get("country") or "")))
    if not countries:
        dialled = (row["phone"] for row in rows if (row.get("phone") or "").startswith("+"))
        countries = Counter(code for text in dialled if (code := _dialled(text)))
    return min(countries, key=lambda code: (-countries[code], code), default="")


def _dialled(text: str) -> str:
    try:
        return phonenumbers.region_code_for_country_code(phonenumbers.parse(text).country_code or 0)
    except phonenumbers.NumberParseException:
        return ""


async def _aside(ctx: Read, records: Sequence[Record], region: str, least: float) -> Found:
    """Compare in a thread of its own; a cancelled call stops it."""
    stop, done = threading.Event(), [0]

    def work() -> Found:
        matcher = Matcher(records, region, stop.is_set)
        return matcher.duplicates(least, lambda at, _: done.__setitem__(0, at), stop.is_set)

    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        while not (await asyncio.wait({task}, timeout=_EVERY))[0]:
            await ctx.progress(done[0], len(records), f"{done[0]} of {len(records)} records compared")
        return task.result()
    finally:
        stop.set()
        if not task.done():
            task.add_done_callback(_quiet)


def _quiet(task: "asyncio.Task[Found]") -> None:
    """Take the outcome of a search that nobody waits for any more."""
    if not task.cancelled() and (problem := task.exception()) and not isinstance(problem, Cancelled):
        raise problem


def _groups(found: Found, rows: Mapping[str, dict[str, Any]]) -> list[Group]:
    """Return the groups of a search, and each pair that the guard against chains kept out of them."""
    home = {one: at for at, group in enumerate(found.groups) for one in group}
    inside: dict[int, list[Pair]] = {}
    alone: list[Pair] = []
    for pair in found.pairs:
        at = home.get(pair.left)
        if at is not None and at == home.get(pair.right):
            inside.setdefault(at, []).append(pair)
        else:
            alone.append(pair)
    groups = [_group(found.groups[at], pairs, rows) for at, pairs in inside.items()]
    return groups + [_group((pair.left, pair.right), [pair], rows) for pair in alone]


def _group(members: Iterable[str], pairs: Sequence[Pair], rows: Mapping[str, dict[str, Any]]) -> Group:
    kept_first = sorted((rows[one] for one in members), key=lambda row: (-len(row), row["id"]))
    return Group(kept_first, pairs[0], min(pair.score for pair in pairs))


def why(pair: Pair, most: int = 4) -> list[Finding]:
    """Return what speaks loudest for and against a pair; sums that only hold others together are left out."""
    return [finding for finding in pair.findings if finding.left or finding.right][:most]


def shown(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record of a group as a result shows it."""
    return {
        "id": ids.show(table, row["id"]),
        "name": row["name"],
        **{key: row[key] for key in ("email",) if key in row},
    }


def filtered(groups: Sequence[Group], says: Callable[[Mapping[str, Any]], bool]) -> list[Group]:
    """Return the groups with a record of which something holds."""
    return [group for group in groups if any(says(row) for row in group.records)]
