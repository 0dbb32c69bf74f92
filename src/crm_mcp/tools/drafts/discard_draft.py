"""Withdrawing one's own draft."""

from pydantic import Field
from sqlalchemy import text

from crm_mcp import ids
from crm_mcp.context import Write
from crm_mcp.crm import drafts
from crm_mcp.crm.drafts import DraftView
from crm_mcp.errors import Refusal
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Display, Effect, Text, WriteArgs, tool

STATE = text(f"""select {drafts.STATE} from crm.drafts d where d.org_id = :org and d.id = :id
 and (d.requester = :user or :all)""")


class DiscardDraft(WriteArgs):
    draft: Text = Field(max_length=60, description="draft_…")


@tool(
    title="Discard draft",
    toolset="drafts",
    roles=EVERYONE,
    effect=Effect.NOTE,
    agents=set(Agent) - {Agent.TRIAGE, Agent.SALES},
)
async def discard_draft(ctx: Write, args: DiscardDraft) -> Answer[DraftView]:
    """Withdraw a draft of your own before anybody decides it. Use when it is wrong or no longer wanted. A person
    approves or rejects, on the approvals page."""
    number = ids.parse("drafts", args.draft)
    if not await ctx.session.scalar(text("select crm.discard(:id)"), {"id": number}):
        who = ctx.principal
        state = await ctx.session.scalar(
            STATE, {"org": who.org, "id": number, "user": who.user, "all": drafts.sees_all(who)}
        )
        if state is None:
            raise drafts.not_found(args.draft)
        if state == "pending":
            raise Refusal("NOT_YOUR_DRAFT", "Only whoever drafted it may withdraw it; an approver may reject it.")
        raise Refusal("DRAFT_DECIDED", f"It is {state} already; get_draft tells more.", draft=args.draft, state=state)
    return Answer(
        DraftView(id=args.draft, state="discarded"),
        Display(title=args.draft, badge="discarded"),
        did=f"withdraw {args.draft}",
    )
