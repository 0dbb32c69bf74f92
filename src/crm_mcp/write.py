"""A write: attempted in a savepoint, judged by what it did, then kept, held or undone."""

from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from . import audit, drafts, envelope, ids, policy, repeats
from .app import App
from .attempt import attempt
from .audit import Call
from .db import STANDING, MembershipChanged, Standing
from .envelope import Envelope
from .errors import CONFLICTS, Refusal, is_lost, sqlstate
from .log import logger
from .policy import Decision, Facts, Policy, Stakes
from .principal import Principal
from .tool import Args, Tool, WriteArgs

ATTEMPTS = 3
FACTS = """select p.version, p.document, (select coalesce(sum(d.amount), 0) from crm.drafts d where d.org_id = %s
  and d.requester = %s and d.subject = %s and (d.state = 'approved' or (d.state = 'pending' and d.args_key <> %s)) and d.created_at > clock_timestamp() - interval '24 hours') as recent
 from (select 1) one left join lateral (select version, document from crm.policies where org_id = %s order by version desc limit 1) p on true"""


async def write(app: App, this: Call, tool: Tool, args: Args) -> Envelope:
    """Answer a write; deadlocks and serialization failures are tried three times."""
    assert isinstance(args, WriteArgs)
    db = await app.db()
    if not this.is_begun:
        await db.alone(this.principal.org, audit.begun(this))
    for turn in range(1, ATTEMPTS + 1):
        try:
            return await _once(app, this, tool, args)
        except Exception as problem:
            if is_lost(problem):
                await _settle(app, this)
                raise
            again = isinstance(problem, repeats.RanMeanwhile) or sqlstate(problem) in CONFLICTS
            if turn == ATTEMPTS or not again:
                raise
    raise AssertionError


async def _once(app: App, this: Call, tool: Tool, args: WriteArgs) -> Envelope:
    db, now = await app.db(), datetime.now(UTC)
    async with db.begin(this.principal, this.id) as conn:
        standing = await _standing(conn, this, app.client.seen)
        if standing.stamp != this.principal.stamp:
            raise MembershipChanged
        if (before := await repeats.find(conn, this, tool, args)) is not None:
            await conn.exec_driver_sql(*audit.ended(this, Decision.RUN, "repeated"))
            return Envelope(before | {"_meta": {**before["_meta"], **standing.meta()}})
        async with attempt(conn, this, tool, args, now) as tried:
            stake = policy.stakes(tried.changes)
            facts = await facts_for(conn, this.principal, stake, drafts.key_of(args))
            verdict = policy.decide(tool, this.principal, args.confidence, tried.changes, facts)
            draft: int | None = None
            match verdict.decision:
                case Decision.RUN:
                    await tried.keep()
                    said = envelope.result(tool, tried.answer, standing.meta())
                    returned: object = audit.ids_of(tried.answer.record)
                    await repeats.keep(conn, this, tool, args, said.body)
                case Decision.HOLD:
                    await tried.undo()
                    held = await drafts.hold(conn, this, tool, args, tried, now, verdict, stake, facts.policy)
                    draft, returned = held.id, None
                    waits = standing._replace(waiting=standing.waiting + (0 if held.joined else 1))
                    said = envelope.held(
                        tool,
                        ids.show("drafts", held.id),
                        held.expires,
                        str(tried.shown["did"]),
                        verdict.reason,
                        app.page_url(),
                        held.joined,
                        waits.meta(),
                        tried.warnings,
                    )
                case Decision.DENY:
                    raise Refusal("DENIED", verdict.reason)
        await conn.exec_driver_sql(*audit.ended(this, verdict.decision, "ok", returned, draft))
    app.client.heard(standing)
    if draft is not None:
        app.announce(draft)
    return said


async def _standing(conn: AsyncConnection, this: Call, since: object) -> Standing:
    row = (await conn.exec_driver_sql(STANDING, (since, this.principal.org, this.principal.user))).one_or_none()
    if row is None:
        raise MembershipChanged
    return Standing(*row)


async def facts_for(conn: AsyncConnection, who: Principal, stake: Stakes, but: str) -> Facts:
    """Read what a judgement needs: the org's policy, and the requester's last 24 hours with the same customer.

    `but` is the key of the call itself, which does not count when it waits already.
    """
    asked = await conn.exec_driver_sql(FACTS, (who.org, who.user, stake.subject, but, who.org))
    row = asked.mappings().one()
    known = Policy() if row["version"] is None else Policy.of(row["version"], row["document"])
    return Facts(known, Decimal(row["recent"]))


async def _settle(app: App, this: Call) -> None:
    """After a lost answer, find out whether the commit arrived; then nothing is said that is not so.

    Raises:
        Refusal: COMMITTED, when it did.
    """
    db = await app.db()
    try:
        await db.renew()
        settled = await db.is_settled(this.principal.org, this.id)
    except Exception:
        logger().error("could not settle a call", call=this.id)
        hint = "The database went away while this was being saved. Look with list_drafts before you try again."
        raise Refusal("UNSETTLED", hint, call=str(this.id)) from None
    if settled:
        hint = "It was saved, but the answer was lost on the way. Look with list_drafts; do not send it again."
        raise Refusal("COMMITTED", hint, call=str(this.id))
