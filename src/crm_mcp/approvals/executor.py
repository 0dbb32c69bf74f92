"""Show, approve and reject held calls, as crm_approver: the only login whose guarded writes commit.

A held call is run again by the same handler in one transaction. Committed is only what the approver was shown.
"""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, RowMapping
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from .. import audit, ids, policy, stage_moves
from ..attempt import Attempt, attempt
from ..audit import Call
from ..authority import Asked, why_not
from ..catalog import tool_of
from ..changes import ChangeSet
from ..context import Revision
from ..db import Database
from ..envelope import plain
from ..errors import CONFLICTS, Refusal, is_lost, refusal_for, sqlstate
from ..log import logger
from ..policy import Decision, Facts, Policy, Stakes, Verdict
from ..principal import Agent, Principal, Role
from ..revising import revise
from . import evidence
from . import held as held_calls
from .held import Outcome, Shown
from .passkey import Signature

_LOCK = "select from crm.drafts where org_id = %s and id = %s for update"
_REQUESTER = """select o.slug, o.name as org_name, o.base_currency, o.timezone, o.solo, u.name, u.email, m.*
 from crm.memberships m join crm.users u on u.id = m.user_id join crm.orgs o on o.id = m.org_id
 where m.org_id = %s and m.user_id = %s and m.active"""
_SPENT = """select coalesce(sum(amount), 0) from crm.drafts where org_id = %s and requester = %s and subject = %s
 and state = 'approved' and decided_at > clock_timestamp() - interval '24 hours'"""
_SPENDING = (
    """select pg_advisory_xact_lock(hashtextextended(concat_ws('.', 'spent', %s::bigint, %s::bigint, %s::text), 0))"""
)
_OBJECTION = "select crm.policy_objection(%s, %s, %s::jsonb, %s, %s)"
_APPROVE = """update crm.drafts set state = 'approved', decided_call = %s, amount = %s, subject = %s, result = %s where org_id = %s and id = %s"""
_REJECT = """update crm.drafts set state = 'rejected', decided_call = %s, decision_reason = %s where org_id = %s and id = %s"""
_STALE = """update crm.drafts set state = 'stale', decided_call = %s, decision_reason = %s, rerun = %s where org_id = %s and id = %s"""
_FAILED = """update crm.drafts set failures = failures + 1, state = case when failures >= 2 then 'failed' else state end,
 decision_reason = case when failures >= 2 then 'its execution crashed three times' end where org_id = %s and id = %s and state = 'pending'"""


