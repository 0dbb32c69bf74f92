"""Undoing what a call did: the inverse of each row it changed, where the row still is as the call left it.

What is new is archived, a ledger gets a counter-entry, a changed field gets its value back, a sum its difference.
What went out to somebody or bears a number stays, and the nearest remedy is named.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from .. import ids
from ..context import Write
from ..errors import Refusal, sqlstate
from ..principal import Role
from . import policies, positions
from .models import Base

STAMPS = frozenset({"org_id", "id", "version", "created_at", "created_by", "updated_at", "updated_by", "via_agent"})
SUMS: Mapping[str, frozenset[str]] = {
    "invoices": frozenset({"paid_total", "credited_total"}),
    "payments": frozenset({"allocated_total"}),
}
"""Columns that several calls add to: undone by the difference, whatever they are by now."""
ARCHIVED = frozenset(
    {
        *("customers", "contacts", "organizations", "individuals", "leads", "deals", "projects", "documents"),
        *("products", "notes", "tasks", "activities", "issues", "payments", "warranties", "data_provenance"),
        "learnings",
        *("pipelines", "pipeline_stages", "pipeline_positions", "stage_transitions", "custom_field_definitions"),
        "personal_settings",
    }
)
"""What stays, out of sight, when its making is undone."""
PARTS = frozenset(
    {"order_lines", "quote_lines", "payment_allocations", "customer_parties", "jobs", "opportunities", "partnerships"}
)
"""What goes when its making is undone: a part of a record that stays."""
LEDGERS = frozenset({"stock_movements", "stock_reservations"})
SILENT = PARTS | LEDGERS | {"data_provenance", "stage_transitions"}
"""Of which nothing is told: they belong to what is."""
REMEDIES: Mapping[str, str] = {
    "orders": "An order that exists keeps its number: cancel it with update_order.",
    "quotes": "A quote that exists keeps its number: take it back with decline_quote.",
    "invoices": "An invoice that exists keeps its number: credit it with create_credit_note.",
    "credit_notes": "A credit note that exists keeps its number: invoice again with create_invoice.",
    "emails": "What was sent cannot be called back: send a correction with send_email_draft.",
    "exchange_rates": "Documents may follow from the rate: state a later one.",
    "tax_rates": "Documents may follow from the rate: state a later one.",
    "org_settings": "Set it anew; books are opened again with close_books.",
    "preferences": "Forget it with delete_preference.",
    "exports": "Whoever it was made for deletes it on the approvals page, under Exports; else it goes within a day.",
}
"""Whose making cannot be undone, and what comes nearest."""
OWN = ("preferences", "personal_settings", "learnings")
"""What is a person's own, or may be: undone by them alone, and not found by anybody else."""
_ROWS = """select c.id, c.tbl, (c.key ->> 'id')::bigint as record, c.op::text as op, c.before::text as before, c.after::text as after
 from crm.changes c where c.org_id = %(org)s and {which} and ((%(all)s and c.tbl <> all (%(own)s)) or c.user_id = %(user)s
  or exists (select from crm.drafts d where d.org_id = c.org_id and d.id = c.draft_id and d.approver = %(user)s)) order by c.id desc"""
_CHANGE = "c.call_id = (select x.call_id from crm.changes x where x.org_id = %(org)s and x.id = %(id)s)"
_DRAFT = "c.draft_id = %(id)s"


@dataclass(frozen=True, slots=True)
class Row:
    """One recorded change of one row: I made it, U changed it, D removed it."""

    tbl: str
    record: int
    op: str
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def shown(self) -> str:
        return ids.show(self.tbl, self.record)


@dataclass(frozen=True, slots=True)
class Undone:
    """What became of one record: its typed id, and a few words."""

    record: str
    what: str


