"""Pipelines made and changed: what they and their stages must be.

A pipeline has a name that no other of the org has, and up to 30 stages with names of their own: at least one that is
active, then at most one that is won and one that is lost, in that order, which end the way. Where none is said to be
won, the last of several is; where none is lost, one is added.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from .. import ids
from ..context import Write
from ..errors import Refusal
from . import asking, criteria
from .models import Pipeline, PipelinePosition, PipelineStage
from .pipelines import MOST_STAGES, Kind, StageArgs, StageChange, find, stage_of, stages_of

LOST = "Lost"
_TURN = {"active": 0, "won": 1, "lost": 2}


async def create(
    ctx: Write,
    name: str,
    kind: Kind,
    wanted: Sequence[StageArgs],
    *,
    description: str | None = None,
    automation: bool = True,
    is_default: bool | None = None,
) -> tuple[Pipeline, list[PipelineStage]]:
    """Make a pipeline with its stages; the first of a kind is that kind's default.

    Raises:
        Refusal: PIPELINE_EXISTS, INVALID_STAGES, INVALID_CHECK, UNKNOWN_FIELD.
    """
    await _free_name(ctx, name)
    before = await _default_of(ctx, kind)
    if is_default and before is not None:
        before.is_default = False
        await ctx.session.flush()
    pipeline = Pipeline(
        org_id=ctx.principal.org,
        name=name.strip(),
        kind=kind,
        description=description,
        is_default=is_default if is_default is not None else before is None,
        automation=automation,
    )
    ctx.session.add(pipeline)
    await ctx.session.flush()
    given = list(wanted)
    kinds = [stage.kind for stage in given]
    if len(given) > 1 and "won" not in kinds:
        last = max((at for at, one in enumerate(kinds) if one != "lost"), default=None)
        if last is not None and kinds[last] is None and last > 0:
            given[last] = given[last].model_copy(update={"kind": "won"})
    if "lost" not in kinds:
        given.append(StageArgs.model_validate({"name": LOST, "kind": "lost"}))
    stages: list[PipelineStage] = []
    for position, asked in enumerate(given, 1):
        stage = PipelineStage(org_id=ctx.principal.org, pipeline_id=pipeline.id, position=position, name="")
        await _write(ctx, stage, asked)
        stages.append(stage)
    _in_order(stages)
    ctx.session.add_all(stages)
    await ctx.session.flush()
    for stage in stages:
        await ctx.session.refresh(stage)
    return pipeline, stages


async def update(
    ctx: Write,
    text: str,
    changes: Sequence[StageChange],
    *,
    name: str | None = None,
    description: str | None = None,
    automation: bool | None = None,
    is_default: bool | None = None,
    archive: bool = False,
) -> tuple[Pipeline, list[PipelineStage], list[str]]:
    """Change a pipeline and its stages; return them as they are now, and in words what changed.

    Raises:
        Refusal: PIPELINE_NOT_FOUND, STAGE_NOT_FOUND, PIPELINE_EXISTS, INVALID_STAGES, IN_USE and those of criteria.
    """
    pipeline = await find(ctx, text, lock=True)
    did: list[str] = []
    if name is not None and name.strip() != pipeline.name:
        if name.strip().casefold() != pipeline.name.casefold():
            await _free_name(ctx, name)
        did.append(f"rename it {name.strip()}")
        pipeline.name = name.strip()
    if description is not None and description != pipeline.description:
        pipeline.description = description
        did.append("describe it anew")
    if automation is not None and automation != pipeline.automation:
        pipeline.automation = automation
        did.append(f"{'allow' if automation else 'end'} automation in it")
    if is_default is not None and is_default != pipeline.is_default:
        if is_default and (before := await _default_of(ctx, pipeline.kind)) is not None:
            before.is_default = False
            await ctx.session.flush()
        pipeline.is_default = is_default
        did.append(f"make it {'the' if is_default else 'no longer the'} default of its kind")
    stages = await stages_of(ctx, pipeline)
    gone = await _archived(ctx, pipeline)
    for change in changes:
        did += await _change_stage(ctx, pipeline, stages, gone, change)
    _in_order(stages)
    for position, stage in enumerate([*stages, *gone], 1):
        if stage.position != position:
            stage.position = position
    if archive:
        await _unused(ctx, PipelinePosition.pipeline_id == pipeline.id, pipeline.name)
        pipeline.archived_at = ctx.now
        pipeline.is_default = False
        did.append("archive it")
    await ctx.session.flush()
    return pipeline, stages, did


async def _change_stage(
    ctx: Write, pipeline: Pipeline, stages: list[PipelineStage], gone: list[PipelineStage], change: StageChange
) -> list[str]:
    meant = change.stage or next((s.name for s in stages if _same(s.name, change.name)), None)
    if meant is None:
        stage = PipelineStage(org_id=ctx.principal.org, pipeline_id=pipeline.id, name="", position=0)
        await _write(ctx, stage, change)
        turn = _TURN[stage.kind]
        at = next((at for at, other in enumerate(stages) if _TURN[other.kind] > turn), len(stages))
        stages.insert(at if change.position is None else change.position - 1, stage)
        # a place of its own until all have theirs
        stage.position = len(stages) + len(gone)
        ctx.session.add(stage)
        await ctx.session.flush()
        await ctx.session.refresh(stage)
        return [f"add the stage {stage.name}"]
    stage = stage_of(stages, meant)
    if change.archive:
        await _unused(ctx, PipelinePosition.stage_id == stage.id, stage.name)
        stage.archived_at = ctx.now
        stages.remove(stage)
        gone.append(stage)
        return [f"archive the stage {stage.name}"]
    was = stage.name
    fields = await _write(ctx, stage, change)
    if "kind" in fields:
        await _unused(ctx, PipelinePosition.stage_id == stage.id, stage.name)
    if change.position is not None and stages.index(stage) != change.position - 1:
        stages.remove(stage)
        stages.insert(change.position - 1, stage)
        fields.append("place")
    return [f"change {', '.join(fields)} of the stage {was}"] if fields else []


def _same(name: str, other: str | None) -> bool:
    return other is not None and name.casefold() == other.strip().casefold()


async def _write(ctx: Write, stage: PipelineStage, asked: StageArgs) -> list[str]:
    """Write what is asked of a stage; return the fields that differ."""
    is_new = stage.name == ""
    if is_new:
        if asked.name is None:
            raise _wrong("a stage needs a name")
        stage.kind, stage.can_skip, stage.automation = "active", False, False
        stage.exit_criteria, stage.required_fields, stage.next_stages = [], [], None
    said: dict[str, Any] = {
        name: value for name in StageArgs.model_fields if (value := getattr(asked, name)) is not None
    }
    for name in asked.clear if isinstance(asked, StageChange) else ():
        said[name] = [] if name in ("exit_criteria", "required_fields") else None
    if "name" in said:
        said["name"] = said["name"].strip()
    ask = asking.within(ctx)
    if "exit_criteria" in said:
        said["exit_criteria"] = await criteria.parsed(ask, said["exit_criteria"] or ())
    if "required_fields" in said:
        said["required_fields"] = await criteria.known_fields(ask, said["required_fields"] or ())
    if said.get("next_stages") is not None:
        said["next_stages"] = [one.strip() for one in said["next_stages"]]
    differ = [name for name, value in said.items() if getattr(stage, name) != value]
    for name in differ:
        setattr(stage, name, said[name])
    if is_new and stage.kind != "active" and "probability" not in said:
        stage.probability = Decimal(100 if stage.kind == "won" else 0)
    return differ


def _in_order(stages: Sequence[PipelineStage]) -> None:
    """See that stages are what a pipeline may have.

    Raises:
        Refusal: INVALID_STAGES.
    """
    names = [stage.name.casefold() for stage in stages]
    turns = [_TURN[stage.kind] for stage in stages]
    if len(stages) > MOST_STAGES:
        raise _wrong(f"a pipeline has at most {MOST_STAGES} stages")
    if 0 not in turns:
        raise _wrong("at least one stage must be active")
    if turns.count(1) > 1 or turns.count(2) > 1:
        raise _wrong("one stage may be won, one lost")
    if turns != sorted(turns):
        raise _wrong("active stages come first, then won, then lost")
    if twice := next((stage.name for stage in stages if names.count(stage.name.casefold()) > 1), None):
        raise _wrong(f"{twice!r} is there twice")
    for stage in stages:
        if stage.min_days is not None and stage.max_days is not None and stage.min_days > stage.max_days:
            raise _wrong(f"{stage.name}: min_days is above max_days")
        for follower in stage.next_stages or ():
            if follower.casefold() not in names:
                raise _wrong(f"{stage.name}: there is no stage {follower!r} to follow it")


def _wrong(what: str) -> Refusal:
    return Refusal("INVALID_STAGES", f"stages: {what}.", argument="stages")


async def _free_name(ctx: Write, name: str) -> None:
    taken = await ctx.session.scalar(
        select(Pipeline.id).where(
            Pipeline.org_id == ctx.principal.org,
            func.lower(Pipeline.name) == func.lower(name.strip()),
            Pipeline.archived_at.is_(None),
        )
    )
    if taken is not None:
        hint = "A pipeline has that name already; take another, or change it with update_pipeline."
        raise Refusal("PIPELINE_EXISTS", hint, pipeline=ids.show("pipelines", taken))


async def _default_of(ctx: Write, kind: str) -> Pipeline | None:
    return await ctx.session.scalar(
        select(Pipeline).where(
            Pipeline.org_id == ctx.principal.org,
            Pipeline.kind == kind,
            Pipeline.is_default,
            Pipeline.archived_at.is_(None),
        )
    )


async def _archived(ctx: Write, pipeline: Pipeline) -> list[PipelineStage]:
    found = await ctx.session.scalars(
        select(PipelineStage)
        .where(
            PipelineStage.org_id == ctx.principal.org,
            PipelineStage.pipeline_id == pipeline.id,
            PipelineStage.archived_at.is_not(None),
        )
        .order_by(PipelineStage.position)
    )
    return list(found)


async def _unused(ctx: Write, where: Any, name: str) -> None:
    """Refuse what records stand in that are still on their way.

    Raises:
        Refusal: IN_USE.
    """
    count = await ctx.session.scalar(
        select(func.count()).where(
            PipelinePosition.org_id == ctx.principal.org,
            where,
            PipelinePosition.closed_at.is_(None),
            PipelinePosition.archived_at.is_(None),
        )
    )
    if count:
        hint = f"{count} records are on their way in {name}. Move them on with move_to_stage first."
        raise Refusal("IN_USE", hint, records=count)
