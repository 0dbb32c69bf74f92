"""A held call run again by the same handler, in its requester's name and with their rights of now."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from .. import policy, stage_moves
from ..attempt import Attempt, attempt
from ..audit import Call
from ..catalog import tool_of
from ..db import Database
from ..errors import Refusal
from ..policy import Decision, Facts, Policy, Stakes, Verdict
from ..principal import Agent, Principal, Role
from ..tool import WriteArgs

BROKEN = "it breaks a rule of the database"
CHANGED = "what it would do has changed since it was drafted"
_REQUESTER = """select o.slug, o.name as org_name, o.base_currency, o.timezone, o.solo, u.name, u.email, m.*
 from crm.memberships m join crm.users u on u.id = m.user_id join crm.orgs o on o.id = m.org_id
 where m.org_id = %s and m.user_id = %s and m.active"""


@dataclass(frozen=True, slots=True)
class Rerun:
    """A held call that has been run again: what it did, how the policy judges it, whose it is."""

    tried: Attempt
    verdict: Verdict
    stake: Stakes
    requester: RowMapping
    policy: int


@asynccontextmanager
async def rerun(conn: AsyncConnection, held: Row[Any], call: Call) -> AsyncGenerator[Rerun]:
    """Run the held call again in a savepoint of the approver's transaction, in its requester's name.

    Raises:
        Refusal: the requester may no longer do it, the tool has changed, the handler or the policy refuses.
    """
    requester, row = await requester_of(conn, held)
    tool = tool_of(held.tool, held.tool_version, requester)
    args = tool.parse(json.loads(held.args))
    known = (await conn.exec_driver_sql(policy.IN_FORCE, (held.org_id,))).one_or_none()
    again = Call(requester, held.tool, json.loads(held.args), parent=held.call_id, id=call.id)
    await Database.bear(conn, requester)
    async with attempt(conn, again, tool, args, held.clock, *stage_moves.asked(tool, again)) as tried:
        stake = policy.stakes(tried.changes)
        now = Policy.in_force(known)
        sure = args.sureness() if isinstance(args, WriteArgs) else None
        facts = Facts(now, moves=stage_moves.read(tried.asked))
        verdict = policy.decide(tool, requester, sure, tried.changes, facts)
        if verdict.decision is Decision.DENY:
            raise Refusal("DENIED", verdict.reason)
        yield Rerun(tried, verdict, stake, row, now.version)


async def requester_of(conn: AsyncConnection, held: Row[Any]) -> tuple[Principal, RowMapping]:
    """Return whoever asked for a held call, with their rights of now, and their membership.

    Raises:
        Refusal: REQUESTER_LEFT.
    """
    row = (await conn.exec_driver_sql(_REQUESTER, (held.org_id, held.requester))).mappings().one_or_none()
    if row is None:
        raise Refusal("REQUESTER_LEFT", "Whoever drafted this is no longer in the org.")
    requester = Principal(
        row["org_id"],
        row["slug"],
        row["org_name"],
        row["base_currency"],
        row["timezone"],
        row["user_id"],
        row["name"],
        row["email"],
        Role(row["role"]),
        row["may_approve"],
        row["approval_limit"],
        row["may_send_email"],
        row["version"],
        Agent(held.agent) if held.agent else None,
    )
    return requester, row
