"""Proposals of a person outside MCP, from the page or the terminal: a call is held, whatever the policy says of it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .. import audit, drafts, policy, stage_moves
from ..attempt import attempt
from ..audit import Call
from ..catalog import load
from ..db import Database
from ..drafts import Held, Proposal
from ..errors import Refusal, refusal_for
from ..policy import Decision, Facts, Policy, Verdict
from ..principal import Principal
from ..tool import WriteArgs


async def propose(
    db: Database, who: Principal, tool: tuple[str, str], asked: Mapping[str, Any], *, client: str, why: str
) -> tuple[Held, str]:
    """Hold a call of a tool (its toolset and name) in the name of who asks; return the draft and what it would do.

    Raises:
        Refusal: NOT_YOURS, DENIED, INVALID_ARGUMENT and those of the tool; nothing is drafted.
    """
    toolset, name = tool
    known = load(name, toolset)
    if who.role not in known.roles or (who.agent is not None and who.agent not in known.agents):
        raise Refusal("NOT_YOURS", f"For {', '.join(sorted(known.roles))}, and no agent, alone.")
    args = known.parse(asked)
    assert isinstance(args, WriteArgs)
    call, now = Call(who, name, args.model_dump(mode="json"), client=client), datetime.now(UTC)
    await db.alone(who.org, audit.begun(call))
    try:
        async with db.begin(who, call.id) as conn:
            row = (await conn.exec_driver_sql(policy.IN_FORCE, (who.org,))).one_or_none()
            async with attempt(conn, call, known, args, now, *stage_moves.asked(known, call)) as tried:
                stake, in_force = policy.stakes(tried.changes), Policy.in_force(row)
                await tried.undo()
                facts = Facts(in_force, moves=stage_moves.read(tried.asked))
                verdict = policy.decide(known, who, args.sureness(), tried.changes, facts)
                if verdict.decision is Decision.DENY:
                    raise Refusal("DENIED", verdict.reason)
                held_for = Verdict(Decision.HOLD, why)
                held = await drafts.hold(conn, call, Proposal(known, args, now, tried, held_for, stake, in_force))
            await conn.exec_driver_sql(*audit.ended(call, Decision.HOLD, "ok", None, held.id))
    except Exception as problem:
        refusal = refusal_for(problem)
        await db.alone(who.org, audit.refused(call, refusal.error if refusal else "INTERNAL"))
        raise
    return held, str(tried.shown["did"])