async def undo(ctx: Write, change: str) -> list[Undone]:
    """Undo everything one call did, or nothing of it. `change` is the chg_… of its receipt, or its approved draft.

    Only what the principal did or approved themselves is found; an administrator finds everybody's, but for what is a
    person's own.

    Raises:
        Refusal: CHANGE_NOT_FOUND; NOT_UNDOABLE with the nearest remedy; CHANGED_SINCE naming the fields that moved;
            TAKEN_MEANWHILE; those of `positions.back`.
    """
    conn = await ctx.session.connection()
    rows = await _rows(conn, ctx, change)
    for row in rows:
        _may_be_undone(row, rows)
    done = [await _inverse(conn, ctx, row) for row in rows]
    return [told for told in reversed(done) if told is not None]


async def _rows(conn: AsyncConnection, ctx: Write, change: str) -> list[Row]:
    """Return what the call changed, last first."""
    kind = "drafts" if change.startswith("draft_") else "changes"
    who = ctx.principal
    asked = {
        "org": who.org,
        "user": who.user,
        "all": who.role is Role.ADMIN and who.agent is None,
        "id": ids.parse(kind, change),
        "own": list(OWN),
    }
    found = await conn.exec_driver_sql(_ROWS.format(which=_DRAFT if kind == "drafts" else _CHANGE), asked)
    rows = [_read(row) for row in found.mappings()]
    if not rows:
        hint = (
            "There is no such change of yours. A result names it in _meta.change; an approved draft has its own id."
        )
        raise Refusal("CHANGE_NOT_FOUND", hint, searchedId=change[:60])
    return rows


def _read(row: Mapping[Any, Any]) -> Row:
    before, after = json.loads(row["before"] or "{}"), json.loads(row["after"] or "{}")
    return Row(str(row["tbl"]), int(row["record"]), str(row["op"]), before, after)


def _may_be_undone(row: Row, rows: Sequence[Row]) -> None:
    if row.tbl == "policies":
        return
    if row.op == "I" and row.tbl in REMEDIES:
        raise Refusal("NOT_UNDOABLE", REMEDIES[row.tbl], record=row.shown)
    if row.op == "I" and row.tbl not in ARCHIVED | PARTS | LEDGERS:
        raise Refusal("NOT_UNDOABLE", "This cannot be undone; change it anew.", record=row.tbl)
    if f"crm.{row.tbl}" not in Base.metadata.tables:
        raise Refusal("NOT_UNDOABLE", "This cannot be undone; change it anew.", record=row.tbl)


async def _inverse(conn: AsyncConnection, ctx: Write, row: Row) -> Undone | None:
    """Do the opposite of one recorded change."""
    if row.tbl == "policies":
        _, settings = await policies.take_back(ctx, int(row.after["edition"]))
        return Undone("policy", "; ".join(one.words for one in settings))
    if row.op == "D":
        await _put_back(conn, ctx, row)
        return _told(row, "put back")
    kept = {
        name: value
        for name, value in row.after.items()
        if name not in STAMPS and name not in SUMS.get(row.tbl, frozenset())
    }
    if row.tbl != "stock_movements":
        await _still_holds(conn, ctx, row, kept)
    if row.op == "U":
        fields = [name for name in kept if _is_column(row.tbl, name)]
        values = {name: row.before.get(name) for name in fields}
        if row.tbl == "pipeline_positions":
            await positions.back(ctx, row.record, values)
        await _set(conn, ctx, row, values)
        await _subtract(conn, ctx, row)
        return _told(row, f"{', '.join(fields)} set back") if fields else None
    if row.tbl in PARTS:
        await conn.exec_driver_sql(
            f"delete from crm.{row.tbl} where org_id = %s and id = %s", (ctx.principal.org, row.record)
        )
        return None
    if row.tbl == "stock_movements":
        await conn.exec_driver_sql(
            """insert into crm.stock_movements(org_id, product_id, quantity, kind, order_id)
             select org_id, product_id, -quantity, 'correction', order_id from crm.stock_movements where org_id = %s and id = %s""",
            (ctx.principal.org, row.record),
        )
        return None
    column = "released_at" if row.tbl == "stock_reservations" else "archived_at"
    await _set(conn, ctx, row, {column: ctx.now.isoformat()})
    return _told(row, "archived")


