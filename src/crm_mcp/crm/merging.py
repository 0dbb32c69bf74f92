"""Merging duplicates: one record survives, everything that names the others names it, and they are archived.

Field by field the survivor's value stands; what it lacks comes from the duplicate that changed last; what is given
with the merge stands above both. Descriptions are joined, lists and own fields united, each value once. Terms agreed
with an account (credit limit, tax zone, days to pay) are nobody else's and stay behind.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.exc import DBAPIError

from .. import ids
from ..context import Write
from ..errors import Refusal, sqlstate
from . import asking, custom_fields, given, pointing, provenance, records, settling
from .entity import Entity, Kind
from .given import wrong
from .records import Done, Stated

MERGED = frozenset({"organizations", "individuals", "contacts", "customers"})
MOST = 1000
"""Rows that one call may change."""
DUPLICATES = 20
_JOINED = "description"
_LONGEST = 10_000
_TERMS = ("credit_limit", "tax_zone", "payment_terms_days")
_APART = frozenset({"customer_parties", "pipeline_positions", "data_provenance"})
"""What moves by rules of its own: where two would be one, and where only what is true of the survivor moves."""
_POSITIONS = """with moving as (select p.id, p.closed_at is null and p.archived_at is null as open,
   row_number() over (partition by p.pipeline_id, p.closed_at is null and p.archived_at is null order by p.entered_at desc, p.id desc) as turn,
   exists (select from crm.pipeline_positions s where s.org_id = %(org)s and s.subject_type = %(table)s and s.subject_id = %(into)s
     and s.pipeline_id = p.pipeline_id and s.closed_at is null and s.archived_at is null) as taken
  from crm.pipeline_positions p where p.org_id = %(org)s and p.subject_type = %(table)s and p.subject_id = any (%(from)s::bigint[]))
 update crm.pipeline_positions p set subject_id = %(into)s,
   archived_at = case when m.open and (m.taken or m.turn > 1) then %(now)s else p.archived_at end
  from moving m where p.org_id = %(org)s and p.id = m.id"""
"""A pipeline holds a record once: the survivor's open position stays, else the latest; others are archived."""
_PARTIES = """with moving as (select p.id, p.archived_at,
   row_number() over (partition by {other} order by p.archived_at nulls first, p.id) as turn,
   exists (select from crm.customer_parties s where s.org_id = %(org)s and s.{key} = %(into)s and s.archived_at is null and {same}) as taken,
   exists (select from crm.customer_parties s where s.org_id = %(org)s and s.{key} = %(into)s and {same}) as there
  from crm.customer_parties p where p.org_id = %(org)s and p.{key} = any (%(from)s::bigint[])),
 back as (update crm.customer_parties s set archived_at = null from crm.customer_parties p join moving m on m.id = p.id
   where p.org_id = %(org)s and s.org_id = %(org)s and s.{key} = %(into)s and {same} and m.there and not m.taken and p.archived_at is null
   and m.turn = 1)
 update crm.customer_parties p set {key} = case when m.there or m.turn > 1 then p.{key} else %(into)s end,
   archived_at = case when m.there or m.turn > 1 then coalesce(p.archived_at, %(now)s) else p.archived_at end
  from moving m where p.org_id = %(org)s and p.id = m.id"""
"""An account has a party once: one that the survivor has already is archived where it is."""


