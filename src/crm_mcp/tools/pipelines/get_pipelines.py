"""Pipelines with their stages, counts and value; the records in one; where one record stands and how it came there."""

from typing import Literal

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.crm import pipelines_shown
from crm_mcp.crm.pipelines_shown import PipelineRow
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import Answer, Args, Effect, Text, tool


class GetPipelines(Args):
    pipeline: Text | None = Field(None, max_length=100, description="pipe_…, its name, or a kind: its default.")
    stage: Text | None = Field(None, max_length=100)
    record: Text | None = Field(None, max_length=60, description="Where it stands: deal_…, cont_… …")
    records: bool = Field(False, description="Lists those of pipe_….")
    include: tuple[Literal["criteria", "history"], ...] = Field((), max_length=2, description="history: of record.")
    limit: int = Field(20, ge=1, le=50)
    cursor: Text | None = Field(None, max_length=300)


@tool(
    title="Get pipelines",
    toolset="pipelines",
    roles={Role.ADMIN, Role.SALES, Role.OPERATIONS},
    effect=Effect.READ,
    agents={Agent.SALES, Agent.RESEARCH, Agent.ANALYTICS},
)
async def get_pipelines(ctx: Read, args: GetPipelines) -> Answer[list[PipelineRow]]:
    """Show pipelines with stages, counts and value; the records in one or in a stage; or where one record stands and how
    it came there. Use when you need a stage's records or criteria; to judge one use analyze_pipeline."""
    return await pipelines_shown.shown(ctx, pipelines_shown.Asked(**dict(args)))
