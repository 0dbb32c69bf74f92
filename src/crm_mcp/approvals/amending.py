"""A held call edited on the page, by its requester or an approver: its next version, which is then looked at anew."""

from collections.abc import Mapping
from datetime import UTC, datetime

from .. import audit, ids
from ..audit import Call
from ..context import Revision
from ..db import Database
from ..errors import Refusal, is_lost, refusal_for
from ..log import logger
from ..principal import Principal
from ..revising import revise
from . import held as held_calls
from .rerun import requester_of
from .settling import note, stands


async def amend(
    db: Database, who: Principal, draft: int, version: int, arguments: Mapping[str, object], reason: str
) -> Revision:
    """Do as `Executor.edit` says, between its audit rows."""
    told = {"draft": ids.show("drafts", draft), "arguments": dict(arguments), "reason": reason}
    call, now = Call(who, "edit_draft", told, draft=draft), datetime.now(UTC)
    await db.alone(who.org, audit.begun(call))
    try:
        async with db.begin(who, call.id) as conn:
            held = await held_calls.read(conn, who.org, draft)
            if held is None or not (who.may_approve or held.requester == who.user):
                raise Refusal("NOT_FOUND", "There is no such draft.")
            if held_calls.is_decided(held) or held.version != version:
                hint = "It was decided or edited meanwhile. Look at it again."
                raise Refusal("DRAFT_CHANGED", hint)
            requester, _ = await requester_of(conn, held)
            made = await revise(conn, call, held, requester, arguments, reason, now)
            await conn.exec_driver_sql(*audit.ended(call, "edited", "ok"))
    except Exception as problem:
        if is_lost(problem) and (stood := await stands(db, who, draft, call)) is not None:
            return Revision(stood.version, stood.expires_at, stood.summary, ())
        refusal = refusal_for(problem)
        if refusal is None:
            logger().error("edit crashed", call=call.id, draft=draft, exc_info=problem)
        await note(db, call, refusal.error if refusal else "INTERNAL")
        raise
    return made
