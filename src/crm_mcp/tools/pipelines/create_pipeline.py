"""A new pipeline with its stages; a person approves it."""

from pydantic import Field

from crm_mcp.context import Write
from crm_mcp.crm import pipelines, shaping
from crm_mcp.crm.pipelines import MOST_STAGES, Kind, PipelineView, StageArgs
from crm_mcp.principal import Role
from crm_mcp.tool import Answer, Display, Effect, Text, Words, WriteArgs, tool


class CreatePipeline(WriteArgs):
    name: Words = Field(max_length=100)
    kind: Kind = "custom"
    description: Text | None = Field(None, max_length=4000)
    stages: tuple[StageArgs, ...] = Field(min_length=1, max_length=MOST_STAGES, description="In order.")
    automation: bool = True
    is_default: bool | None = Field(None, description="Of its kind.")


@tool(
    title="Create pipeline",
    toolset="pipelines",
    roles={Role.ADMIN, Role.SALES},
    effect=Effect.WRITE,
)
async def create_pipeline(ctx: Write, args: CreatePipeline) -> Answer[PipelineView]:
    """Make a pipeline: active stages, then won and lost; unless said, the last is won, and Lost is added. Use when there
    is a new way for records to go; to change one use update_pipeline. A person approves it."""
    made, stages = await shaping.create(
        ctx,
        args.name,
        args.kind,
        args.stages,
        description=args.description,
        automation=args.automation,
        is_default=args.is_default,
    )
    way = " → ".join(stage.name for stage in stages)
    did = f"create the pipeline {made.name}: {way}"
    return Answer(pipelines.view_of(made, stages), Display(title=made.name, subtitle=made.kind), did=did)
