"""A score of a record in a pipeline, with what speaks for and against; it runs at once, being reversible."""

from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Write
from crm_mcp.crm import scoring
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import Answer, Args, Display, Effect, Text, View, Words, WriteArgs, tool


class Factors(Args):
    engagement: float | None = Field(None, ge=0, le=100, description="Else from its activities.")
    fit: float | None = Field(None, ge=0, le=100)
    intent: float | None = Field(None, ge=0, le=100)
    timing: float | None = Field(None, ge=0, le=100)


class ScoreContact(WriteArgs):
    record: Text = Field(max_length=60, description="deal_…, lead_…, cont_… …")
    pipeline: Text | None = Field(None, max_length=100, description="If it is in several.")
    factors: Factors | None = Field(None, description="0 to 100.")
    reasons: tuple[Words, ...] = Field((), max_length=20)
    manual_score: float | None = Field(None, ge=0, le=100, description="A person's own.")
    override_reason: Words | None = Field(None, max_length=1000)
    next_follow_up_on: date | None = None
    risk_factors: tuple[Words, ...] | None = Field(None, max_length=20)
    clear: tuple[scoring.Clearable, ...] = ()


class ScoreView(View):
    noun: ClassVar[str] = "score"
    nouns: ClassVar[str] = "scores"

    id: str
    record: dict[str, str]
    pipeline: dict[str, str]
    counts: Decimal | None = None
    computed: Decimal | None = None
    manual: Decimal | None = None
    overrideReason: str | None = None
    factors: dict[str, float]
    weights: dict[str, float]
    reasons: list[str] | None = None
    confidence: Decimal | None = None
    before: Decimal | None = None
    scoredAt: datetime | None = None
    nextFollowUpOn: str | None = None
    riskFactors: list[str] | None = None


@tool(
    title="Score contact",
    toolset="pipelines",
    roles={Role.ADMIN, Role.SALES},
    effect=Effect.NOTE,
    agents={Agent.SALES},
)
async def score_contact(ctx: Write, args: ScoreContact) -> Answer[ScoreView]:
    """Score a record in a pipeline by its factors. Use when you know how good a prospect is, when to follow up, or what
    may go wrong. It is saved at once."""
    done = await scoring.score(
        ctx,
        args.record,
        {} if args.factors is None else args.factors.model_dump(exclude_none=True),
        args.reasons,
        pipeline=args.pipeline,
        confidence=args.confidence,
        manual_score=args.manual_score,
        override_reason=args.override_reason,
        next_follow_up_on=args.next_follow_up_on,
        risk_factors=args.risk_factors,
        clear=args.clear,
    )
    it, place = done.standing, done.standing.position
    counts = scoring.effective(place.score, place.manual_score)
    view = ScoreView(
        id=ids.show("pipeline_positions", place.id),
        record=it.subject.shown,
        pipeline=scoring.shown(it),
        counts=counts,
        computed=place.score,
        manual=place.manual_score,
        overrideReason=place.override_reason,
        factors=place.factors,
        weights=it.pipeline.weights,
        reasons=place.reasons or None,
        confidence=place.score_confidence,
        before=done.before,
        scoredAt=place.scored_at,
        nextFollowUpOn=None if place.next_follow_up_on is None else place.next_follow_up_on.isoformat(),
        riskFactors=place.risk_factors or None,
    )
    meta = {} if done.engagement is None else {"engagementFrom": f"{done.engagement} activities in 90 days"}
    return Answer(view, Display(title=it.subject.name, subtitle=f"score {counts}"), meta, did=done.did)
