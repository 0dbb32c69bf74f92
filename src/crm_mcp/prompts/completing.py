"""What an argument could be, by what is typed: from the org's own records as the role sees them, or from a list."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime, timedelta

from .. import ids
from ..context import Read
from ..crm import people as colleagues
from ..crm import subjects
from ..invisible import is_invisible
from .naming import split
from .prompt import Completes, Offer

MOST = 100
"""Values in one answer, by the protocol."""
COUNTED = 10_000
"""Totals are exact up to here."""
LONGEST = 80
"""Characters of a name that are offered."""
WORDS = "crm.search_key(%(typed)s::text)"
SAYS = f"""({WORDS} <> '' and r.search_key like all (array(select '%%' || w || '%%' from unnest(string_to_array({WORDS}, ' ')) w)))"""
"""Whether a record `r` has every word that is typed."""
COUNT = f"""(select count(*) from (select from found limit {COUNTED + 1}) c)"""


def records(*tables: str) -> Completes:
    """Offer records of some tables, by id or by words of them, as `Name (cust_12)`; those whose name begins so first."""

    async def complete(ctx: Read, typed: str, given: Mapping[str, str]) -> Offer:
        found = " union all ".join(_found(table) for table in tables)
        return await offered(ctx, found, typed, role=ctx.principal.role)

    return complete


def _found(table: str) -> str:
    prefix = ids.PREFIX[table]
    return f"""(select '{prefix}_' || r.id as id, r.name from crm.{table} r where r.org_id = %(org)s and r.archived_at is null
   and {subjects.visible_rows_sql(table, "r")}
   and (%(typed)s::text = '' or {typed_id_sql(prefix, "r")} or {SAYS}) limit {COUNTED + 1})"""


def typed_id_sql(prefix: str, row: str) -> str:
    """Return the SQL condition that the id of a row is being typed: from its underscore on, so that words are words.

    One in brackets is whole.
    """
    return f"""(starts_with(%(typed)s::text, '{prefix}_') and starts_with('{prefix}_' || {row}.id, %(typed)s::text)
   and (not %(is_whole)s or '{prefix}_' || {row}.id = %(typed)s::text))"""


async def offered(ctx: Read, found: str, typed: str, **bound: object) -> Offer:
    """Return the rows of a statement over %(typed)s that gives id and name, first those whose name begins so.

    While an id is typed, ids alone are offered: clients put what is chosen in the place of what is typed.
    """
    name, behind = split(typed)
    sought, is_id = behind or name, behind is None and "_" in name
    row = await ctx.one(
        f"""with found as materialized ({found}),
 placed as (select f.*, case when %(is_id)s and starts_with(id, %(typed)s::text) then split_part(id, '_', 2)::bigint end as typed,
   not starts_with(lower(name), lower(%(typed)s::text)) as later from found f),
 page as (select *, row_number() over (order by typed, later, lower(name), id) as place from placed order by place limit {MOST})
 select (select coalesce(jsonb_agg(jsonb_build_array(p.id, p.name) order by p.place), '[]') from page p), {COUNT}""",
        typed=sought,
        is_id=is_id,
        is_whole=behind is not None,
        **bound,
    )
    rows: list[list[str]] = row[0] if row else []
    values = [one[0] if is_id and one[0].startswith(sought) else shown(one[1], one[0]) for one in rows]
    return Offer(values, _total(row[1] if row else 0))


def shown(name: str, behind: str) -> str:
    """Return a name as it is offered, on one line and without what nobody sees, and what tells it from its namesakes."""
    plain = " ".join("".join(" " if is_invisible(c) else c for c in name).split())
    return f"{plain[:LONGEST]} ({behind})"


def _total(count: int) -> int | None:
    return count if count <= COUNTED else None


PEOPLE = """select u.name, u.email from crm.memberships m join crm.users u on u.id = m.user_id
   where m.org_id = %(org)s and m.active and (%(key)s::text = '' or position(%(key)s::text in lower(u.email)) > 0
    or (crm.name_key(%(key)s::text) <> '' and position(crm.name_key(%(key)s::text) in crm.name_key(u.name)) > 0))"""


async def people(ctx: Read, typed: str, given: Mapping[str, str]) -> Offer:
    """Offer "me" and the org's active members, by a part of their name or e-mail address."""
    name, behind = split(typed)
    row = await ctx.one(
        f"""with found as materialized ({PEOPLE} limit {COUNTED + 1})
 select (select coalesce(jsonb_agg(jsonb_build_array(p.name, p.email) order by p.name, p.email), '[]')
   from (select * from found order by name, email limit {MOST}) p), {COUNT}""",
        key=(behind or name).strip().lower(),
    )
    rows: list[list[str]] = row[0] if row else []
    me = [colleagues.ME] if colleagues.ME.startswith(typed.strip().lower()) else []
    values = [*me, *(shown(name, email) for name, email in rows)]
    return Offer(values[:MOST], _total((row[1] if row else 0) + len(me)))