def _told(row: Row, what: str) -> Undone | None:
    """Return what to tell of a row: nothing of the parts of a record."""
    return None if row.tbl in SILENT else Undone(row.shown, what)


async def _still_holds(conn: AsyncConnection, ctx: Write, row: Row, values: Mapping[str, Any]) -> None:
    """Lock the row, and see that it still has these values.

    Raises:
        Refusal: CHANGED_SINCE.
    """
    names = [name for name in values if _is_column(row.tbl, name)]
    moved = ", ".join(f"case when t.{name} is distinct from r.{name} then '{name}' end" for name in names)
    found = await conn.exec_driver_sql(
        f"""select array_remove(array[{moved or "null"}]::text[], null) from crm.{row.tbl} t,
         jsonb_populate_record(null::crm.{row.tbl}, %s::jsonb) r where t.org_id = %s and t.id = %s for update of t""",
        (json.dumps(dict(values)), ctx.principal.org, row.record),
    )
    fields: Sequence[str] | None = found.scalar_one_or_none()
    if fields is None or fields:
        hint = "It was changed again since; undo that first, or change it anew."
        raise Refusal("CHANGED_SINCE", hint, record=row.shown, fields=list(fields or ("it is gone",)))


async def _set(conn: AsyncConnection, ctx: Write, row: Row, values: Mapping[str, Any]) -> None:
    if not values:
        return
    sets = ", ".join(f"{name} = r.{name}" for name in values)
    await _put(
        conn,
        row,
        f"""update crm.{row.tbl} t set {sets} from jsonb_populate_record(null::crm.{row.tbl}, %s::jsonb) r
         where t.org_id = %s and t.id = %s""",
        (json.dumps(dict(values)), ctx.principal.org, row.record),
    )


async def _put(conn: AsyncConnection, row: Row, sql: str, values: tuple[object, ...]) -> None:
    """Write what was there before.

    Raises:
        Refusal: TAKEN_MEANWHILE, where another record has what may be there once.
    """
    try:
        await conn.exec_driver_sql(sql, values)
    except IntegrityError as problem:
        if sqlstate(problem) != "23505":
            raise
        hint = "Another record has taken its name, number or place since; change that one first."
        raise Refusal("TAKEN_MEANWHILE", hint, record=row.shown) from None


async def _subtract(conn: AsyncConnection, ctx: Write, row: Row) -> None:
    """Take from sums what the call added to them."""
    names = [name for name in row.after if name in SUMS.get(row.tbl, frozenset())]
    if not names:
        return
    sets = ", ".join(f"{name} = t.{name} - (a.{name} - b.{name})" for name in names)
    await conn.exec_driver_sql(
        f"""update crm.{row.tbl} t set {sets} from jsonb_populate_record(null::crm.{row.tbl}, %s::jsonb) a,
          jsonb_populate_record(null::crm.{row.tbl}, %s::jsonb) b where t.org_id = %s and t.id = %s""",
        (json.dumps(_only(row.after, names)), json.dumps(_only(row.before, names)), ctx.principal.org, row.record),
    )


async def _put_back(conn: AsyncConnection, ctx: Write, row: Row) -> None:
    names = [name for name in row.before if _is_column(row.tbl, name) or name in ("org_id", "id")]
    listed = ", ".join(names)
    await _put(
        conn,
        row,
        f"""insert into crm.{row.tbl}({listed}) select {", ".join(f"r.{name}" for name in names)}
         from jsonb_populate_record(null::crm.{row.tbl}, %s::jsonb) r where r.org_id = %s on conflict do nothing""",
        (json.dumps(row.before), ctx.principal.org),
    )


def _only(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: values[name] for name in names}


def _is_column(table: str, name: str) -> bool:
    """Say whether a recorded name is a column of this program's own; a name from anywhere else is never put into SQL."""
    return name not in STAMPS and name in Base.metadata.tables[f"crm.{table}"].columns
