"""Who is asking, and what they may do."""

from typing import Any, ClassVar

from crm_mcp.context import Read
from crm_mcp.crm import preferred
from crm_mcp.money import Money, money
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, View, tool


class WhoAmI(Args):
    pass


class MeView(View):
    noun: ClassVar[str] = "me"
    nouns: ClassVar[str] = "people"

    name: str
    email: str
    role: str
    org: dict[str, Any]
    agent: str | None = None
    mayApprove: bool
    approvalLimit: Money | None = None


@tool(
    title="Who am I",
    toolset="account",
    roles=EVERYONE,
    effect=Effect.READ,
    agents=set(Agent) - {Agent.TRIAGE},
)
async def whoami(ctx: Read, args: WhoAmI) -> Answer[MeView]:
    """Tell whose data this is and how they want it: person, role, org, currency, time zone. Use at the start of a
    conversation, or when asked what you may do."""
    who = ctx.principal
    view = MeView(
        name=who.name,
        email=who.email,
        role=who.role,
        agent=who.agent,
        mayApprove=who.may_approve,
        org={"name": who.org_name, "slug": who.org_slug, "baseCurrency": who.currency, "timezone": who.timezone},
        approvalLimit=money(who.approval_limit, who.currency) if who.may_approve else None,
    )
    meta: dict[str, Any] = {
        "approvals": "Approving is done by a person on the approvals page, never through a tool.",
        "approvalsPage": ctx.page_url,
    }
    known = await preferred.told(ctx.one)
    if known.lines:
        meta["preferences"] = known.lines
    counted = [preferred.used(who, "preference", known.numbers)] if known.numbers else []
    display = Display(title=who.name, subtitle=f"{who.role}, {who.org_name}", badge=who.agent)
    return Answer(view, display, meta, beside=counted)
