"""What was done, taken back."""

from typing import ClassVar

from pydantic import Field

from crm_mcp.context import Write
from crm_mcp.crm import undoing
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Display, Effect, Text, View, WriteArgs, tool

TOLD = 5
"""Records that the sentence names."""


class UndoChange(WriteArgs):
    change: Text = Field(max_length=60, description="A result's _meta.change, or an approved draft's id.")


class UndoneView(View):
    noun: ClassVar[str] = "undone"
    nouns: ClassVar[str] = "undone"

    change: str
    records: list[dict[str, str]]


@tool(
    title="Undo change",
    toolset="drafts",
    roles=EVERYONE,
    effect=Effect.WRITE,
    agents={Agent.CUSTOMER, Agent.ORDER, Agent.SUPPORT},
)
async def undo_change(ctx: Write, args: UndoChange) -> Answer[UndoneView]:
    """Take back what one call changed. Use when something was done by mistake; for a draft that waits use
    discard_draft. A person approves it where a person had approved the change."""
    done = await undoing.undo(ctx, args.change)
    records = [{"id": one.record, "what": one.what} for one in done]
    named = "; ".join(f"{one.record}: {one.what}" for one in done[:TOLD])
    more = f" and {len(done) - TOLD} more" if len(done) > TOLD else ""
    view = UndoneView(change=args.change, records=records)
    return Answer(view, Display(title=f"Undo of {args.change}"), did=f"undo {args.change} ({named}{more})")
