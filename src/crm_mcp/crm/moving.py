"""Records put into pipelines and moved through them, and what follows for the deal or lead that moved.

A move goes one stage forward, past those that may be skipped; back to any earlier stage; to the lost stage from
anywhere; or where the stage's own list of followers says. Forward it takes the exit criteria and required fields of the
stage it leaves; back, and to lost, it takes none. Won and lost end the way. In pipelines of support and onboarding that
is all; in the others the deal or lead that moved is won (a lead: converted) or lost with it, and open again when its
ended way is moved back, or when it is put into a pipeline after it was lost. A move on another way leaves it as it is.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from ..context import Write
from ..errors import Refusal
from ..money import said
from . import asking, criteria, pipelines, rates
from .criteria import Evidence, Judged
from .models import Deal, Lead, PipelinePosition, PipelineStage, StageTransition
from .positions import ALONE, STANDS, Moved, Standing, record, standing, worth

_DECIDING = frozenset({"sales", "partner", "custom"})
"""The kinds of pipelines that decide about the deal or lead in them."""
_TICK = timedelta(microseconds=1)
"""What Postgres tells apart."""
_ENDED = frozenset({"won", "lost", "converted"})


async def add(
    ctx: Write,
    text: str,
    pipeline: str,
    *,
    stage: str | None = None,
    value: Decimal | None = None,
    currency: str | None = None,
    criteria_met: Sequence[str] = (),
    explanation: str | None = None,
) -> Moved:
    """Put a record into a pipeline, at its first stage or another one.

    Further on than the first it should meet the criteria of the stages before, those apart that may be skipped; what is
    missing is kept with it, so that a person decides.

    Raises:
        Refusal: those of `record`, PIPELINE_NOT_FOUND, STAGE_NOT_FOUND, RECORD_ARCHIVED, ALREADY_IN_PIPELINE,
            INVALID_ARGUMENT.
    """
    subject = await record(ctx, text)
    ask = asking.within(ctx)
    way = await pipelines.find(ctx, pipeline)
    stages = await pipelines.stages_of(ctx, way)
    target = stages[0] if stage is None else pipelines.stage_of(stages, stage)
    found = await criteria.evidence(ask, subject)
    _live(found)
    await ask(ALONE, table=subject.table, id=subject.id)
    conn = await ctx.session.connection()
    asked = {"org": ctx.principal.org, "table": subject.table, "id": subject.id, "pipeline": way.id}
    rows: list[Any] = list((await conn.exec_driver_sql(STANDS, asked)).all())
    if any(row[2] for row in rows):
        hint = f"{subject.name} is in {way.name} already; move it with move_to_stage."
        raise Refusal("ALREADY_IN_PIPELINE", hint, record=text[:60])
    amount, unit = _given(ctx, found, value, currency)
    before = [one for one in stages if one.position < target.position and one.kind == "active" and not one.can_skip]
    if target.kind == "lost":
        before = []
    judged = found.judge(
        [one for passed in before for one in passed.exit_criteria],
        [name for passed in before for name in passed.required_fields],
        criteria_met,
    )
    position = PipelinePosition(
        org_id=ctx.principal.org,
        pipeline_id=way.id,
        stage_id=target.id,
        subject_type=subject.table,
        subject_id=subject.id,
        customer_id=subject.id if subject.table == "customers" else subject.customer,
        entered_at=ctx.now,
        closed_at=None if target.kind == "active" else ctx.now,
        amount=amount,
        currency=unit,
        base_amount=None if amount is None or unit is None else await rates.in_base(ctx, amount, unit),
        owner_id=ctx.principal.user,
    )
    ctx.session.add(position)
    await ctx.session.flush()
    await ctx.session.refresh(position)
    it = Standing(position, way, stages, found)
    _keep(ctx, it, None, target, ctx.now, judged, explanation)
    await _follow(ctx, it, target, explanation, frozenset({"lost"}))
    await ctx.session.flush()
    did = f"add {subject.name}{_worth_said(it)} to {way.name} at {target.name}"
    warnings = () if judged.is_met else (f"Missing for {target.name}: {judged.lacking}.",)
    return Moved(it, None, judged, did, warnings)


def _given(
    ctx: Write, found: Evidence, value: Decimal | None, currency: str | None
) -> tuple[Decimal | None, str | None]:
    """Return what a record is worth in its place: what is said, else what a lead says; a deal says so itself.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if found.subject.table == "deals":
        if value is not None:
            hint = "value: a deal has its own amount; change that with propose_changes."
            raise Refusal("INVALID_ARGUMENT", hint, argument="value")
        return None, None
    if value is not None:
        return value, currency or ctx.principal.currency
    return (found.amount, found.currency) if found.subject.table == "leads" and found.currency else (None, None)


