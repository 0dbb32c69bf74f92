"""A change to a pipeline: its name, its stages, what it takes to leave them; a person approves it."""

from pydantic import Field

from crm_mcp.context import Write
from crm_mcp.crm import pipelines, shaping
from crm_mcp.crm.pipelines import MOST_STAGES, PipelineView, StageChange
from crm_mcp.principal import Role
from crm_mcp.tool import Answer, Display, Effect, Text, Words, WriteArgs, tool


class UpdatePipeline(WriteArgs):
    pipeline: Text = Field(max_length=100, description="pipe_… or its name.")
    name: Words | None = Field(None, max_length=100)
    description: Text | None = Field(None, max_length=4000)
    automation: bool | None = None
    is_default: bool | None = None
    archive: bool = False
    stages: tuple[StageChange, ...] = Field((), max_length=MOST_STAGES, description="Only those that change.")


@tool(title="Update pipeline", toolset="pipelines", roles={Role.ADMIN, Role.SALES}, effect=Effect.WRITE)
async def update_pipeline(ctx: Write, args: UpdatePipeline) -> Answer[PipelineView]:
    """Change a pipeline: its name, its stages, what it takes to leave them. Use when the way itself changes; to move records
    on it use move_to_stage. A person approves it."""
    made, stages, did = await shaping.update(
        ctx,
        args.pipeline,
        args.stages,
        name=args.name,
        description=args.description,
        automation=args.automation,
        is_default=args.is_default,
        archive=args.archive,
    )
    what = f"{'; '.join(did)}: the pipeline {made.name}" if did else f"change nothing on the pipeline {made.name}"
    return Answer(pipelines.view_of(made, stages), Display(title=made.name, subtitle=made.kind), did=what)