async def merge(
    ctx: Write, entity: Entity, into: str | None, duplicates: Sequence[str], data: Mapping[str, Any], stated: Stated
) -> Done:
    """Merge duplicates into the record `into`.

    Raises:
        Refusal: NOT_MERGEABLE; INVALID_ARGUMENT; …_NOT_FOUND; ARCHIVED; TOO_MANY_CHANGES, BOOKS_CLOSED, with what to do
            instead.
    """
    if entity.table not in MERGED:
        hint = f"Only {', '.join(sorted(MERGED))} are merged. Archive the one that is too many with delete."
        raise Refusal("NOT_MERGEABLE", hint, entity=entity.table)
    survivor, others = await _locked(ctx, entity, into, duplicates)
    await _see_that_it_is_not_too_much(ctx, entity, survivor, others)
    before = {column.name: getattr(survivor, column.name) for column in survivor.__table__.columns}
    got = await given.read(ctx, entity, None, data)
    fields = entity.fields()
    filled = _fill(entity, survivor, others, set(got.values))
    for name, value in got.values.items():
        setattr(survivor, fields[name].column, value)
    own = await custom_fields.check(asking.within(ctx), entity.table, got.custom or {}, creating=False)
    united = {key: value for one in [*reversed(others), survivor] for key, value in one.custom_fields.items()} | own
    united = {key: value for key, value in united.items() if value is not None}
    if united != survivor.custom_fields:
        survivor.custom_fields = united
    with ctx.session.no_autoflush:
        await settling.settle(ctx, survivor, None, got, before)
    moved = await _move(ctx, entity.table, survivor.id, [one.id for one in others], filled)
    for one in others:
        one.archived_at, one.merged_into = ctx.now, survivor.id
    await ctx.session.flush()
    changed = [one.name for one in fields.values() if getattr(survivor, one.column) != before[one.column]]
    await provenance.note(ctx, entity.table, survivor.id, changed, stated.source, stated.confidence)
    done = Done(entity, survivor.id, survivor.name, "")
    done.fields = {name: records.shown(fields[name], getattr(survivor, fields[name].column), got) for name in changed}
    done.links = [{"to": ids.show(entity.table, one.id), "name": one.name} for one in others]
    names = " and ".join(f"{one.name} ({ids.show(entity.table, one.id)})" for one in others)
    done.did = f"merge {names} into the {entity.noun} {survivor.name} ({done.id})"
    if words := pointing.in_words(moved):
        done.did += f"; {words} move to it"
    if changed:
        done.did += f"; it gets {', '.join(changed)}"
    done.warnings = [*got.warnings, *_left_behind(entity, survivor, others)]
    return done


async def _locked(ctx: Write, entity: Entity, into: str | None, duplicates: Sequence[str]) -> tuple[Any, list[Any]]:
    """Return the survivor and the others, the one that changed last first; locked in the order of their numbers."""
    if into is None:
        raise wrong("id", "say which record survives")
    if not duplicates:
        raise wrong("duplicates", "name the records that go into it")
    if len(duplicates) > DUPLICATES:
        raise wrong("duplicates", f"at most {DUPLICATES} at once")
    if into in duplicates or len(set(duplicates)) < len(duplicates):
        raise wrong("duplicates", "names each record once, and not the one that survives")
    texts = sorted([into, *duplicates], key=lambda text: ids.parse(entity.table, text))
    rows = {text: await records.live(ctx, entity, text) for text in texts}
    numbers = [rows[text].id for text in duplicates]
    latest = await asking.within(ctx)(
        f"""select array_agg(id order by updated_at desc, id desc) from crm.{entity.table}
         where org_id = %(org)s and id = any (%(numbers)s)""",
        numbers=numbers,
    )
    turns: list[int] = latest[0] if latest else []
    others = sorted((rows[text] for text in duplicates), key=lambda row: turns.index(row.id))
    return rows[into], list(others)


async def _see_that_it_is_not_too_much(ctx: Write, entity: Entity, survivor: Any, others: Sequence[Any]) -> None:
    """Refuse what one call may not change, before it is tried."""
    counts = await pointing.counted(ctx, entity.table, [one.id for one in others])
    total = sum(counts.values()) + len(others) + 1
    if total <= MOST:
        return
    hint = f"It would change {total:,} rows; one call may change {MOST:,}. "
    mine = sum((await pointing.counted(ctx, entity.table, [survivor.id])).values())
    if len(others) == 1 and mine < sum(counts.values()):
        other = ids.show(entity.table, others[0].id)
        hint += f"Let {other} survive instead: only what belongs to the duplicate moves."
    elif len(others) > 1:
        hint += "Merge one duplicate at a time, and let the one with the most records survive."
    else:
        hint += "Archive what is out of use first, or leave them apart."
    raise Refusal("TOO_MANY_CHANGES", hint, rows=total, most=MOST, counts=counts)