async def move(
    ctx: Write,
    text: str,
    to: str,
    *,
    pipeline: str | None = None,
    from_stage: str | None = None,
    criteria_met: Sequence[str] = (),
    explanation: str | None = None,
    lost_reason: str | None = None,
    despite_missing: bool = False,
) -> Moved:
    """Move a record to another stage of a pipeline that it is in.

    Raises:
        Refusal: those of `standing`; STAGE_NOT_FOUND, MOVED_MEANWHILE, RECORD_ARCHIVED, TRANSITION_NOT_ALLOWED,
            CRITERIA_MISSING, REQUIRED_FIELDS_MISSING, ALREADY_IN_PIPELINE.
    """
    it = await standing(ctx, text, pipeline)
    now, target = it.stage, pipelines.stage_of(it.stages, to, "to_stage")
    name = it.subject.name
    if from_stage is not None and pipelines.stage_of(it.stages, from_stage, "from_stage") is not now:
        hint = f"{name} is in {now.name} by now. Look again, then decide."
        raise Refusal("MOVED_MEANWHILE", hint, record=text[:60], stage=now.name)
    if target is now:
        return Moved(it, now, Judged(), f"change nothing: {name} is in {now.name} already")
    _live(it.evidence)
    allowed = follow_from(now, it.stages)
    if target not in allowed:
        names = [stage.name for stage in allowed]
        hint = f"From {now.name} it may go to {', '.join(names) or 'no other stage'}."
        raise Refusal("TRANSITION_NOT_ALLOWED", hint, record=text[:60], stage=now.name, allowed=names)
    forward = target.position > now.position and target.kind != "lost" and now.kind == "active"
    judged = (
        it.evidence.judge(now.exit_criteria, now.required_fields, criteria_met)
        if forward
        else Judged(also=tuple(criteria_met))
    )
    if not judged.is_met and not despite_missing:
        raise _missing(text, it, now, target, judged)
    if it.position.closed_at is not None and target.kind == "active":
        await _not_open_again(ctx, it, text)
    was_worth = _worth_said(it)
    opens = frozenset[str]() if it.position.closed_at is None else _ENDED
    # a call that waited for another one's move began before that: a record leaves no stage before it came there, nor at the
    # same moment, by which undo knows that it has been moved since
    at = max(ctx.now, it.position.entered_at + _TICK)
    _keep(ctx, it, now, target, at, judged, explanation)
    it.position.stage_id = target.id
    it.position.entered_at = at
    it.position.closed_at = None if target.kind == "active" else at
    await _follow(ctx, it, target, lost_reason or explanation, opens)
    await ctx.session.flush()
    did = f"move {name}{was_worth} from {now.name} to {target.name} in {it.pipeline.name}"
    warnings = () if judged.is_met else (f"Missing to leave {now.name}: {judged.lacking}.",)
    return Moved(it, now, judged, did, warnings)


def follow_from(now: PipelineStage, stages: Sequence[PipelineStage]) -> list[PipelineStage]:
    """Return the stages to which a move may lead, in their order."""
    back = [one for one in stages if one.kind == "active" and one.position < now.position]
    lost = [one for one in stages if one.kind == "lost"]
    ahead: list[PipelineStage] = []
    if now.kind == "active" and now.next_stages is not None:
        named = {name.casefold() for name in now.next_stages}
        ahead = [one for one in stages if one.name.casefold() in named]
    elif now.kind == "active":
        for one in stages:
            if one.position > now.position and one.kind != "lost":
                ahead.append(one)
                if not one.can_skip:
                    break
    allowed = {one.id for one in (*back, *ahead, *lost)} - {now.id}
    return [one for one in stages if one.id in allowed and one.archived_at is None]


