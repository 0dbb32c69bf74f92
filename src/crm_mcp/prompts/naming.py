"""Which record or colleague an argument names: by id, by name, or by both as completion offers them."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import ids
from ..context import Read
from ..crm import missing, people, subjects
from ..crm.people import Person
from ..errors import Refusal
from ..tools.customers.search_customers import SQL

_BOTH = re.compile(r"(.*\S)?\s*\(([^()\s]+)\)\s*", re.DOTALL)
MOST = 5
"""Records of one name that are offered to choose from."""


class Split(NamedTuple):
    """A text as it was typed: what may be a name, and the id or e-mail address in brackets behind it."""

    name: str
    behind: str | None


def split(text: str) -> Split:
    """Return the parts of `Name (cust_12)` or `Name (name@firm.example)`; else the text as a name."""
    both = _BOTH.fullmatch(text)
    if both is not None and (ids.is_id(both[2]) or "@" in both[2]):
        return Split(both[1] or "", both[2])
    return Split(text.strip(), None)


async def record(ctx: Read, argument: str, text: str, tables: Sequence[str]) -> tuple[str, int]:
    """Return the table and number of the record that an argument names, one of those tables; of an id they are not
    looked up.

    Raises:
        Refusal: INVALID_ID, …_NOT_FOUND, INVALID_ARGUMENT where several are called so.
    """
    name, behind = split(text)
    given = behind or name
    if ids.is_id(given) or re.fullmatch(r"[a-z]{2,5}_\S*", given):
        return _parsed(given, tables)
    row = await ctx.one(_named(tables), name=name, role=ctx.principal.role)
    found: list[list[Any]] = row[0] if row else []
    if len(found) == 1:
        return found[0][0], found[0][1]
    if found:
        choices = [f"{one[2]} ({ids.show(one[0], one[1])})" for one in found]
        hint = f"{argument}: several are called so; give the id."
        raise Refusal("INVALID_ARGUMENT", hint, argument=argument, choices=choices)
    if tables[0] == "customers":
        row = await ctx.one(SQL, query=name, most=MOST, id=0)
        raise missing.customer(name, [{"id": one["id"], "name": one["name"]} for one in row[0]] if row else [])
    raise subjects.not_found(tables[0], name)


def _parsed(given: str, tables: Sequence[str]) -> tuple[str, int]:
    prefix = given.partition("_")[0]
    table = next((table for table in tables if ids.PREFIX[table] == prefix), tables[0])
    try:
        return table, ids.parse(table, given)
    except Refusal as bad:
        others = " or ".join(f"{ids.PREFIX[table]}_…" for table in tables[1:])
        hint = f"{bad.hint} {others} will do too." if others else bad.hint
        raise Refusal(bad.error, hint, **bad.context) from None


def _named(tables: Sequence[str]) -> str:
    """Return the statement for the records of a name, regardless of case."""
    each = " union all ".join(
        f"""(select '{table}' as tbl, r.id, r.name from crm.{table} r where r.org_id = %(org)s and r.archived_at is null
   and {subjects.visible_rows_sql(table, "r")} and lower(r.name) = lower(btrim(%(name)s::text)) order by r.id limit {MOST})"""
        for table in tables
    )
    return f"select coalesce(jsonb_agg(jsonb_build_array(x.tbl, x.id, x.name)), '[]') from ({each}) x"


async def colleague(ctx: Read, text: str) -> Person:
    """Return the colleague whom an argument names.

    Raises:
        Refusal: PERSON_NOT_FOUND, PERSON_AMBIGUOUS.
    """
    name, behind = split(text)
    return await people.find(ctx.one, ctx.principal, behind or name)
