"""A held call edited: its handler runs with other arguments, in its requester's name, and is held in its own place."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Row
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from . import drafts, ids, policy, stage_moves
from .attempt import attempt
from .audit import Call
from .catalog import tool_of
from .context import Revision
from .crm.drafts import STATE, not_found
from .db import Database
from .drafts import Proposal
from .errors import Refusal, sqlstate
from .policy import Decision, Facts, Policy
from .principal import Agent, Principal
from .tool import Args, Tool, WriteArgs

_OWN = f"""select d.*, {STATE} as stands from crm.drafts d where d.org_id = %s and d.id = %s and d.requester = %s
 and (%s::text is null or d.agent = %s)"""
_SPENT = """select coalesce(sum(amount), 0) from crm.drafts where org_id = %s and requester = %s and subject = %s and id <> %s
 and state in ('pending', 'approved') and created_at > statement_timestamp() - interval '24 hours'"""


async def revise_own(
    conn: AsyncConnection, call: Call, now: datetime, draft: int, arguments: Mapping[str, object], reason: str
) -> Revision:
    """Edit a held call of the calling person's, an agent only one of its own.

    Raises:
        Refusal: DRAFT_NOT_FOUND, DRAFT_DECIDED, and those of `revise`.
    """
    who, shown = call.principal, ids.show("drafts", draft)
    held = (await conn.exec_driver_sql(_OWN, (who.org, draft, who.user, who.agent, who.agent))).one_or_none()
    if held is None:
        raise not_found(shown)
    if held.stands != "pending":
        hint = f"It is {held.stands} already; get_draft tells more."
        raise Refusal("DRAFT_DECIDED", hint, draft=shown, state=held.stands)
    requester = replace(who, agent=None if held.agent is None else Agent(held.agent))
    return await revise(conn, call, held, requester, arguments, reason, now)


async def revise(
    conn: AsyncConnection,
    call: Call,
    held: Row[Any],
    requester: Principal,
    arguments: Mapping[str, object],
    reason: str,
    now: datetime,
) -> Revision:
    """Run a held call with `arguments` in place of its own (None: left out) and hold that instead, as its next version.

    Who edits is the principal of `call`, bound to the connection; who asked stays who asked.

    Raises:
        Refusal: what the call itself refuses; NOTHING_CHANGED, NOTHING_TO_HOLD, DRAFT_CHANGED, ALREADY_WAITING.
    """
    tool = tool_of(held.tool, held.tool_version, requester)
    args = _with(tool, json.loads(held.args), arguments)
    known = (await conn.exec_driver_sql(policy.IN_FORCE, (held.org_id,))).one_or_none()
    again = Call(requester, tool.name, args.model_dump(mode="json"), parent=held.call_id, id=call.id)
    await Database.bear(conn, requester)
    async with attempt(conn, again, tool, args, now, *stage_moves.asked(tool, again)) as tried:
        stake, in_force = policy.stakes(tried.changes), Policy.in_force(known)
        spent = await conn.exec_driver_sql(_SPENT, (held.org_id, held.requester, stake.subject, held.id))
        facts = Facts(in_force, Decimal(spent.scalar_one()), stage_moves.read(tried.asked))
        verdict = policy.decide(tool, requester, args.sureness(), tried.changes, facts)
        if verdict.decision is Decision.DENY:
            raise Refusal("DENIED", verdict.reason)
        if not tried.changes.rows:
            raise Refusal("NOTHING_TO_HOLD", "Like that it would change nothing. Discard the draft instead.")
        proposal = Proposal(tool, args, now, tried, verdict, stake, in_force)
        did, warnings = str(tried.shown["did"]), tried.warnings
        await tried.undo()
    await Database.bear(conn, call.principal)
    try:
        made = await drafts.revise(conn, call, held.id, held.version, reason, proposal)
    except IntegrityError as problem:
        if sqlstate(problem) != "23505":
            raise
        raise Refusal("ALREADY_WAITING", "Another draft already asks for exactly that.") from None
    if made is None:
        raise Refusal(
            "DRAFT_CHANGED", "It was decided or edited meanwhile, or is not yours to edit. Look at it again."
        )
    return Revision(*made, did, warnings)


def _with(tool: Tool, was: Mapping[str, Any], arguments: Mapping[str, object]) -> WriteArgs:
    """Return a call's arguments with some of them replaced, or left out where None."""
    before: Args = tool.parse(was)
    args = tool.parse({n: v for n, v in {**was, **arguments}.items() if n not in arguments or v is not None})
    assert isinstance(args, WriteArgs)
    if args == before:
        raise Refusal("NOTHING_CHANGED", "It is drafted like that already.")
    return args
