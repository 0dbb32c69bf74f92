"""Editing one's own draft."""

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Write
from crm_mcp.crm.drafts import DraftView
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Display, Effect, Text, Values, WriteArgs, tool


class ReviseDraft(WriteArgs):
    draft: Text = Field(max_length=60, description="draft_…")
    arguments: Values = Field(description="What to replace in the drafted call; null: leave out.")


@tool(
    title="Revise draft",
    toolset="drafts",
    roles=EVERYONE,
    effect=Effect.NOTE,
    agents={Agent.CUSTOMER, Agent.ORDER, Agent.SUPPORT},
)
async def revise_draft(ctx: Write, args: ReviseDraft) -> Answer[DraftView]:
    """Change a draft of yours that still waits. Use when it is nearly right; else discard_draft."""
    assert ctx.revise is not None
    draft = ids.show("drafts", ids.parse("drafts", args.draft))
    now = await ctx.revise(ids.parse("drafts", draft), args.arguments, args.reason)
    view = DraftView(
        id=draft,
        state="pending",
        summary=f"It would {now.did}.",
        version=now.version,
        expiresAt=now.expires.isoformat(),
    )
    did = f"revise {draft}, which waits for a person; it would {now.did}"
    return Answer(view, Display(title=draft, badge="pending"), did=did, warnings=now.warnings)