def _live(found: Evidence) -> None:
    if found.is_archived:
        raise Refusal("RECORD_ARCHIVED", f"{found.subject.name} is archived.", record=found.subject.shown["id"])


def _missing(text: str, it: Standing, now: PipelineStage, target: PipelineStage, judged: Judged) -> Refusal:
    about: dict[str, Any] = {
        "record": text[:60],
        "name": it.subject.name,
        "missing": list(judged.missing),
        "proved": list(judged.proved),
        "stated": list(judged.stated),
    }
    if judged.fields:
        about["missingFields"] = list(judged.fields)
    if judged.needs:
        about["needs"] = dict(judged.needs)
    hint = f"Not moved from {now.name} to {target.name}. Get what is missing, or ask with despite_missing and a person decides."
    return Refusal("CRITERIA_MISSING" if judged.missing else "REQUIRED_FIELDS_MISSING", hint, **about)


async def _not_open_again(ctx: Write, it: Standing, text: str) -> None:
    """Refuse to open a way again whose record has begun another in the same pipeline."""
    ask = asking.within(ctx)
    await ask(ALONE, table=it.subject.table, id=it.subject.id)
    other = await ctx.session.scalar(
        select(PipelinePosition.id).where(
            PipelinePosition.org_id == ctx.principal.org,
            PipelinePosition.pipeline_id == it.pipeline.id,
            PipelinePosition.subject_type == it.subject.table,
            PipelinePosition.subject_id == it.subject.id,
            PipelinePosition.closed_at.is_(None),
            PipelinePosition.archived_at.is_(None),
        )
    )
    if other is not None:
        hint = f"{it.subject.name} has begun {it.pipeline.name} anew; move that on."
        raise Refusal("ALREADY_IN_PIPELINE", hint, record=text[:60])


def _keep(
    ctx: Write,
    it: Standing,
    was: PipelineStage | None,
    target: PipelineStage,
    at: datetime,
    judged: Judged,
    explanation: str | None,
) -> None:
    """Keep the move itself: from where, to where, when, after how long, and what of the criteria was met."""
    ctx.session.add(
        StageTransition(
            org_id=ctx.principal.org,
            position_id=it.position.id,
            pipeline_id=it.pipeline.id,
            from_stage_id=None if was is None else was.id,
            to_stage_id=target.id,
            moved_at=at,
            seconds_in_stage=None if was is None else int((at - it.position.entered_at).total_seconds()),
            explanation=explanation,
            criteria=judged.document(),
            criteria_met=judged.is_met,
        )
    )


async def _follow(ctx: Write, it: Standing, target: PipelineStage, why: str | None, opens: frozenset[str]) -> None:
    """Let the deal or lead be what its stage says, in a pipeline that decides about it.

    An active stage opens again what is in a status of `opens`: another pipeline may have ended it.
    """
    if it.pipeline.kind not in _DECIDING or it.subject.table not in ("deals", "leads"):
        return
    key = (ctx.principal.org, it.subject.id)
    lost = why if target.kind == "lost" else None
    if it.subject.table == "deals":
        deal = await ctx.session.get(Deal, key, with_for_update=True)
        assert deal is not None
        status = "open" if target.kind == "active" else target.kind
        if deal.status != status and (target.kind != "active" or deal.status in opens):
            deal.status = status
            deal.closed_at = it.position.closed_at
            deal.lost_reason = lost
        return
    lead = await ctx.session.get(Lead, key, with_for_update=True)
    assert lead is not None
    if target.kind == "active":
        if lead.status in opens:
            lead.status, lead.converted_at, lead.lost_reason = "qualified", None, None
    elif target.kind == "won" and lead.status != "converted":
        lead.status, lead.converted_at, lead.lost_reason = "converted", it.position.closed_at, None
    elif target.kind == "lost" and lead.status != "lost":
        lead.status, lead.converted_at, lead.lost_reason = "lost", None, lost


def _worth_said(it: Standing) -> str:
    value = worth(it)
    return "" if value is None else f" ({said(*value)})"
