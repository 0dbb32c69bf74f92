"""A pipeline gone through stage by stage: what moves, what stalls, what is at risk."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field

from ..context import Read
from ..crm import funnel, pipelines
from ..crm.pipelines_shown import SQL
from ..errors import Refusal
from . import completing, naming
from .prompt import Brief, Named, PromptArgs, prompt
from .saying import DRAFTS


class PipelineReview(PromptArgs):
    pipeline: Named | None = Field(None, description="Its name or pipe_…; default: the default of sales.")
    stage: Named | None = Field(None, description="Only this stage, by its name.")
    days: int = Field(90, ge=1, le=3650, description="Days looked back on; 90.")


@prompt(
    title="Review a pipeline",
    calls={"get_pipelines", "analyze_pipeline", "identify_at_risk_deals"},
    also={
        "forecast_deals",
        "suggest_next_action",
        "predict_outcome",
        "move_to_stage",
        "create_task",
        "propose_changes",
    },
    completes={
        "pipeline": completing.pipelines,
        "stage": completing.stages(),
        "days": completing.among(("30", "90", "180", "365")),
    },
)
async def pipeline_review(ctx: Read, args: PipelineReview, can: Collection[str]) -> Brief:
    """Review a pipeline: how it converts, where it stalls, which deals are at risk, and what to do about each."""
    now = datetime.now(UTC)
    name, behind = naming.split(args.pipeline or "")
    asked = funnel.asked(behind or name or None)
    row = await ctx.one(
        SQL,
        **asked,
        stage=None,
        its_stage=None,
        table=None,
        record=None,
        role=ctx.principal.role,
        detail=True,
        history=False,
        now=now,
    )
    assert row is not None
    found: list[dict[str, Any]] = row[0]
    if not found and args.pipeline is not None:
        raise pipelines.not_found(behind or name, row[1])
    if not found:
        return Brief(
            "The org has no pipeline yet, so there is none to review.",
            ("Call get_pipelines once, to see whether one was made meanwhile.",),
            "that there is nothing to review, and what a first pipeline of theirs could look like.",
            {},
        )
    pipeline = next((one for one in found if one["kind"] == "sales" and one.get("isDefault")), found[0])
    stages = [_told(stage) for stage in pipeline["stages"]]
    stage = _meant(args.stage, stages)
    first = (ctx.principal.day(now) - timedelta(days=args.days)).isoformat()
    this, only = pipeline["id"], f" in stage {stage['id']}" if stage else ""
    records = f"stage {stage['id']}" if stage else f"pipeline {this}, records true"
    facts = {
        "pipeline": {key: pipeline[key] for key in ("id", "name", "kind", "description") if key in pipeline},
        "stages": stages,
        "onlyStage": stage and {"id": stage["id"], "name": stage["name"]},
        "otherPipelines": [one["name"] for one in found if one is not pipeline] or None,
    }
    return Brief(
        f"Review pipeline {this}{only} with the person you work for: what moves, what stalls, what to do about it.",
        (
            "Read the facts: the stages in their order, with how many records and how much value stand in each.",
            f"Call analyze_pipeline (pipeline {this}, from_day {first}) for conversion, days in stage, drop-off and the bottleneck.",
            f"Call identify_at_risk_deals (pipeline {this}) for what may slip, and why.",
            f"Call get_pipelines ({records}) for the records that stand longest; compare their days with the stage's maxDays.",
            "Call forecast_deals (this quarter) for what is expected to come in."
            if "forecast_deals" in can
            else None,
            "For the three most valuable that stall call suggest_next_action (record)."
            if "suggest_next_action" in can
            else None,
            _acts(can),
        ),
        "a review: the state in two sentences; a table of stages (count, value by currency, median days, conversion); the "
        "bottleneck and what shows it; the records at risk, each with id, value, factor and one next step; what you drafted "
        "and what you would do with the person's word.",
        facts,
        (DRAFTS,) if {"move_to_stage", "create_task", "propose_changes"} & set(can) else (),
    )


def _told(stage: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        key: stage[key] for key in ("id", "name", "kind", "count", "value", "probability", "maxDays") if key in stage
    }
    criteria = [criterion["name"] for criterion in stage.get("exitCriteria") or ()]
    return {**kept, **({"exitCriteria": criteria} if criteria else {})}


def _meant(text: str | None, stages: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the stage that is meant, by name or id; None where none is.

    Raises:
        Refusal: STAGE_NOT_FOUND.
    """
    if text is None:
        return None
    for stage in stages:
        if text.strip().casefold() in (stage["name"].casefold(), stage["id"]):
            return stage
    hint = "The pipeline has no such stage."
    names = [stage["name"] for stage in stages]
    raise Refusal("STAGE_NOT_FOUND", hint, argument="stage", searchedId=text[:60], stages=names)


def _acts(can: Collection[str]) -> str | None:
    acts = [
        act
        for tool, act in (
            ("create_task", "follow-ups with create_task"),
            ("propose_changes", "new close dates or owners with propose_changes"),
            ("move_to_stage", "moves with move_to_stage, and only where the exit criteria are shown to be met"),
        )
        if tool in can
    ]
    return (
        f"Where the person wants it, put down {'; '.join(acts)}. Ask before you do more than one." if acts else None
    )
