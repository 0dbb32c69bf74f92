"""Pipelines and their stages as they are asked for, found and told of."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field
from sqlalchemy import func, select

from .. import ids
from ..context import Write
from ..errors import Refusal
from ..money import Percent
from ..tool import Args, Text, View, Words
from . import criteria
from .criteria import Criterion, Named
from .models import Pipeline, PipelineStage

Kind = Literal["sales", "support", "onboarding", "partner", "custom"]
StageKind = Literal["active", "won", "lost"]
MOST_STAGES = 30
Clearable = Literal[
    "description", "probability", "min_days", "max_days", "exit_criteria", "required_fields", "next_stages"
]


class StageArgs(Args):
    """A stage as it is asked for; what is left out is as it was, or as usual."""

    name: Words | None = Field(None, max_length=100)
    description: Text | None = Field(None, max_length=4000)
    kind: StageKind | None = None
    probability: Percent | None = Field(None, description="Of winning, per cent.")
    min_days: int | None = Field(None, ge=0, le=10_000)
    max_days: int | None = Field(None, ge=0, le=10_000)
    exit_criteria: tuple[Named | Criterion, ...] | None = Field(
        None, max_length=20, description="To leave it forward."
    )
    required_fields: tuple[Words, ...] | None = Field(None, max_length=20)
    can_skip: bool | None = None
    next_stages: tuple[Words, ...] | None = Field(None, max_length=MOST_STAGES)
    automation: bool | None = Field(None, description="Moves into it may run without a person; false.")


class StageChange(StageArgs):
    """A change to one stage, or a new one."""

    stage: Text | None = Field(
        None, max_length=100, description="stage_… or its name; none: the one of that name, else a new one."
    )
    position: int | None = Field(None, ge=1, le=MOST_STAGES)
    archive: bool = False
    clear: tuple[Clearable, ...] = ()


class StageView(Args):
    id: str
    name: str
    kind: str
    position: int
    description: str | None = None
    probability: str | None = None
    minDays: int | None = None
    maxDays: int | None = None
    exitCriteria: list[str] | None = None
    requiredFields: list[str] | None = None
    canSkip: bool | None = None
    nextStages: list[str] | None = None
    automation: bool = False


class PipelineView(View):
    noun: ClassVar[str] = "pipeline"
    nouns: ClassVar[str] = "pipelines"

    id: str
    name: str
    kind: str
    description: str | None = None
    isDefault: bool | None = None
    automation: bool
    archivedAt: str | None = None
    stages: list[StageView]


def view_of(pipeline: Pipeline, stages: Sequence[PipelineStage]) -> PipelineView:
    return PipelineView(
        id=ids.show("pipelines", pipeline.id),
        name=pipeline.name,
        kind=pipeline.kind,
        description=pipeline.description,
        isDefault=pipeline.is_default or None,
        automation=pipeline.automation,
        archivedAt=None if pipeline.archived_at is None else pipeline.archived_at.isoformat(),
        stages=[_stage_view(stage) for stage in stages],
    )


def _stage_view(stage: PipelineStage) -> StageView:
    return StageView(
        id=ids.show("pipeline_stages", stage.id),
        name=stage.name,
        kind=stage.kind,
        position=stage.position,
        description=stage.description,
        probability=None if stage.probability is None else format(stage.probability.normalize(), "f"),
        minDays=stage.min_days,
        maxDays=stage.max_days,
        exitCriteria=[_criterion(one) for one in stage.exit_criteria] or None,
        requiredFields=list(stage.required_fields) or None,
        canSkip=stage.can_skip or None,
        nextStages=stage.next_stages,
        automation=stage.automation,
    )


def _criterion(one: Mapping[str, Any]) -> str:
    check = one.get("check")
    return f"{one['name']} ({criteria.in_words(check)})" if check else str(one["name"])


async def find(ctx: Write, text: str, *, lock: bool = False) -> Pipeline:
    """Return the pipeline that is meant: by its id, its name, or a kind, which means the default one of that kind.

    What is locked cannot be changed or archived until the transaction ends.

    Raises:
        Refusal: PIPELINE_NOT_FOUND, with the names there are.
    """
    asked = select(Pipeline).where(Pipeline.org_id == ctx.principal.org, Pipeline.archived_at.is_(None))
    named = asked.where(func.lower(Pipeline.name) == func.lower(text.strip()))
    kind = asked.where(Pipeline.kind == text.strip().lower(), Pipeline.is_default)
    ways = [asked.where(Pipeline.id == ids.parse("pipelines", text))] if ids.is_id(text) else [named, kind]
    for way in ways:
        found = await ctx.session.scalar(
            way.with_for_update() if lock else way.with_for_update(read=True, key_share=True)
        )
        if found is not None:
            return found
    names = list(await ctx.session.scalars(asked.with_only_columns(Pipeline.name).order_by(Pipeline.name).limit(50)))
    raise not_found(text, names)


def not_found(text: str, names: Sequence[str]) -> Refusal:
    near = difflib.get_close_matches(text, names, 1, 0.5)
    hint = "There is no such pipeline." + (f" Did you mean {near[0]!r}?" if near else " get_pipelines lists them.")
    return Refusal("PIPELINE_NOT_FOUND", hint, searchedId=text[:60], pipelines=list(names))


async def stages_of(ctx: Write, pipeline: Pipeline) -> list[PipelineStage]:
    """Return the stages that a pipeline has, in their order."""
    found = await ctx.session.scalars(
        select(PipelineStage)
        .where(
            PipelineStage.org_id == ctx.principal.org,
            PipelineStage.pipeline_id == pipeline.id,
            PipelineStage.archived_at.is_(None),
        )
        .order_by(PipelineStage.position)
    )
    return list(found)


def stage_of(stages: Sequence[PipelineStage], text: str, argument: str = "stage") -> PipelineStage:
    """Return the stage that is meant, by id or name; where just one has the kind, also won or lost.

    Raises:
        Refusal: STAGE_NOT_FOUND, with the names there are.
    """
    word = text.strip().casefold()
    number = ids.parse("pipeline_stages", text) if ids.is_id(text) else None
    for stage in stages:
        if stage.id == number or stage.name.casefold() == word:
            return stage
    for stage in stages:
        if stage.kind == word and word != "active":
            return stage
    names = [stage.name for stage in stages]
    near = difflib.get_close_matches(text, names, 1, 0.5)
    hint = "The pipeline has no such stage." + (f" Did you mean {near[0]!r}?" if near else "")
    raise Refusal("STAGE_NOT_FOUND", hint, argument=argument, searchedId=text[:60], stages=names)
