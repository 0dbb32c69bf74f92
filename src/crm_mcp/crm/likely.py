"""Records that a new one may be a duplicate of, found by what both have exactly: said before a person decides."""

from typing import Any

from .. import ids
from ..context import Write
from . import asking
from .entity import Entity

PARTIES = frozenset({"organizations", "individuals", "contacts", "customers"})
NAMED = PARTIES | {"leads", "deals", "projects"}
MOST = 5
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
    return [*said, "More records resemble it."] if len(found) > MOST else said


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
