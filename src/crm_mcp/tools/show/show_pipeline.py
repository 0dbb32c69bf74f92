"""One pipeline as a page in the chat: its stages and the records in it, the longest in their stage first."""

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.crm import pipelines_shown
from crm_mcp.crm.pipelines_shown import PipelineRow
from crm_mcp.principal import Role
from crm_mcp.tool import Answer, Args, Effect, Text, tool

MOST = 50


class ShowPipeline(Args):
    pipeline: Text = Field(max_length=100, description="pipe_…, name or kind.")


@tool(
    title="Show pipeline",
    toolset="show",
    roles={Role.ADMIN, Role.SALES, Role.OPERATIONS},
    effect=Effect.READ,
    page="ui://crm/pipeline",
)
async def show_pipeline(ctx: Read, args: ShowPipeline) -> Answer[PipelineRow]:
    """Show a pipeline on a page. Use when asked to see one."""
    asked = pipelines_shown.Asked(pipeline=args.pipeline, records=True, limit=MOST)
    answer = await pipelines_shown.shown(ctx, asked)
    return Answer(answer.record[0], answer.display, answer.meta, whole=True)