PIPELINES = f"""select 'pipe_' || l.id as id, l.name from crm.pipelines l where l.org_id = %(org)s and l.archived_at is null
   and 'pipelines' = any ({subjects.SEEN}) and (position(lower(%(typed)s::text) in lower(l.name)) > 0
    or {typed_id_sql("pipe", "l")}) limit {COUNTED + 1}"""


async def pipelines(ctx: Read, typed: str, given: Mapping[str, str]) -> Offer:
    """Offer pipelines, by a part of their name or by id."""
    return await offered(ctx, PIPELINES, typed, role=ctx.principal.role)


STAGES = f"""select distinct on (lower(s.name)) s.name from crm.pipeline_stages s
   join crm.pipelines l on l.org_id = s.org_id and l.id = s.pipeline_id and l.archived_at is null
   where s.org_id = %(org)s and s.archived_at is null and 'pipeline_stages' = any ({subjects.SEEN})
    and position(lower(%(typed)s::text) in lower(s.name)) > 0
    and (%(pipeline)s::text is null or 'pipe_' || l.id = %(pipeline)s::text or lower(l.name) = lower(%(pipeline)s::text))
   order by lower(s.name), s.id limit {COUNTED + 1}"""


def stages(*known: str) -> Completes:
    """Offer names of stages, of the pipeline that is given already if one is, after some that are known without."""

    async def complete(ctx: Read, typed: str, given: Mapping[str, str]) -> Offer:
        name, behind = split(given.get("pipeline") or "")
        row = await ctx.one(
            f"""with found as materialized ({STAGES})
 select (select coalesce(jsonb_agg(f.name order by lower(f.name)), '[]') from found f)""",
            typed=typed.strip(),
            pipeline=behind or name or None,
            role=ctx.principal.role,
        )
        names: list[str] = row[0] if row else []
        first = [one for one in known if one.startswith(typed.strip().lower())]
        values = [*first, *(one for one in names if one.lower() not in known)]
        return Offer(values[:MOST], _total(len(values)))

    return complete


def among(values: Collection[str]) -> Completes:
    """Offer what begins as typed, out of some values."""
    return _listed(lambda today: list(values))


def _listed(values: Callable[[date], list[str]]) -> Completes:
    async def complete(ctx: Read, typed: str, given: Mapping[str, str]) -> Offer:
        today = ctx.principal.day(datetime.now(UTC))
        found = [one for one in values(today) if one.startswith(typed.strip().lower())]
        return Offer(found[:MOST], len(found))

    return complete


def _months(today: date) -> list[str]:
    """Return the last two years' months, the last complete one first."""
    first = today.year * 12 + today.month - 1
    return [f"{at // 12:04}-{at % 12 + 1:02}" for at in [*range(first - 1, first - 24, -1), first]]


months = _listed(_months)
days_ahead = _listed(lambda today: [(today + timedelta(days=n)).isoformat() for n in range(31)])
