"""Undo on the page: what an approved draft did is drafted backwards, and waits to be seen and approved like any draft."""

from datetime import UTC, datetime

from .. import audit, drafts, ids, policy
from ..attempt import attempt
from ..audit import Call
from ..catalog import load
from ..db import Database
from ..drafts import Proposal
from ..errors import refusal_for
from ..policy import Decision, Policy, Verdict
from ..principal import Principal
from ..tool import WriteArgs

TOOL = "undo_change"


async def propose(db: Database, who: Principal, draft: int, reason: str) -> int:
    """Draft the undo of an approved draft in the name of who asks for it; return the draft that waits.

    Raises:
        Refusal: CHANGE_NOT_FOUND, NOT_UNDOABLE with the nearest remedy, CHANGED_SINCE; nothing is drafted.
    """
    tool = load(TOOL, "drafts")
    args = tool.parse({"change": ids.show("drafts", draft), "reason": reason})
    assert isinstance(args, WriteArgs)
    call, now = Call(who, TOOL, args.model_dump(mode="json"), client="approvals page"), datetime.now(UTC)
    await db.alone(who.org, audit.begun(call))
    try:
        async with db.begin(who, call.id) as conn:
            known = (await conn.exec_driver_sql(policy.IN_FORCE, (who.org,))).one_or_none()
            async with attempt(conn, call, tool, args, now) as tried:
                stake = policy.stakes(tried.changes)
                await tried.undo()
                verdict = Verdict(Decision.HOLD, "an undo from the page is seen before it is done")
                made = Proposal(tool, args, now, tried, verdict, stake, Policy.in_force(known))
                held = await drafts.hold(conn, call, made)
            await conn.exec_driver_sql(*audit.ended(call, Decision.HOLD, "ok", None, held.id))
    except Exception as problem:
        refusal = refusal_for(problem)
        await db.alone(who.org, audit.refused(call, refusal.error if refusal else "INTERNAL"))
        raise
    return held.id
