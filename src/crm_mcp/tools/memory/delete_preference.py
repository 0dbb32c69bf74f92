"""Forgetting one preference."""

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Write
from crm_mcp.crm import learnings, preferences
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Display, Effect, Text, WriteArgs, tool
from crm_mcp.tools.memory.save_preference import PreferenceView, view_of


class DeletePreference(WriteArgs):
    preference: Text = Field(max_length=60, description="pref_… or mem_…")


@tool(
    title="Delete preference",
    toolset="memory",
    roles=EVERYONE,
    effect=Effect.NOTE,
    agents={Agent.SETTINGS},
)
async def delete_preference(ctx: Write, args: DeletePreference) -> Answer[PreferenceView]:
    """Forget a preference of this person, or a memory. Use when they take it back or it is wrong; to change one,
    save_preference again. undo_change brings it back."""
    if args.preference.startswith(f"{ids.PREFIX['learnings']}_"):
        memory = await learnings.forget(ctx, args.preference)
        view = PreferenceView(id=args.preference, kind=memory.kind, text=memory.content, source=memory.source)
        return Answer(view, Display(title=memory.content[:80], badge="forgotten"), did=f"forget {args.preference}")
    row = await preferences.forget(ctx, args.preference)
    return Answer(view_of(row), Display(title=row.content[:80], badge="forgotten"), did=f"forget {args.preference}")
