"""Who is asking, and what they may do."""

from typing import Any, ClassVar

from pydantic import Field

from crm_mcp.budgets import NEAR, STANDING, warnings_of
from crm_mcp.context import Read
from crm_mcp.crm import me, preferred
from crm_mcp.money import Money, money
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, View, tool

SQL = f"""select {me.COLUMNS},
 (select jsonb_agg({STANDING}) from crm.budget_standing(%(org)s, %(user)s, clock_timestamp()) s where s.scope <> 'request' and {NEAR})"""


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
    timezone: str | None = Field(None, description="Of the times they are shown.")
    locale: str | None = Field(None, description="How to write to them.")


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
    near = await ctx.recall()
    row = await ctx.one(SQL, **me.params(ctx, near))
    assert row is not None
    now, who = me.read(ctx, near, row), ctx.principal
    view = MeView(
        name=who.name,
        email=who.email,
        role=who.role,
        agent=who.agent,
        mayApprove=who.may_approve,
        org={"name": who.org_name, "slug": who.org_slug, "baseCurrency": who.currency, "timezone": who.timezone},
        approvalLimit=money(who.approval_limit, who.currency) if who.may_approve else None,
        timezone=now.display.get("timezone"),
        locale=now.display.get("locale"),
    )
    meta: dict[str, Any] = {
        "approvals": "Approving is done by a person on the approvals page, never through a tool.",
        "approvalsPage": ctx.page_url,
    }
    if now.learnt.lines:
        meta["preferences"] = now.learnt.lines
    if (page := now.page()) is not None:
        meta["currentPage"] = page
    if (customer := now.active_customer()) is not None:
        meta["activeCustomer"] = customer
    if now.memory.acts or now.drafts:
        meta["more"] = "crm://context/me"
    if row[me.WIDTH]:
        meta["modelBudget"] = [line for one in row[me.WIDTH] for line in warnings_of(one, who.currency)]
    told = now.learnt.numbers
    display = Display(title=who.name, subtitle=f"{who.role}, {who.org_name}", badge=who.agent)
    return Answer(view, display, meta, beside=[preferred.used(who, "preference", told)] if told else [])
