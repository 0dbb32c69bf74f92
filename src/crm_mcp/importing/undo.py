"""Undo an import whole: what it made is gone, what it changed is as before, or nothing happens and why is said."""

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from .. import ids
from ..crm.models import Base
from ..db import Database
from ..errors import Refusal
from ..principal import Principal, Role
from .batch import batch
from .run import ALONE, BY_INDEX

_STAMPS = frozenset({"org_id", "id", "version", "created_at", "created_by", "updated_at", "updated_by", "via_agent"})
_TOLD = 5
_ORDER = TopologicalSorter(
    {
        table.name: {
            key.referred_table.name
            for key in table.foreign_key_constraints
            # an order may come of an issue, and an issue be about an order; an import brings the second alone
            if key.referred_table is not table and (table.name, key.referred_table.name) != ("orders", "issues")
        }
        for table in Base.metadata.tables.values()
    }
)
_TABLES = [Base.metadata.tables[f"crm.{name}"] for name in _ORDER.static_order()]
"""Every table after those that it names."""
_LAST = """(select distinct on ((c.key ->> 'id')::bigint) (c.key ->> 'id')::bigint as id, (c.after ->> 'version')::int as version,
 c.op = 'D' as gone from crm.changes c where c.org_id = %(org)s and c.draft_id = %(draft)s and c.tbl = '{table}'
 order by (c.key ->> 'id')::bigint, c.id desc)"""
"""The state in which the import left each record of a table."""
_MADE = """(select (c.key ->> 'id')::bigint from crm.changes c
 where c.org_id = %(org)s and c.draft_id = %(draft)s and c.tbl = '{table}' and c.op = 'I')"""


async def undo(db: Database, who: Principal, draft: int) -> Mapping[str, int]:
    """Undo an import by its id; return how many records went or went back, by table.

    `db` connects as crm_approver. What was imported is deleted, not archived: the same files can be imported anew.

    Raises:
        Refusal: NOT_AN_APPROVER, ROLE_NOT_ALLOWED; IMPORT_NOT_FOUND, ALREADY_UNDONE; CHANGED_SINCE or USED_SINCE
            naming records.
    """
    if not who.may_approve:
        raise Refusal("NOT_AN_APPROVER", f"{who.email} may not approve, so cannot undo an import. Use --user.")
    shown = ids.show("drafts", draft)
    async with batch(db, who, "import_undo", {"import": shown}, f"Undo the import {shown}.") as session:
        conn = await session.connection()
        await conn.exec_driver_sql(ALONE, (str(who.org),))
        await conn.exec_driver_sql("set local statement_timeout = 0")
        await conn.exec_driver_sql(BY_INDEX)
        about = {"org": who.org, "draft": draft}
        await _known(conn, who, about)
        touched = await _touched(conn, about)
        # what names others goes first
        tables = [one.name for one in reversed(_TABLES) if one.name in touched]
        for table in tables:
            await _unchanged(conn, table, about)
        for table in tables:
            await _unused(conn, table, about)
        done: dict[str, int] = {}
        for table in tables:
            done[table] = touched[table]
            await _remove(conn, table, about)
        for table in reversed(tables):
            await _put_back(conn, table, about)
            await _set_back(conn, table, about)
    return dict(sorted(done.items()))


async def _known(conn: AsyncConnection, who: Principal, about: Mapping[str, Any]) -> None:
    found = await conn.exec_driver_sql(
        "select d.state, d.requester, exists (select from crm.drafts u where u.org_id = d.org_id and u.tool = 'import_undo' "
        "and u.state = 'approved' and u.args::jsonb ->> 'import' = %(shown)s) "
        "from crm.drafts d where d.org_id = %(org)s and d.id = %(draft)s and d.tool = 'import'",
        {**about, "shown": ids.show("drafts", about["draft"])},
    )
    row: Any = found.one_or_none()
    if row is None or row[0] != "approved":
        raise Refusal("IMPORT_NOT_FOUND", "There is no import of this id; the import itself says it when it is done.")
    if row[1] != who.user and who.role is not Role.ADMIN:
        raise Refusal("ROLE_NOT_ALLOWED", "Only who imported it, or an administrator, may undo it.")
    if row[2]:
        raise Refusal("ALREADY_UNDONE", "This import was undone before.")


async def _touched(conn: AsyncConnection, about: Mapping[str, Any]) -> dict[str, int]:
    found = await conn.exec_driver_sql(
        "select tbl, count(distinct key) from crm.changes where org_id = %(org)s and draft_id = %(draft)s group by tbl",
        dict(about),
    )
    rows: list[Any] = list(found)
    known = {one.name for one in _TABLES}
    return {row[0]: row[1] for row in rows if row[0] in known}


