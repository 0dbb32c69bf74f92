"""Undo on the page: what an approved draft did is drafted backwards, and waits to be seen and approved like any draft."""

import json
from decimal import Decimal
from typing import Any

from .. import ids
from ..crm import undoing
from ..crm.models import Base
from ..db import Database
from ..principal import Principal
from . import proposing

TOOL = "undo_change"
CLIENT = "approvals page"
"""The client that a call made on the page names."""
_DONE = """select tbl, (key ->> 'id')::bigint as record, op::text as op, after::text as after from crm.changes
 where org_id = %s and draft_id = %s and op in ('I', 'U') order by id"""
_MOST = 200
"""Records that are looked through for what moved."""


async def propose(db: Database, who: Principal, draft: int, reason: str) -> int:
    """Draft the undo of an approved draft in the name of who asks for it; return the draft that waits.

    Raises:
        Refusal: CHANGE_NOT_FOUND, NOT_UNDOABLE with the nearest remedy, CHANGED_SINCE; nothing is drafted.
    """
    asked = {"change": ids.show("drafts", draft), "reason": reason}
    why = "an undo from the page is seen before it is done"
    held, _ = await proposing.propose(db, who, ("drafts", TOOL), asked, client=CLIENT, why=why)
    return held.id


async def moved(db: Database, who: Principal, draft: int) -> list[dict[str, Any]]:
    """Return where records no longer hold what an approved draft gave them: rows from its value to the one of now."""
    found: list[dict[str, Any]] = []
    async with db.begin(who, ids.new_call()) as conn:
        done = (await conn.exec_driver_sql(_DONE, (who.org, draft))).all()
        last = {(row.tbl, row.record): row for row in done}
        for (table, record), row in list(last.items())[:_MOST]:
            if f"crm.{table}" not in Base.metadata.tables or table in undoing.LEDGERS:
                continue
            known = Base.metadata.tables[f"crm.{table}"].columns
            apart = undoing.STAMPS | undoing.SUMS.get(table, frozenset())
            names = [name for name in json.loads(row.after) if name in known and name not in apart]
            if not names:
                continue
            pairs = ", ".join(
                f"'{name}', case when t.{name} is distinct from r.{name} then jsonb_build_array(r.{name}, t.{name}) end"
                for name in names
            )
            asked = await conn.exec_driver_sql(
                f"""select jsonb_strip_nulls(jsonb_build_object({pairs}))::text from crm.{table} t,
                 jsonb_populate_record(null::crm.{table}, %s::jsonb) r where t.org_id = %s and t.id = %s""",
                (row.after, who.org, record),
            )
            differ: dict[str, list[Any]] = json.loads(asked.scalar_one_or_none() or "{}", parse_float=Decimal)
            if differ:
                then, now = ({name: pair[i] for name, pair in differ.items()} for i in (0, 1))
                found.append({"tbl": table, "key": {"id": record}, "op": "U", "before": then, "after": now})
    return found
