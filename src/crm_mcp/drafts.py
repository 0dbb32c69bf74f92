"""Held calls: what is kept of one until a person decides."""

import hashlib
import json
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from .attempt import Attempt
from .audit import Call
from .changes import effects_key
from .policy import Policy, Stakes, Verdict
from .tool import Tool, WriteArgs

_HOLD = "select draft, joined, expiry from crm.hold(%s::jsonb)"


class Held(NamedTuple):
    id: int
    joined: bool
    expires: datetime


def key_of(args: WriteArgs) -> str:
    """Return what makes two calls of one tool the same: the idempotency key, else what they ask for."""
    key = args.idempotency_key or args.model_dump_json(exclude={"reason", "confidence"})
    return hashlib.sha256(key.encode()).hexdigest()


async def hold(
    conn: AsyncConnection,
    call: Call,
    tool: Tool,
    args: WriteArgs,
    tried: Attempt,
    now: datetime,
    verdict: Verdict,
    stake: Stakes,
    policy: Policy,
) -> Held:
    """Keep a call for a person to decide, or join the identical one that waits already.

    Requester, org, state and expiry come from the principal bound to the connection, not from here.
    """
    shown = tried.shown
    row = {
        "tool": tool.name,
        "tool_version": tool.version,
        "args": args.model_dump_json(),
        "args_key": key_of(args),
        "effects_key": effects_key(tried.changes, shown),
        "call_id": call.id,
        "client": call.client,
        "reason": args.reason,
        "confidence": args.confidence,
        "changes": tried.changes.text,
        "shown": json.dumps(shown, ensure_ascii=False),
        "summary": shown["did"],
        "verdict": verdict.reason,
        "amount": None if stake.amount is None else str(stake.amount),
        "subject": stake.subject,
        "policy_version": policy.version,
        "clock": now.isoformat(),
    }
    made = (await conn.exec_driver_sql(_HOLD, (json.dumps(row, ensure_ascii=False),))).one()
    return Held(made.draft, made.joined, made.expiry)
