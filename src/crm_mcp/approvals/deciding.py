"""A held call approved or rejected: one transaction, with the draft locked first and the decision put down last."""

import json
from typing import Any

from sqlalchemy import Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from .. import audit, ids
from ..audit import Call
from ..db import Database
from ..envelope import plain
from ..errors import Refusal, sqlstate
from ..principal import Principal
from . import evidence
from . import held as held_calls
from .held import Outcome
from .objections import objection
from .passkey import Signature
from .rerun import BROKEN, CHANGED, rerun
from .settling import Unapprovable, settle

_LOCK = "select from crm.drafts where org_id = %s and id = %s for update"
_APPROVE = """update crm.drafts set state = 'approved', decided_call = %s, amount = %s, subject = %s, result = %s where org_id = %s and id = %s"""
_REJECT = """update crm.drafts set state = 'rejected', decided_call = %s, decision_reason = %s where org_id = %s and id = %s"""
_STALE = """update crm.drafts set state = 'stale', decided_call = %s, decision_reason = %s, rerun = %s where org_id = %s and id = %s"""


async def approve(db: Database, who: Principal, draft: int, seen: str, signature: Signature | None = None) -> Outcome:
    """Do as `Executor.approve` says, between its audit rows."""
    call = Call(who, "approve", {"draft": ids.show("drafts", draft), "hash": seen}, draft=draft)
    if not who.may_approve:
        await db.alone(who.org, audit.refused(call, "NOT_AN_APPROVER"))
        raise Unapprovable("NOT_AN_APPROVER", "You may not approve.")
    return await settle(db, who, draft, call, lambda: _approve(db, who, draft, seen, call, signature))


async def _approve(
    db: Database, who: Principal, draft: int, seen: str, call: Call, signature: Signature | None
) -> Outcome:
    """One transaction: the draft locked, the effects, the signature, the audit row, and the decision last."""
    async with db.begin(who, call.id, draft=draft) as conn:
        await conn.exec_driver_sql(_LOCK, (who.org, draft))
        held = await held_calls.read(conn, who.org, draft)
        if held is None:
            raise Refusal("NOT_FOUND", "There is no such draft.")
        if held_calls.is_decided(held):
            await conn.exec_driver_sql(*audit.ended(call, "lost", held_calls.state_of(held)))
            return held_calls.decided(held)
        try:
            async with rerun(conn, held, call) as run:
                tried = run.tried
                if not held_calls.does_the_same(held, tried.changes, tried.shown):
                    shown = tried.shown
                    await tried.undo()
                    return await _stale(conn, call, held, CHANGED, shown)
                now = held_calls.hash_of(held, tried.changes, tried.shown, tried.warnings, policy=run.policy)
                if now != seen:
                    raise Unapprovable("CHANGED_SINCE_SHOWN", "This is not what you were shown. Look at it again.")
                if (why := await objection(conn, who, held, run)) is not None:
                    raise Unapprovable("NOT_AN_APPROVER", why[:1].upper() + why[1:] + ".")
                await tried.keep()
                result = {"record": plain(tried.answer.record), "did": tried.answer.did}
        except Unapprovable:
            raise
        except Refusal as no:
            return await _stale(conn, call, held, f"{no.error}: {no.hint}", None)
        except Exception as problem:
            if not (sqlstate(problem) or "").startswith("23"):
                raise
            return await _stale(conn, call, held, BROKEN, None)
        if signature is None and (why := await evidence.needed(conn, draft, run.stake)) is not None:
            raise evidence.missing(why)
        signed = await _sign(conn, who, held, seen, "approved", signature)
        amount = None if run.stake.amount is None else str(run.stake.amount)
        await conn.exec_driver_sql(*audit.ended(call, "approved", "ok", signed | result))
        decision = (call.id, amount, run.stake.subject, json.dumps(result), who.org, draft)
        await _put_down(conn, _APPROVE, decision)
        await conn.exec_driver_sql("set constraints all immediate")
    return Outcome("approved", None, result, True)


async def reject(
    db: Database, who: Principal, draft: int, reason: str, seen: str = "", signature: Signature | None = None
) -> Outcome:
    """Do as `Executor.reject` says, between its audit rows."""
    call = Call(who, "reject", {"draft": ids.show("drafts", draft), "reason": reason}, draft=draft)
    if not who.may_approve:
        await db.alone(who.org, audit.refused(call, "NOT_AN_APPROVER"))
        raise Refusal("NOT_AN_APPROVER", "You may not approve or reject.")
    return await settle(db, who, draft, call, lambda: _reject(db, who, draft, reason, call, seen, signature))


async def _reject(
    db: Database, who: Principal, draft: int, reason: str, call: Call, seen: str, signature: Signature | None
) -> Outcome:
    async with db.begin(who, call.id) as conn:
        await conn.exec_driver_sql(_LOCK, (who.org, draft))
        held = await held_calls.read(conn, who.org, draft)
        if held is None:
            raise Refusal("NOT_FOUND", "There is no such draft.")
        if held_calls.is_decided(held):
            await conn.exec_driver_sql(*audit.ended(call, "lost", held_calls.state_of(held)))
            return held_calls.decided(held)
        signed = await _sign(conn, who, held, seen, "rejected", signature)
        await _put_down(conn, _REJECT, (call.id, reason, who.org, draft))
        await conn.exec_driver_sql(*audit.ended(call, "rejected", "ok", signed or None))
    return Outcome("rejected", reason, None, True)


async def _sign(
    conn: AsyncConnection,
    who: Principal,
    held: Row[Any],
    seen: str,
    decision: evidence.Deciding,
    signature: Signature | None,
) -> dict[str, Any]:
    """Keep a decision's signature, where it has one; return what the audit says of it."""
    if signature is None:
        return {}
    return {"signature": await evidence.keep(conn, who, held.id, held.version, seen, decision, signature)}


async def _put_down(conn: AsyncConnection, decision: str, params: tuple[object, ...]) -> None:
    """Put a decision down; Postgres has the last word on who may make it.

    Raises:
        Unapprovable: their rights are no longer those with which they opened the page. The draft waits on.
    """
    try:
        await conn.exec_driver_sql(decision, params)
    except DBAPIError as problem:
        if sqlstate(problem) != "42501":
            raise
        hint = "You may no longer decide this, or it has expired. Look at it again."
        raise Unapprovable("NOT_AN_APPROVER", hint) from None


async def _stale(conn: AsyncConnection, call: Call, held: Row[Any], reason: str, shown: Any) -> Outcome:
    instead = None if shown is None else json.dumps(shown)
    await conn.exec_driver_sql(_STALE, (call.id, reason, instead, held.org_id, held.id))
    await conn.exec_driver_sql(*audit.ended(call, "stale", reason))
    return Outcome("stale", reason, None, True)