def _fill(entity: Entity, survivor: Any, others: Sequence[Any], stated: set[str]) -> dict[int, set[str]]:
    """Give the survivor what it lacks; return which fields came from whom."""
    filled: dict[int, set[str]] = {}
    for one in entity.fields().values():
        if not one.is_writable or one.name in stated:
            continue
        for other in others:
            mine, theirs = getattr(survivor, one.column), getattr(other, one.column)
            if theirs in (None, "", []):
                continue
            if one.kind is Kind.LIST:
                united = [*mine, *(each for each in theirs if each not in mine)]
                if united != mine:
                    setattr(survivor, one.column, united)
            elif mine in (None, ""):
                setattr(survivor, one.column, theirs)
                filled.setdefault(other.id, set()).add(one.name)
            elif one.name == _JOINED and theirs not in mine and len(mine) + len(theirs) + 2 <= _LONGEST:
                setattr(survivor, one.column, f"{mine}\n\n{theirs}")
    return filled


async def _move(
    ctx: Write, table: str, into: int, numbers: Sequence[int], filled: Mapping[int, Iterable[str]]
) -> dict[str, int]:
    """Let everything that names one of the numbers name `into`; return how many rows did, by table.

    Raises:
        Refusal: BOOKS_CLOSED.
    """
    conn, moved = await ctx.session.connection(), dict[str, int]()
    asked: dict[str, Any] = {
        "org": ctx.principal.org, "table": table, "into": into, "from": list(numbers), "now": ctx.now,
    }  # fmt: skip

    async def run(where: str, sql: str, **more: Any) -> None:
        count = (await conn.exec_driver_sql(sql, asked | more)).rowcount
        if count:
            moved[where] = moved.get(where, 0) + count

    try:
        for where, columns in pointing.pointing(table).items():
            if where in _APART:
                continue
            sets = ", ".join(
                f"{one.column} = case when {one.names('%(from)s::bigint[]', table)} then %(into)s else {one.column} end"
                for one in columns
            )
            which = " or ".join(one.names("%(from)s::bigint[]", table) for one in columns)
            await run(where, f"update crm.{where} set {sets} where org_id = %(org)s and ({which})")
        await run("pipeline_positions", _POSITIONS)
        if table == "customers":
            await run("pipeline_positions", _CONCERNED)
        await _move_parties(table, run)
        for number, names in filled.items():
            await run("data_provenance", _PROVENANCE, number=number, names=sorted(names))
    except DBAPIError as problem:
        if sqlstate(problem) != "CRM01":
            raise
        hint = "A duplicate has documents in closed books, which stay as they are: let it survive instead."
        raise Refusal("BOOKS_CLOSED", hint) from None
    return moved


_CONCERNED = """update crm.pipeline_positions set customer_id = %(into)s
 where org_id = %(org)s and customer_id = any (%(from)s::bigint[])"""
_PROVENANCE = """update crm.data_provenance set record_id = %(into)s
 where org_id = %(org)s and entity = %(table)s and record_id = %(number)s and field = any (%(names)s::text[])"""


async def _move_parties(table: str, run: Any) -> None:
    keys = {"customers": "customer_id", "organizations": "organization_id", "individuals": "individual_id"}
    if table not in keys:
        return
    key = keys[table]
    others = ("p.organization_id", "p.individual_id") if table == "customers" else ("p.customer_id",)
    same = " and ".join(f"s.{name[2:]} is not distinct from {name}" for name in others)
    await run("customer_parties", _PARTIES.format(key=key, other=", ".join(others), same=same))


def _left_behind(entity: Entity, survivor: Any, others: Sequence[Any]) -> list[str]:
    if entity.table != "customers":
        return []
    return [
        f"{ids.show('customers', one.id)} has a {name.replace('_', ' ')} of its own, which stays behind."
        for one in others
        for name in _TERMS
        if getattr(one, name) is not None and getattr(one, name) != getattr(survivor, name)
    ]
