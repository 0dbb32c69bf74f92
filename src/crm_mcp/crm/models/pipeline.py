"""Leads, deals, pipelines and where records stand in them."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, FetchedValue
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .record import Amount, Confidence, Instant, Record, Share, to, within


class Lead(Record):
    __tablename__ = "leads"
    __table_args__ = (
        to("organization_id", "organizations"),
        to("individual_id", "individuals"),
        to("customer_id", "customers"),
    )

    kind: Mapped[str]
    name: Mapped[str]
    status: Mapped[str] = mapped_column(default="new")
    source: Mapped[str | None]
    description: Mapped[str | None]
    organization_id: Mapped[int | None] = mapped_column(BigInteger)
    individual_id: Mapped[int | None] = mapped_column(BigInteger)
    customer_id: Mapped[int | None] = mapped_column(BigInteger)
    owner_id: Mapped[int | None] = mapped_column(BigInteger)
    contacted_at: Mapped[datetime | None] = mapped_column(Instant)
    converted_at: Mapped[datetime | None] = mapped_column(Instant)
    lost_reason: Mapped[str | None]


class LeadPart(Record):
    """What only one kind of lead has (joined inheritance, S2)."""

    __abstract__ = True

    lead_id: Mapped[int] = mapped_column(BigInteger)


class Job(LeadPart):
    __tablename__ = "jobs"
    __table_args__ = (to("lead_id", "leads"),)

    role: Mapped[str | None]
    seniority: Mapped[str | None]
    location: Mapped[str | None]
    is_remote: Mapped[bool | None]
    salary_min: Mapped[Decimal | None] = mapped_column(Amount)
    salary_max: Mapped[Decimal | None] = mapped_column(Amount)
    currency: Mapped[str | None]
    url: Mapped[str | None]
    posted_on: Mapped[date | None]
    closes_on: Mapped[date | None]


class Opportunity(LeadPart):
    __tablename__ = "opportunities"
    __table_args__ = (to("lead_id", "leads"),)

    amount: Mapped[Decimal | None] = mapped_column(Amount)
    currency: Mapped[str | None]
    expected_close_on: Mapped[date | None]
    need: Mapped[str | None]
    budget_confirmed: Mapped[bool | None]
    decision_maker: Mapped[str | None]
    timeline: Mapped[str | None]


class Partnership(LeadPart):
    __tablename__ = "partnerships"
    __table_args__ = (to("lead_id", "leads"),)

    type: Mapped[str | None]
    scope: Mapped[str | None]
    territory: Mapped[str | None]
    starts_on: Mapped[date | None]
    ends_on: Mapped[date | None]


class Deal(Record):
    __tablename__ = "deals"
    __table_args__ = (
        to("customer_id", "customers"),
        to("organization_id", "organizations"),
        to("contact_id", "contacts"),
        to("lead_id", "leads"),
    )

    name: Mapped[str]
    status: Mapped[str] = mapped_column(default="open")
    amount: Mapped[Decimal | None] = mapped_column(Amount)
    currency: Mapped[str | None]
    base_amount: Mapped[Decimal | None] = mapped_column(Amount)
    probability: Mapped[Decimal | None] = mapped_column(Share)
    expected_close_on: Mapped[date | None]
    closed_at: Mapped[datetime | None] = mapped_column(Instant)
    signed_on: Mapped[date | None]
    lost_reason: Mapped[str | None]
    source: Mapped[str | None]
    description: Mapped[str | None]
    customer_id: Mapped[int | None] = mapped_column(BigInteger)
    organization_id: Mapped[int | None] = mapped_column(BigInteger)
    contact_id: Mapped[int | None] = mapped_column(BigInteger)
    lead_id: Mapped[int | None] = mapped_column(BigInteger)
    owner_id: Mapped[int | None] = mapped_column(BigInteger)


class Pipeline(Record):
    __tablename__ = "pipelines"

    name: Mapped[str]
    kind: Mapped[str] = mapped_column(default="custom")
    description: Mapped[str | None]
    is_default: Mapped[bool] = mapped_column(default=False)
    automation: Mapped[bool] = mapped_column(default=True)
    assistant: Mapped[str | None]
    weights: Mapped[dict[str, float]] = mapped_column(JSONB, server_default=FetchedValue())
    stages: Mapped[list["PipelineStage"]] = relationship(order_by="PipelineStage.position")


class PipelineStage(Record):
    __tablename__ = "pipeline_stages"
    __table_args__ = (to("pipeline_id", "pipelines"),)

    pipeline_id: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str]
    description: Mapped[str | None]
    position: Mapped[int]
    kind: Mapped[str] = mapped_column(default="active")
    probability: Mapped[Decimal | None] = mapped_column(Share)
    min_days: Mapped[int | None]
    max_days: Mapped[int | None]
    exit_criteria: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=FetchedValue())
    required_fields: Mapped[list[str]] = mapped_column(JSONB, server_default=FetchedValue())
    can_skip: Mapped[bool] = mapped_column(default=False)
    next_stages: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))
    automation: Mapped[bool] = mapped_column(default=False)
    suggestions: Mapped[list[str]] = mapped_column(JSONB, server_default=FetchedValue())


class PipelinePosition(Record):
    __tablename__ = "pipeline_positions"
    __table_args__ = (
        to("pipeline_id", "pipelines"),
        to("customer_id", "customers"),
        within("pipeline_id", "stage_id", "pipeline_stages"),
    )

    pipeline_id: Mapped[int] = mapped_column(BigInteger)
    stage_id: Mapped[int] = mapped_column(BigInteger)
    subject_type: Mapped[str]
    subject_id: Mapped[int] = mapped_column(BigInteger)
    customer_id: Mapped[int | None] = mapped_column(BigInteger)
    entered_at: Mapped[datetime] = mapped_column(Instant)
    closed_at: Mapped[datetime | None] = mapped_column(Instant)
    amount: Mapped[Decimal | None] = mapped_column(Amount)
    currency: Mapped[str | None]
    base_amount: Mapped[Decimal | None] = mapped_column(Amount)
    score: Mapped[Decimal | None] = mapped_column(Share)
    factors: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=FetchedValue())
    reasons: Mapped[list[str]] = mapped_column(JSONB, server_default=FetchedValue())
    score_confidence: Mapped[Decimal | None] = mapped_column(Confidence)
    scored_at: Mapped[datetime | None] = mapped_column(Instant)
    manual_score: Mapped[Decimal | None] = mapped_column(Share)
    override_reason: Mapped[str | None]
    next_follow_up_on: Mapped[date | None]
    risk_factors: Mapped[list[str]] = mapped_column(JSONB, server_default=FetchedValue())
    owner_id: Mapped[int | None] = mapped_column(BigInteger)


class StageTransition(Record):
    __tablename__ = "stage_transitions"
    __table_args__ = (
        to("pipeline_id", "pipelines"),
        within("pipeline_id", "position_id", "pipeline_positions"),
        within("pipeline_id", "from_stage_id", "pipeline_stages"),
        within("pipeline_id", "to_stage_id", "pipeline_stages"),
    )

    position_id: Mapped[int] = mapped_column(BigInteger)
    pipeline_id: Mapped[int] = mapped_column(BigInteger)
    from_stage_id: Mapped[int | None] = mapped_column(BigInteger)
    to_stage_id: Mapped[int] = mapped_column(BigInteger)
    moved_at: Mapped[datetime] = mapped_column(Instant)
    seconds_in_stage: Mapped[int | None] = mapped_column(BigInteger)
    explanation: Mapped[str | None]
    criteria: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=FetchedValue())
    criteria_met: Mapped[bool]
