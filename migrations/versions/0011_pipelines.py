"""Pipelines and their stages, where a record stands in each, and how it came there."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import Column, run, table

revision = "0011"
down_revision = "0010"

SQL = Path(__file__).parents[1] / "sql"
SELLING = ("admin", "sales", "operations")
MONEY = "numeric(19,4)"
IN_PIPELINES = ("contacts", "individuals", "customers", "deals", "leads")
"""What may stand in a pipeline."""
SCORE = "check ({0} between 0 and 100)"


def pipelines() -> Iterator[str]:
    yield from table(
        "pipelines",
        Column("name", "text not null check (name <> '' and length(name) <= 100)", "Name, unique in the org."),
        Column(
            "kind",
            "text not null default 'custom' check (kind in ('sales', 'support', 'onboarding', 'partner', 'custom'))",
            "sales, support, onboarding, partner or custom.",
        ),
        Column("description", "text check (length(description) <= 4000)", "What it is for."),
        Column("is_default", "boolean not null default false", "The one meant where its kind alone is named."),
        Column("automation", "boolean not null default true", "Off: no move in it runs without a person."),
        Column(
            "assistant",
            "text check (assistant in ('sales', 'support', 'research', 'customer'))",
            "The agent that looks after it.",
        ),
        Column(
            "weights",
            """jsonb not null default '{"engagement": 0.25, "fit": 0.25, "intent": 0.25, "timing": 0.25}' check (jsonb_typeof(weights) = 'object')""",
            "How much each factor counts in a score; they sum to 1.",
        ),
        prefix="pipe",
        roles=SELLING,
        aliases=("Pipeline", "pipeline"),
        description="The ways that contacts, deals and leads go, stage by stage.",
    )
    yield "create unique index pipelines_name on crm.pipelines(org_id, lower(name)) where archived_at is null"
    yield "create unique index pipelines_default on crm.pipelines(org_id, kind) where is_default and archived_at is null"
    yield from table(
        "pipeline_stages",
        Column("pipeline_id", "bigint not null", "The pipeline."),
        Column("name", "text not null check (name <> '' and length(name) <= 100)", "Name, unique in the pipeline."),
        Column("description", "text check (length(description) <= 4000)", "What being there means."),
        Column("position", "int not null check (position > 0)", "1, 2, 3 …"),
        Column(
            "kind",
            "text not null default 'active' check (kind in ('active', 'won', 'lost'))",
            "active, won or lost; in won and lost the way ends.",
        ),
        Column("probability", f"numeric(5,2) {SCORE.format('probability')}", "Of winning from here, in per cent."),
        Column("min_days", "int check (min_days >= 0)", "Fewest days it should take."),
        Column("max_days", "int check (max_days >= min_days)", "Most days it should take."),
        Column(
            "exit_criteria",
            "jsonb not null default '[]' check (jsonb_typeof(exit_criteria) = 'array')",
            "What must be so to leave it forward: a list of {name, check}; without a check it is stated, not proved.",
        ),
        Column(
            "required_fields",
            "jsonb not null default '[]' check (jsonb_typeof(required_fields) = 'array')",
            "Fields that must be filled to leave it forward.",
        ),
        Column("can_skip", "boolean not null default false", "Whether a move may pass over it."),
        Column(
            "next_stages",
            "jsonb check (jsonb_typeof(next_stages) = 'array')",
            "Names of the stages that may follow; null: the next ones in order, as skipping allows, and lost.",
        ),
        Column("automation", "boolean not null default false", "Whether a move into it may run without a person."),
        Column(
            "suggestions",
            "jsonb not null default '[]' check (jsonb_typeof(suggestions) = 'array')",
            "What may be done for a record here: a list of texts.",
        ),
        prefix="stage",
        references={"pipeline_id": "pipelines"},
        roles=SELLING,
        aliases=("Stage", "stage"),
        description="The stages of pipelines, with what it takes to leave them.",
        extra=(
            "unique (org_id, pipeline_id, id)",
            "unique (org_id, pipeline_id, position) deferrable initially deferred",
        ),
    )
    yield "create unique index stages_name on crm.pipeline_stages(org_id, pipeline_id, lower(name)) where archived_at is null"


def positions() -> Iterator[str]:
    kinds = ", ".join(f"'{name}'" for name in IN_PIPELINES)
    moved = (
        "stage_id", "entered_at", "closed_at", "amount", "currency", "base_amount", "score", "factors", "reasons",
        "score_confidence", "scored_at", "manual_score", "override_reason", "next_follow_up_on", "risk_factors",
        "owner_id", "archived_at",
    )  # fmt: skip
    yield from table(
        "pipeline_positions",
        Column("pipeline_id", "bigint not null", "The pipeline."),
        Column("stage_id", "bigint not null", "The stage it is in."),
        Column("subject_type", f"text not null check (subject_type in ({kinds}))", "The table of what stands there."),
        Column("subject_id", "bigint not null", "Its number there."),
        Column("customer_id", "bigint", "The account it concerns, if one does."),
        Column("entered_at", "timestamptz not null", "Since when it is in the stage."),
        Column("closed_at", "timestamptz", "When it came to a won or lost stage; null: it is on its way."),
        Column("amount", f"{MONEY} check (amount >= 0)", "What it is worth where no deal says so, in `currency`."),
        Column("currency", "text check (currency ~ '^[A-Z]{3}$')", "ISO 4217 code of the amount."),
        Column("base_amount", MONEY, "amount in the org's base currency by the rate of that day; null: no rate."),
        Column("score", f"numeric(5,2) {SCORE.format('score')}", "0 to 100, as the factors gave it."),
        Column(
            "factors",
            "jsonb not null default '{}' check (jsonb_typeof(factors) = 'object')",
            "The factors of the score, each 0 to 100.",
        ),
        Column(
            "reasons",
            "jsonb not null default '[]' check (jsonb_typeof(reasons) = 'array')",
            "Why it scored so, as texts.",
        ),
        Column(
            "score_confidence", "numeric(4,3) check (score_confidence between 0 and 1)", "How sure the scorer was."
        ),
        Column("scored_at", "timestamptz", "When it was scored."),
        Column(
            "manual_score",
            f"numeric(5,2) {SCORE.format('manual_score')}",
            "A person's own score, which counts instead.",
        ),
        Column("override_reason", "text check (length(override_reason) <= 1000)", "Why a person set it."),
        Column("next_follow_up_on", "date", "When to follow up next."),
        Column(
            "risk_factors",
            "jsonb not null default '[]' check (jsonb_typeof(risk_factors) = 'array')",
            "What may go wrong, as texts.",
        ),
        Column("owner_id", "bigint references crm.users", "The person who works on it."),
        prefix="pos",
        references={"pipeline_id": "pipelines", "customer_id": "customers"},
        roles=SELLING,
        aliases=("Position", "position"),
        free={"I": None, "U": moved},
        description="Where a contact, deal or lead stands in a pipeline, with its score.",
        extra=(
            "unique (org_id, pipeline_id, id)",
            "foreign key (org_id, pipeline_id, stage_id) references crm.pipeline_stages (org_id, pipeline_id, id)",
            "check ((amount is null) = (currency is null))",
            "check ((manual_score is null) = (override_reason is null))",
        ),
    )
    yield (
        "create unique index positions_one on crm.pipeline_positions(org_id, pipeline_id, subject_type, subject_id) "
        "where closed_at is null and archived_at is null"
    )
    yield "create index positions_of on crm.pipeline_positions(org_id, subject_type, subject_id)"
    yield "create index positions_in on crm.pipeline_positions(org_id, pipeline_id, stage_id, entered_at)"
    yield (
        "create trigger subject after insert or update of subject_type, subject_id on crm.pipeline_positions "
        "for each row execute function crm.subject_exists()"
    )
    yield from table(
        "stage_transitions",
        Column("position_id", "bigint not null", "What moved."),
        Column("pipeline_id", "bigint not null", "The pipeline."),
        Column("from_stage_id", "bigint", "The stage it left; null: it was added."),
        Column("to_stage_id", "bigint not null", "The stage it came to."),
        Column("moved_at", "timestamptz not null", "When."),
        Column("seconds_in_stage", "bigint check (seconds_in_stage >= 0)", "How long it was in the stage it left."),
        Column("explanation", "text check (length(explanation) <= 1000)", "Why, as stated."),
        Column(
            "criteria",
            "jsonb not null default '{}' check (jsonb_typeof(criteria) = 'object')",
            "Exit criteria of the stage it left: proved, stated, missing (lists of names).",
        ),
        Column("criteria_met", "boolean not null", "Whether none was missing."),
        prefix="move",
        references={"pipeline_id": "pipelines"},
        roles=SELLING,
        aliases=("Transition",),
        free={"I": None, "U": ("archived_at",)},
        description="Every move between stages, and who made it.",
        extra=(
            "foreign key (org_id, pipeline_id, position_id) references crm.pipeline_positions (org_id, pipeline_id, id)",
            "foreign key (org_id, pipeline_id, from_stage_id) references crm.pipeline_stages (org_id, pipeline_id, id)",
            "foreign key (org_id, pipeline_id, to_stage_id) references crm.pipeline_stages (org_id, pipeline_id, id)",
        ),
    )
    yield "create index transitions_of on crm.stage_transitions(org_id, position_id, moved_at)"
    yield "create index transitions_in on crm.stage_transitions(org_id, pipeline_id, moved_at)"


def upgrade() -> None:
    run(pipelines(), positions())
    run(SQL / "default_pipelines.sql")
    run(iter(["update crm.schema_state set revision = '0011', oldest_client = '0011'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
