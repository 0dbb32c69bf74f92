"""Held calls: what is kept of one until a person decides."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from . import ids
from .attempt import Attempt
from .audit import Call, Statement
from .changes import effects_key
from .errors import Refusal
from .policy import Policy, Stakes, Verdict
from .tool import Tool, WriteArgs

_HOLD = "select draft, joined, expiry from crm.hold(%s::jsonb)"
_DECIDED = """select d.id, d.state from crm.drafts d where d.org_id = %s and d.requester = %s and d.tool = %s and d.args_key = %s
 and d.state in ('approved', 'rejected') order by d.id desc limit 1"""
_REVISE = "select revised, expiry from crm.revise(%s, %s::jsonb)"


class Proposal(NamedTuple):
    """A call to be held: what it asks for, what its try did, and how that was judged."""

    tool: Tool
    args: WriteArgs
    now: datetime
    tried: Attempt
    verdict: Verdict
    stake: Stakes
    policy: Policy


class Held(NamedTuple):
    id: int
    joined: bool
    expires: datetime


def key_of(args: WriteArgs) -> str:
    """Return what makes two calls of one tool the same: the idempotency key, else what they ask for."""
    key = args.idempotency_key or args.model_dump_json(exclude={"reason", "confidence"})
    return hashlib.sha256(key.encode()).hexdigest()


def decided(call: Call, tool: Tool, args: WriteArgs) -> list[Statement]:
    """Return what asks whether a call under this idempotency key was held before and decided; nothing without a key."""
    if args.idempotency_key is None:
        return []
    return [(_DECIDED, (call.principal.org, call.principal.user, tool.name, key_of(args)))]


def refuse_decided(found: Sequence[Sequence[tuple[int, str]]]) -> None:
    """Refuse a call that a person has decided already: under one idempotency key it is asked for once.

    Raises:
        Refusal: ALREADY_DECIDED, with the draft.
    """
    for draft, state in (row for rows in found for row in rows):
        name = ids.show("drafts", draft)
        hint = f"This idempotency_key stands for {name}, which is {state}; get_draft tells more. Use a new key for a new call."
        raise Refusal("ALREADY_DECIDED", hint, draft=name, state=state)


async def hold(conn: AsyncConnection, call: Call, it: Proposal) -> Held:
    """Keep a call for a person to decide, or join the identical one that waits already.

    Requester, org, state and expiry come from the principal bound to the connection, not from here.
    """
    row = {
        **_kept(call, it),
        "client": call.client,
        "reason": it.args.reason,
        "confidence": it.args.sureness(),
        "keyed": it.args.idempotency_key is not None,
        "group_call": call.parent,
    }
    made = (await conn.exec_driver_sql(_HOLD, (json.dumps(row, ensure_ascii=False),))).one()
    return Held(made.draft, made.joined, made.expiry)


async def revise(
    conn: AsyncConnection, call: Call, draft: int, version: int, reason: str, it: Proposal
) -> tuple[int, datetime] | None:
    """Hold another call in a held one's place, as its next version; return that and its expiry.

    None where the draft does not wait any more, is in another version than `version`, or is not for the principal
    bound to the connection to edit.
    """
    row = {**_kept(call, it), "version": version, "why": reason}
    made = (await conn.exec_driver_sql(_REVISE, (draft, json.dumps(row, ensure_ascii=False)))).one_or_none()
    return None if made is None else (made.revised, made.expiry)


def _kept(call: Call, it: Proposal) -> dict[str, object]:
    shown = it.tried.shown
    return {
        "tool": it.tool.name,
        "tool_version": it.tool.version,
        "args": it.args.model_dump_json(),
        "args_key": key_of(it.args),
        "effects_key": effects_key(it.tried.changes, shown),
        "call_id": call.id,
        "changes": it.tried.changes.text,
        "shown": json.dumps(shown, ensure_ascii=False),
        "summary": shown["did"],
        "verdict": it.verdict.reason,
        "amount": None if it.stake.amount is None else str(it.stake.amount),
        "subject": it.stake.subject,
        "policy_version": it.policy.version,
        "clock": it.now.isoformat(),
    }