async def _unchanged(conn: AsyncConnection, table: str, about: Mapping[str, Any]) -> None:
    """See that each record still is as the import left it."""
    found = await conn.exec_driver_sql(
        f"""select l.id, count(*) over () from {_LAST.format(table=table)} l
         left join crm.{table} t on t.org_id = %(org)s and t.id = l.id
         where (t.id is null) <> l.gone or (not l.gone and t.version <> l.version) order by l.id limit {_TOLD}""",
        dict(about),
    )
    _refuse("CHANGED_SINCE", "changed since; undo that first, or change them one by one", table, list(found))


async def _unused(conn: AsyncConnection, table: str, about: Mapping[str, Any]) -> None:
    """See that nothing that came later names what would go."""
    made = _MADE.format(table=table)
    for other in _TABLES:
        for constraint in other.foreign_key_constraints:
            if constraint.referred_table.name != table:
                continue
            column = [one.name for one in constraint.columns if one.name != "org_id"][-1]
            await _named(conn, table, other.name, f"t.{column} in {made}", about)
        by_kind = {"subject_type": "subject_id", "entity": "record_id"}
        for kind, number in by_kind.items():
            if kind in other.columns and number in other.columns:
                where = f"t.{kind} = '{table}' and t.{number} in {made}"
                await _named(conn, table, other.name, where, about)


async def _named(conn: AsyncConnection, table: str, other: str, where: str, about: Mapping[str, Any]) -> None:
    found = await conn.exec_driver_sql(
        f"""select t.id, count(*) over () from crm.{other} t
         where t.org_id = %(org)s and {where} and t.id not in {_MADE.format(table=other)} order by t.id limit {_TOLD}""",
        dict(about),
    )
    _refuse("USED_SINCE", f"about {table} of this import; take them away first", other, list(found))


def _refuse(error: str, words: str, table: str, rows: Sequence[Any]) -> None:
    if rows:
        named = [ids.show(table, row[0]) if table in ids.PREFIX else f"{table} {row[0]}" for row in rows]
        more = f" and {rows[0][1] - len(rows)} more" if rows[0][1] > len(rows) else ""
        raise Refusal(error, f"{', '.join(named)}{more} of {table} are {words}.", records=named)


async def _remove(conn: AsyncConnection, table: str, about: Mapping[str, Any]) -> None:
    await conn.exec_driver_sql(
        f"delete from crm.{table} t where t.org_id = %(org)s and t.id in {_MADE.format(table=table)}", dict(about)
    )


async def _put_back(conn: AsyncConnection, table: str, about: Mapping[str, Any]) -> None:
    """Put back what the import removed."""
    names = [one.name for one in Base.metadata.tables[f"crm.{table}"].columns if one.name not in _STAMPS]
    listed = ", ".join(["org_id", "id", *names])
    taken = ", ".join(f"r.{name}" for name in ("org_id", "id", *names))
    await conn.exec_driver_sql(
        f"""insert into crm.{table}({listed}) select {taken} from crm.changes c,
         jsonb_populate_record(null::crm.{table}, c.before) r where c.org_id = %(org)s and c.draft_id = %(draft)s
          and c.tbl = '{table}' and c.op = 'D' and (c.key ->> 'id')::bigint not in {_MADE.format(table=table)}
         on conflict do nothing""",
        dict(about),
    )


async def _set_back(conn: AsyncConnection, table: str, about: Mapping[str, Any]) -> None:
    """Give what the import changed its values from before: of several changes of a field, those before the first."""
    names = [one.name for one in Base.metadata.tables[f"crm.{table}"].columns if one.name not in _STAMPS]
    sets = ", ".join(f"{name} = case when b.was ? '{name}' then (b.r).{name} else t.{name} end" for name in names)
    await conn.exec_driver_sql(
        f"""update crm.{table} t set {sets} from (
          select x.id, x.was, jsonb_populate_record(null::crm.{table}, x.was) as r from (
            select (c.key ->> 'id')::bigint as id, jsonb_object_agg(e.key, e.value order by c.id desc) as was
             from crm.changes c, jsonb_each(c.before) e where c.org_id = %(org)s and c.draft_id = %(draft)s
              and c.tbl = '{table}' and c.op = 'U' group by 1) x) b
         where t.org_id = %(org)s and t.id = b.id""",
        dict(about),
    )
