"""Records that a new one may be a duplicate of: by what both have exactly, then what is alike; said before a person decides."""

from typing import Any

from .. import ids
from ..context import Write
from ..matching.matcher import Finding, Matcher, Pair
from . import asking
from .duplicate_search import record as compared
from .duplicate_search import region_of
from .duplicates import FIELDS
from .entity import Entity

PARTIES = frozenset({"organizations", "individuals", "contacts", "customers"})
NAMED = PARTIES | {"leads", "deals", "projects"}
MOST = 5
LOOKED_AT = 40
"""Records that are compared with a new one, those most like it by name first."""
_SAME = {
    "email": "n.email_norm <> '' and o.email_norm = n.email_norm",
    "phone": "length(n.phone_digits) >= 7 and o.phone_digits = n.phone_digits",
    "domain": "n.domain <> '' and o.domain = n.domain",
    "name": "n.name_key <> '' and o.name_key = n.name_key",
}
"""What two rows `n` and `o` have in common, as SQL over derived columns that have an index."""
_ALSO = {
    "contacts": "coalesce(o.customer_id = n.customer_id or o.organization_id = n.organization_id or o.individual_id = n.individual_id, false)",
    "deals": "o.status = 'open'",
}
"""What has to be so besides for a name alone to say something."""


async def likely(ctx: Write, entity: Entity, record: int) -> list[str]:
    """Return a sentence for each live record that a new one resembles, the one with most in common first."""
    if entity.table not in NAMED:
        return []
    tests = dict(_SAME) if entity.table in PARTIES else {"name": _SAME["name"]}
    if entity.table in ("contacts", "individuals"):
        del tests["domain"]
    if entity.table in _ALSO:
        tests["name"] += f" and {_ALSO[entity.table]}"
    why = ", ".join(f"case when {test} then '{what}' end" for what, test in tests.items())
    row = await asking.within(ctx)(
        f"""select coalesce(jsonb_agg(f order by f.count desc, f.id), '[]') from (
         select o.id, o.name, array_remove(array[{why}], null) as why, cardinality(array_remove(array[{why}], null)) as count
         from crm.{entity.table} n join crm.{entity.table} o on o.org_id = n.org_id and o.id <> n.id and o.archived_at is null
          and ({" or ".join(f"({test})" for test in tests.values())})
         where n.org_id = %(org)s and n.id = %(id)s order by count desc, o.id limit {MOST + 1}) f""",
        id=record,
    )
    found: list[dict[str, Any]] = row[0] if row else []
    said = [
        f"It may exist already: {ids.show(entity.table, one['id'])} {one['name']} has the same {_and(one['why'])}."
        for one in found[:MOST]
    ]
    if len(found) > MOST:
        return [*said, "More records resemble it."]
    if entity.table in PARTIES:
        said += await _near(ctx, entity.table, record, {one["id"] for one in found}, MOST - len(said))
    return said


async def _near(ctx: Write, table: str, record: int, told: set[int], most: int) -> list[str]:
    """Return a sentence for each record that is like a new one in all they say, though nothing may be the same."""
    row = await asking.within(ctx)(
        f"""select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(r))), '[]') from (
         select t.id, {FIELDS[table]} from crm.{table} t where t.org_id = %(org)s
          and (t.id = %(id)s or t.id in (select c.id from crm.parties_like(%(table)s, %(id)s, %(most)s) c))) r""",
        id=record,
        table=table,
        most=LOOKED_AT,
    )
    rows: list[dict[str, Any]] = row[0] if row else []
    new = next((one for one in rows if one["id"] == record), None)
    known = {str(one["id"]): one for one in rows if new and one["id"] != record and one["kind"] == new["kind"]}
    if new is None or not known:
        return []
    matcher = Matcher([compared(one, one["kind"]) for one in known.values()], region_of(rows))
    pairs = matcher.candidates(compared(new, new["kind"]), most=MOST + len(told))
    return [
        f"It may exist already: {ids.show(table, int(pair.right))} {known[pair.right]['name']} is like it: {_why(pair)}."
        for pair in pairs
        if int(pair.right) not in told
    ][:most]


def _why(pair: Pair) -> str:
    """Return what speaks loudest for a pair."""
    return _and([_finding(one) for one in pair.findings if one.weight > 0 and one.left][:3])


def _finding(one: Finding) -> str:
    field = _SPELT.get(one.field, one.field)
    if one.left == one.right or one.what == "same after normalising":
        return f"same {field}"
    return f"{field} {one.left[:80]!r} ≈ {one.right[:80]!r}"


_SPELT = {"given": "given name", "family": "family name", "code": "post code"}


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
