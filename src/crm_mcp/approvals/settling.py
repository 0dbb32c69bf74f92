"""A call about a draft carried out between its audit rows: tried again where others were in the way, looked up where the
answer to COMMIT was lost, so that nothing is said that is not so."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import Row

from .. import audit, ids
from ..audit import Call
from ..db import Database
from ..errors import CONFLICTS, Refusal, is_lost, refusal_for, sqlstate
from ..log import logger
from ..principal import Principal
from . import held as held_calls
from .held import Outcome

_FAILED = """update crm.drafts set failures = failures + 1, state = case when failures >= 2 then 'failed' else state end,
 decision_reason = case when failures >= 2 then 'its execution crashed three times' end where org_id = %s and id = %s and state = 'pending'"""


class Unapprovable(Refusal):
    """This person may not approve this now; the draft waits on."""


async def settle(
    db: Database, who: Principal, draft: int, call: Call, work: Callable[[], Awaitable[Outcome]]
) -> Outcome:
    """Carry a decision out between its audit rows; three times where others were in the way.

    When the answer to COMMIT is lost, what was committed is looked up, so that nothing is said that is not so.
    """
    await db.alone(who.org, audit.begun(call))
    try:
        for last in (False, False, True):
            try:
                return await work()
            except Exception as problem:
                if last or sqlstate(problem) not in CONFLICTS:
                    raise
        raise AssertionError
    except Exception as problem:
        if is_lost(problem) and (held := await stands(db, who, draft, call)) is not None:
            return replace(held_calls.decided(held), won=held.decided_call == call.id)
        await _fell(db, who, draft, call, problem)
        raise


async def stands(db: Database, who: Principal, draft: int, call: Call) -> Row[Any] | None:
    """Return a draft as it stands after a call whose COMMIT got no answer; None where that did not arrive."""
    try:
        await db.renew()
        if not await db.is_settled(who.org, call.id):
            return None
        async with db.begin(who, ids.new_call()) as conn:
            return await held_calls.read(conn, who.org, draft)
    except Exception:
        logger().error("could not settle a decision", call=call.id, draft=draft)
        hint = "The database went away while this was being decided. Look at the draft before you try again."
        raise Unapprovable("UNSETTLED", hint) from None


async def note(db: Database, call: Call, outcome: str) -> None:
    """Leave the audit row of a call that was refused or crashed; where even that fails, say so in the log."""
    try:
        await db.alone(call.principal.org, audit.refused(call, outcome))
    except Exception:
        logger().error("audit row lost", call=call.id, outcome=outcome)


async def _fell(db: Database, who: Principal, draft: int, call: Call, problem: Exception) -> None:
    """Leave the audit row of a decision that did not come about; count a crash against the draft."""
    refusal = refusal_for(problem)
    if refusal is None:
        logger().error("approval crashed", call=call.id, draft=draft, exc_info=problem)
        try:
            async with db.begin(who, call.id) as conn:
                await conn.exec_driver_sql(_FAILED, (who.org, draft))
        except Exception:
            logger().error("a crash could not be counted", call=call.id, draft=draft)
    await note(db, call, refusal.error if refusal else "INTERNAL")
