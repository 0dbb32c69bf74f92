"""Records moved to other stages, each decided alone."""

from pydantic import Field

from crm_mcp.context import Write
from crm_mcp.crm import moving
from crm_mcp.crm.positions import PositionView
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import Answer, Args, Display, Effect, Text, Words, WriteArgs, tool


class Move(Args):
    record: Text = Field(max_length=60, description="deal_…, lead_…, cont_… …")
    to_stage: Text = Field(max_length=100, description="stage_… or its name.")
    pipeline: Text | None = Field(None, max_length=100, description="If it is in several.")
    from_stage: Text | None = Field(None, max_length=100, description="Where you saw it.")
    criteria_met: tuple[Words, ...] = Field((), max_length=50, description="What no record can prove.")
    explanation: Words | None = Field(None, max_length=1000)
    lost_reason: Words | None = Field(None, max_length=1000)
    despite_missing: bool = Field(False, description="A person decides.")


class MoveToStage(WriteArgs):
    moves: tuple[Move, ...] = Field(min_length=1, max_length=100)


@tool(
    title="Move to stage",
    toolset="pipelines",
    roles={Role.ADMIN, Role.SALES},
    effect=Effect.WRITE,
    agents={Agent.SALES},
    each="moves",
)
async def move_to_stage(ctx: Write, args: MoveToStage) -> Answer[PositionView]:
    """Move records to a stage, each decided alone. Use when they have come further, fallen back, are won or lost.
    Criteria that the record proves need no statement; missing ones are named."""
    (move,) = args.moves
    done = await moving.move(
        ctx,
        move.record,
        move.to_stage,
        pipeline=move.pipeline,
        from_stage=move.from_stage,
        criteria_met=move.criteria_met,
        explanation=move.explanation or args.reason,
        lost_reason=move.lost_reason,
        despite_missing=move.despite_missing,
    )
    view = done.view
    return Answer(
        view, Display(title=view.record["name"], subtitle=f"{view.pipeline['name']}: {view.stage}"),
        did=done.did, warnings=done.warnings,
    )  # fmt: skip
