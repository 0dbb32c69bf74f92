"""Records put into a pipeline, each decided alone."""

from typing import Annotated

from pydantic import Field

from crm_mcp.context import Write
from crm_mcp.crm import moving
from crm_mcp.crm.positions import PositionView
from crm_mcp.money import Currency, Sum
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import Answer, Display, Effect, Text, Words, WriteArgs, tool


class AddToPipeline(WriteArgs):
    records: tuple[Annotated[Text, Field(description="deal_…, lead_…, cont_…, ind_…, cust_…")], ...] = Field(
        min_length=1, max_length=100
    )
    pipeline: Text = Field(max_length=100, description="pipe_…, name or kind.")
    stage: Text | None = Field(None, max_length=100, description="stage_… or its name; the first.")
    value: Sum | None = Field(None, description="Of each; a deal has its own.")
    currency: Currency | None = None
    criteria_met: tuple[Words, ...] = Field((), max_length=50)


@tool(
    title="Add to pipeline",
    toolset="pipelines",
    roles={Role.ADMIN, Role.SALES},
    effect=Effect.WRITE,
    agents={Agent.SALES},
    each="records",
)
async def add_to_pipeline(ctx: Write, args: AddToPipeline) -> Answer[PositionView]:
    """Put records into a pipeline. Use when they begin its way; for the next stage use move_to_stage. Each is decided
    alone."""
    (record,) = args.records
    done = await moving.add(
        ctx,
        record,
        args.pipeline,
        stage=args.stage,
        value=args.value,
        currency=args.currency,
        criteria_met=args.criteria_met,
        explanation=args.reason,
    )
    view = done.view
    return Answer(
        view, Display(title=view.record["name"], subtitle=f"{view.pipeline['name']}: {view.stage}"),
        did=done.did, warnings=done.warnings,
    )  # fmt: skip
