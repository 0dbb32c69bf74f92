"""A write: attempted in a savepoint, judged by what it did, then kept, held or undone."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

from . import audit, drafts, envelope, ids, policy, repeats, stage_moves
from .app import App
from .attempt import Attempt, attempt
from .audit import Call, Statement
from .context import Reports, silent
from .crm.drafts import DraftView
from .drafts import Proposal
from .envelope import Envelope
from .errors import CONFLICTS, Refusal, is_lost, sqlstate
from .log import logger
from .pipelined import later
from .policy import Decision, Facts, Policy
from .revising import revise_own
from .standing import MembershipChanged, Standing, standing_of
from .tool import Args, Tool, WriteArgs

ATTEMPTS = 3
_RECENT = """select d.subject, sum(d.amount) from crm.drafts d where d.org_id = %s and d.requester = %s
 and (d.state = 'approved' or (d.state = 'pending' and d.args_key <> %s)) and d.created_at > statement_timestamp() - interval '24 hours'
 and d.subject = any (array(select m.tbl || '.' || m.whose || ':' || (c.after ->> m.whose) from crm.changes c
   join unnest(%s::text[], %s::text[]) m(tbl, whose) on m.tbl = c.tbl
   where c.org_id = %s and c.call_id = %s and c.xact = pg_current_xact_id() and c.op <> 'D'))
 group by d.subject"""


async def write(app: App, this: Call, tool: Tool, args: Args, progress: Reports = silent) -> Envelope:
    """Answer a write; deadlocks and serialization failures are tried three times."""
    assert isinstance(args, WriteArgs)
    for turn in range(1, ATTEMPTS + 1):
        try:
            begun = audit.begun(this) if turn == 1 and not this.is_begun else None
            return await _once(app, this, tool, args, begun, progress)
        except Exception as problem:
            if is_lost(problem):
                await _settle(app, this)
                raise
            again = isinstance(problem, repeats.RanMeanwhile) or sqlstate(problem) in CONFLICTS
            if turn == ATTEMPTS or not again:
                raise
    raise AssertionError


async def _once(
    app: App, this: Call, tool: Tool, args: WriteArgs, begun: Statement | None, progress: Reports
) -> Envelope:
    db, who, now = await app.db(), this.principal, datetime.now(UTC)
    first = standing_of(who, app.client.seen), repeats.sought(this, tool, args), (policy.IN_FORCE, (who.org,))
    before = drafts.decided(this, tool, args)
    async with db.opened(who, this.id, *first, *before, begun=begun) as (conn, (stands, kept, known, *decided)):
        if not stands or (standing := Standing(*stands[0])).stamp != who.stamp:
            raise MembershipChanged
        standing = app.client.fresh(standing)
        if (answer := repeats.found(kept, args)) is not None:
            await later(conn, audit.ended(this, Decision.RUN, "repeated"))
            app.client.heard(standing)
            return envelope.pointing(answer | {"_meta": {**answer["_meta"], **standing.meta()}})
        drafts.refuse_decided(decided)
        edit = partial(revise_own, conn, this, now)
        asking = _recent(this, args), *stage_moves.asked(tool, this)
        page = app.page_url()
        async with attempt(
            conn, this, tool, args, now, *asking, revise=edit, progress=progress, page_url=page
        ) as tried:
            stake = policy.stakes(tried.changes)
            recent, *moved = tried.asked
            spent: Decimal = dict(recent).get(stake.subject) or Decimal(0)
            facts = Facts(Policy.in_force(known[0] if known else None), spent, stage_moves.read(moved))
            verdict = policy.decide(tool, who, args.sureness(), tried.changes, facts)
            draft: int | None = None
            match verdict.decision:
                case Decision.RUN:
                    await tried.keep()
                    said = envelope.result(tool, tried.answer, _receipt(tried) | standing.meta())
                    returned: object = audit.ids_of(tried.answer.record)
                    if isinstance(tried.answer.record, DraftView):
                        this.draft = ids.parse("drafts", tried.answer.record.id)
                    await repeats.keep(conn, this, tool, args, said.body)
                case Decision.HOLD:
                    await tried.undo()
                    proposal = Proposal(tool, args, now, tried, verdict, stake, facts.policy)
                    held = await drafts.hold(conn, this, proposal)
                    draft, returned = held.id, None
                    waits = standing._replace(waiting=standing.waiting + (0 if held.joined else 1))
                    said = envelope.held(
                        tool,
                        ids.show("drafts", held.id),
                        held.expires,
                        str(tried.shown["did"]),
                        verdict.reason,
                        page,
                        held.joined,
                        waits.meta(),
                        tried.warnings,
                    )
                case Decision.DENY:
                    raise Refusal("DENIED", verdict.reason)
        await later(conn, audit.ended(this, verdict.decision, "ok", returned, draft))
    app.client.heard(standing)
    if draft is not None:
        app.announce(draft)
    return said


def _receipt(tried: Attempt) -> dict[str, str]:
    """Return what names the change, so that it can be undone: nothing where nothing was changed."""
    first = tried.changes.first
    return {} if first is None else {"change": ids.show("changes", first)}


def _recent(this: Call, args: WriteArgs) -> Statement:
    """Return the statement of the requester's last 24 hours with the same customers as the effects', by subject.

    The call itself does not count when it waits already.
    """
    who, money = this.principal, policy.MONEY
    tables, owners = list(money), [whose for _, whose in money.values()]
    return _RECENT, (who.org, who.user, drafts.key_of(args), tables, owners, who.org, this.id)


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
