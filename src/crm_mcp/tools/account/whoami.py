"""Who is asking, and what they may do."""

from typing import Any, ClassVar

from crm_mcp.budgets import NEAR, STANDING, warnings_of
from crm_mcp.context import Read
from crm_mcp.money import Money, money
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, View, tool

TOP = 5
"""Preferences told (S0 section 4), within `ROOM` characters: 300 tokens (S0 section 9)."""
ROOM = 1_200
SQL = f"""select coalesce(jsonb_agg(jsonb_build_array(x.id, x.content) order by x.uses desc, x.id desc), '[]'),
  (select jsonb_agg({STANDING}) from crm.budget_standing(%(org)s, %(user)s, clock_timestamp()) s where s.scope <> 'request' and {NEAR})
 from (select p.id, p.content, coalesce(u.uses, 0) as uses
  from crm.preferences p left join crm.preference_uses u on u.org_id = p.org_id and u.preference_id = p.id
  where p.org_id = %(org)s and p.user_id = %(user)s and p.forgotten_at is null and p.archived_at is null and p.confidence > 0.7
  order by uses desc, p.id desc limit %(top)s) x"""


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
    row = await ctx.one(SQL, top=TOP)
    if known := _within(row[0] if row else []):
        meta["preferences"] = known
    if row and row[1]:
        meta["modelBudget"] = [line for one in row[1] for line in warnings_of(one, who.currency)]
    return Answer(view, Display(title=who.name, subtitle=f"{who.role}, {who.org_name}", badge=who.agent), meta)


def _within(rows: list[list[Any]]) -> list[str]:
    """Return what is known of how the person wants things, as much as there is room for."""
    told: list[str] = []
    for number, text in rows:
        line = f"{text} (pref_{number})"
        if sum(map(len, told)) + len(line) > ROOM:
            break
        told.append(line)
    return told