class Unapprovable(Refusal):
    """This person may not approve this now; the draft waits on."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """A held call that has been run again: what it did, how the policy judges it, whose it is."""

    tried: Attempt
    verdict: Verdict
    stake: Stakes
    requester: RowMapping
    policy: int


BROKEN = "it breaks a rule of the database"
CHANGED = "what it would do has changed since it was drafted"


class Executor:
    """The approver's side of drafts. `db` connects as crm_approver."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def show(self, who: Principal, draft: int) -> Shown | None:
        """Run a held call dry and return what it would do now, or how it was decided; None where the org has no such draft."""
        try:
            return await self._show(who, draft)
        except DBAPIError as problem:
            if sqlstate(problem) != "42501":
                raise
            return await self._show(who, draft)  # it was decided while it ran, and the recorder refused the rest

    async def _show(self, who: Principal, draft: int) -> Shown | None:
        call = Call(who, "show_draft", {}, draft=draft)
        async with self._db.begin(who, call.id, draft=draft) as conn:
            held = await held_calls.read(conn, who.org, draft)
            if held is None:
                return None
            if held_calls.is_decided(held):
                return held_calls.past(held)
            try:
                async with self._rerun(conn, held, call) as run:
                    shown, rows = run.tried.shown, list(run.tried.changes.rows)
                    same = held_calls.does_the_same(held, run.tried.changes, shown)
                    warnings = run.tried.warnings
                    seen = held_calls.hash_of(held, run.tried.changes, shown, warnings, policy=run.policy)
                    await run.tried.undo()
                may_not = await _may_not(conn, who, held, run.stake, run.requester)
                may_not = may_not or await _objection(conn, who, held, run.tried.changes)
                passkey = await evidence.needed(conn, draft, run.stake)
            except Refusal as no:
                return held_calls.impossible(held, f"{no.error}: {no.hint}")
            except DBAPIError as problem:
                if not (sqlstate(problem) or "").startswith("23"):
                    raise
                return held_calls.impossible(held, BROKEN)
        stale = None if same else CHANGED
        return Shown(
            held_calls.described(held),
            shown,
            rows,
            json.loads(held.shown) if stale else None,
            stale,
            run.verdict.reason,
            seen,
            may_not,
            warnings,
            passkey,
        )

    async def approve(self, who: Principal, draft: int, seen: str, signature: Signature | None = None) -> Outcome:
        """Carry out a held call, if it does exactly what was shown under the hash `seen`; exactly once.

        `signature` is of the approver's passkey, over just this: where the policy wants it, nothing goes without.

        Raises:
            Refusal: NOT_FOUND, NOT_AN_APPROVER, CHANGED_SINCE_SHOWN, BUSY, PASSKEY_NEEDED and what
                `evidence.keep` says; nothing was changed.
        """
        call = Call(who, "approve", {"draft": ids.show("drafts", draft), "hash": seen}, draft=draft)
        if not who.may_approve:
            await self._db.alone(who.org, audit.refused(call, "NOT_AN_APPROVER"))
            raise Unapprovable("NOT_AN_APPROVER", "You may not approve.")
        return await self._decide(who, draft, call, lambda: self._approve(who, draft, seen, call, signature))

    async def _decide(
        self, who: Principal, draft: int, call: Call, work: Callable[[], Awaitable[Outcome]]
    ) -> Outcome:
        """Carry a decision out between its audit rows; three times where others were in the way.

        When the answer to COMMIT is lost, what was committed is looked up, so that nothing is said that is not so.
        """
        await self._db.alone(who.org, audit.begun(call))
        try:
            for last in (False, False, True):
                try:
                    return await work()
                except Exception as problem:
                    if last or sqlstate(problem) not in CONFLICTS:
                        raise
            raise AssertionError
        except Exception as problem:
            if is_lost(problem) and (settled := await self._settled(who, draft, call)) is not None:
                return settled
            await self._fell(who, draft, call, problem)
            raise

    async def _settled(self, who: Principal, draft: int, call: Call) -> Outcome | None:
        """Return how a decision stands whose COMMIT got no answer; None where it did not arrive."""
        held = await self._now(who, draft, call)
        return None if held is None else replace(held_calls.decided(held), won=held.decided_call == call.id)

    async def _now(self, who: Principal, draft: int, call: Call) -> Row[Any] | None:
        """Return a draft as it stands after a call whose COMMIT got no answer; None where that did not arrive."""
        try:
            await self._db.renew()
            if not await self._db.is_settled(who.org, call.id):
                return None
            async with self._db.begin(who, ids.new_call()) as conn:
                return await held_calls.read(conn, who.org, draft)
        except Exception:
            logger().error("could not settle a decision", call=call.id, draft=draft)
            hint = "The database went away while this was being decided. Look at the draft before you try again."
            raise Unapprovable("UNSETTLED", hint) from None

    async def _approve(
        self, who: Principal, draft: int, seen: str, call: Call, signature: Signature | None
    ) -> Outcome:
        """One transaction: the draft locked, the effects, the signature, the audit row, and the decision last."""
        async with self._db.begin(who, call.id, draft=draft) as conn:
            await conn.exec_driver_sql(_LOCK, (who.org, draft))
            held = await held_calls.read(conn, who.org, draft)
            if held is None:
                raise Refusal("NOT_FOUND", "There is no such draft.")
            if held_calls.is_decided(held):
                await conn.exec_driver_sql(*audit.ended(call, "lost", held_calls.state_of(held)))
                return held_calls.decided(held)
            try:
                async with self._rerun(conn, held, call) as run:
                    tried = run.tried
                    if not held_calls.does_the_same(held, tried.changes, tried.shown):
                        shown = tried.shown
                        await tried.undo()
                        return await _stale(conn, call, held, CHANGED, shown)
                    now = held_calls.hash_of(held, tried.changes, tried.shown, tried.warnings, policy=run.policy)
                    if now != seen:
                        raise Unapprovable(
                            "CHANGED_SINCE_SHOWN", "This is not what you were shown. Look at it again."
                        )
                    result = {"record": plain(tried.answer.record), "did": tried.answer.did}
                    why = await _may_not(conn, who, held, run.stake, run.requester)
                    why = why or await _objection(conn, who, held, tried.changes)
                    if why is not None:
                        raise Unapprovable("NOT_AN_APPROVER", why[:1].upper() + why[1:] + ".")
                    await tried.keep()
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
        self, who: Principal, draft: int, reason: str, seen: str = "", signature: Signature | None = None
    ) -> Outcome:
        """Turn a held call down, with a reason its requester is told; it may be signed, over the hash `seen`.

        Raises:
            Refusal: NOT_FOUND, NOT_AN_APPROVER, and of a signature what `evidence.keep` says.
        """
        call = Call(who, "reject", {"draft": ids.show("drafts", draft), "reason": reason}, draft=draft)
        if not who.may_approve:
            await self._db.alone(who.org, audit.refused(call, "NOT_AN_APPROVER"))
            raise Refusal("NOT_AN_APPROVER", "You may not approve or reject.")
        return await self._decide(who, draft, call, lambda: self._reject(who, draft, reason, call, seen, signature))

    async def _reject(
        self, who: Principal, draft: int, reason: str, call: Call, seen: str, signature: Signature | None
    ) -> Outcome:
        async with self._db.begin(who, call.id) as conn:
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

    async def edit(
        self, who: Principal, draft: int, version: int, arguments: Mapping[str, object], reason: str
    ) -> Revision:
        """Put other arguments in place of a held call's (None: left out), by its requester or an approver.

        Whoever edits is a drafter from then on, and what was shown before can no longer be approved. `version` is the
        one that the editor saw.

        Raises:
            Refusal: NOT_FOUND, NOT_AN_APPROVER, DRAFT_CHANGED, NOTHING_CHANGED, and what the call itself refuses.
        """
        told = {"draft": ids.show("drafts", draft), "arguments": dict(arguments), "reason": reason}
        call, now = Call(who, "edit_draft", told, draft=draft), datetime.now(UTC)
        await self._db.alone(who.org, audit.begun(call))
        try:
            async with self._db.begin(who, call.id) as conn:
                held = await held_calls.read(conn, who.org, draft)
                if held is None or not (who.may_approve or held.requester == who.user):
                    raise Refusal("NOT_FOUND", "There is no such draft.")
                if held_calls.is_decided(held) or held.version != version:
                    hint = "It was decided or edited meanwhile. Look at it again."
                    raise Refusal("DRAFT_CHANGED", hint)
                requester, _ = await _requester(conn, held)
                made = await revise(conn, call, held, requester, arguments, reason, now)
                await conn.exec_driver_sql(*audit.ended(call, "edited", "ok"))
        except Exception as problem:
            if is_lost(problem) and (settled := await self._edited(who, draft, call)) is not None:
                return settled
            refusal = refusal_for(problem)
            if refusal is None:
                logger().error("edit crashed", call=call.id, draft=draft, exc_info=problem)
            await self._note(call, refusal.error if refusal else "INTERNAL")
            raise
        return made

    async def _edited(self, who: Principal, draft: int, call: Call) -> Revision | None:
        """Return an edit whose COMMIT got no answer as it stands; None where it did not arrive."""
        held = await self._now(who, draft, call)
        return None if held is None else Revision(held.version, held.expires_at, held.summary, ())

    async def discard(self, who: Principal, draft: int) -> bool:
        """Withdraw one's own draft; False where it is not theirs or no longer waits."""
        call = Call(who, "discard_draft", {"draft": ids.show("drafts", draft)}, draft=draft)
        async with self._db.begin(who, call.id) as conn:
            done = (await conn.exec_driver_sql("select crm.discard(%s)", (draft,))).scalar_one()
            await conn.exec_driver_sql(*audit.ended(call, "run", "ok" if done else "not theirs or decided"))
        return bool(done)

    @asynccontextmanager
    async def _rerun(self, conn: AsyncConnection, held: Row[Any], call: Call) -> AsyncGenerator["Rerun"]:
        """Run the held call again in a savepoint of the approver's transaction, in its requester's name.

        Raises:
            Refusal: the requester may no longer do it, the tool has changed, the handler or the policy refuses.
        """
        requester, row = await _requester(conn, held)
        tool = tool_of(held.tool, held.tool_version, requester)
        args = tool.parse(json.loads(held.args))
        known = (await conn.exec_driver_sql(policy.IN_FORCE, (held.org_id,))).one_or_none()
        again = Call(requester, held.tool, json.loads(held.args), parent=held.call_id, id=call.id)
        await self._db.bear(conn, requester)
        async with attempt(conn, again, tool, args, held.clock, *stage_moves.asked(tool, again)) as tried:
            stake = policy.stakes(tried.changes)
            now = Policy.in_force(known)
            facts = Facts(now, moves=stage_moves.read(tried.asked))
            verdict = policy.decide(tool, requester, getattr(args, "confidence", None), tried.changes, facts)
            if verdict.decision is Decision.DENY:
                raise Refusal("DENIED", verdict.reason)
            yield Rerun(tried, verdict, stake, row, now.version)

    async def _fell(self, who: Principal, draft: int, call: Call, problem: Exception) -> None:
        """Leave the audit row of a decision that did not come about; count a crash against the draft."""
        refusal = refusal_for(problem)
        if refusal is None:
            logger().error("approval crashed", call=call.id, draft=draft, exc_info=problem)
            try:
                async with self._db.begin(who, call.id) as conn:
                    await conn.exec_driver_sql(_FAILED, (who.org, draft))
            except Exception:
                logger().error("a crash could not be counted", call=call.id, draft=draft)
        await self._note(call, refusal.error if refusal else "INTERNAL")

    async def _note(self, call: Call, outcome: str) -> None:
        """Leave the audit row of a call that was refused or crashed; where even that fails, say so in the log."""
        try:
            await self._db.alone(call.principal.org, audit.refused(call, outcome))
        except Exception:
            logger().error("audit row lost", call=call.id, outcome=outcome)


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
    rerun = None if shown is None else json.dumps(shown)
    await conn.exec_driver_sql(_STALE, (call.id, reason, rerun, held.org_id, held.id))
    await conn.exec_driver_sql(*audit.ended(call, "stale", reason))
    return Outcome("stale", reason, None, True)


async def _requester(conn: AsyncConnection, held: Row[Any]) -> tuple[Principal, RowMapping]:
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


async def _may_not(
    conn: AsyncConnection, who: Principal, held: Row[Any], stake: Stakes, requester: RowMapping
) -> str | None:
    """Return why a person may not approve a draft, None where they may. Postgres judges again."""
    spent = Decimal(0)
    if stake.amount is not None:
        await conn.exec_driver_sql(_SPENDING, (who.org, held.requester, stake.subject))
        found = await conn.exec_driver_sql(_SPENT, (who.org, held.requester, stake.subject))
        spent = Decimal(found.scalar_one())
    asked = Asked(
        held.requester,
        held.agent,
        held.editors,
        stake.amount,
        stake.no_rate,
        stake.sends,
        spent,
        requester["solo"],
    )
    return why_not(who, asked, who.currency)


async def _objection(conn: AsyncConnection, who: Principal, held: Row[Any], changes: ChangeSet) -> str | None:
    """Return why a person may not approve a change of the policy; None where it changes none, or they may."""
    for row in changes.rows:
        if row["tbl"] == "policies":
            edition, document = row["after"]["edition"], json.dumps(row["after"]["document"], default=str)
            asked = (who.org, edition, document, who.user, [held.requester, *held.editors])
            return (await conn.exec_driver_sql(_OBJECTION, asked)).scalar_one()
    return None
