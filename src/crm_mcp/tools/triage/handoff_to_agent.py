"""The triage agent's only tool: which specialist works on a request, and what it is told (S0 section 3)."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.errors import Refusal
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, View, Words, tool

TURNS = 10
"""How much of the conversation is handed on (S0 section 3)."""
SELLING = frozenset({Role.ADMIN, Role.SALES})
SERVING: Mapping[Agent, frozenset[Role]] = {
    Agent.CUSTOMER: EVERYONE,
    Agent.ORDER: EVERYONE,
    Agent.ANALYTICS: EVERYONE,
    Agent.SUPPORT: EVERYONE - {Role.FINANCE},
    Agent.SETTINGS: EVERYONE,
    Agent.SALES: SELLING | {Role.OPERATIONS},
    Agent.RESEARCH: EVERYONE,
}
"""Whom each specialist is of use to: where the role may use the toolset that the specialist is for."""
PAGES: Mapping[str, str] = {"customer": "customers", "order": "orders", "product": "products"}
SQL = """select
 (select coalesce(jsonb_agg(x.id), '[]') from crm.customers x where x.org_id = %(org)s and x.id = any(%(customers)s)),
 (select coalesce(jsonb_agg(x.id), '[]') from crm.orders x where x.org_id = %(org)s and x.id = any(%(orders)s)),
 (select coalesce(jsonb_agg(x.id), '[]') from crm.products x where x.org_id = %(org)s and x.id = any(%(products)s))"""
Id = Annotated[Text, Field(max_length=100)]
Specialist = Literal["customer", "order", "analytics", "support", "settings", "sales", "research"]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class DateRange(Part):
    from_: date = Field(alias="from")
    to: date

    @model_validator(mode="after")
    def _ordered(self) -> "DateRange":
        if self.from_ > self.to:
            raise ValueError("the range ends before it begins")
        return self


class Entities(Part):
    customerIds: list[Id] | None = Field(
        default=None, max_length=50, description="Such as cust_12, only as they were given."
    )
    orderIds: list[Id] | None = Field(default=None, max_length=50, description="Such as ord_1007.")
    dateRange: DateRange | None = None


class Message(Part):
    role: Literal["user", "assistant"]
    content: Text = Field(max_length=8000, description="What was said.")


class PageContext(Part):
    route: Text = Field(max_length=500, description="Where the user is.")
    entityType: Literal["customer", "order", "product"]
    entityId: Id = Field(description="What 'this' is.")


class HandoffToAgent(Args):
    agent: Specialist
    userIntent: Words = Field(max_length=4000, description="What the user wants, whole.")
    extractedEntities: Entities = Field(default_factory=Entities)
    handoffReason: Words = Field(max_length=500, description="Why this agent.")
    conversationHistory: list[Message] = Field(default=[], max_length=TURNS, description="The last turns.")
    pageContext: PageContext | None = None


class HandoffView(View):
    noun: ClassVar[str] = "handoff"
    nouns: ClassVar[str] = "handoffs"

    agent: str
    userIntent: str
    extractedEntities: dict[str, Any]
    handoffReason: str
    conversationHistory: list[dict[str, str]]
    pageContext: dict[str, str] | None = None


@tool(
    title="Hand off to agent",
    toolset="triage",
    roles=EVERYONE,
    agents={Agent.TRIAGE},
    effect=Effect.READ,
    persons=False,
)
async def handoff_to_agent(ctx: Read, args: HandoffToAgent) -> Answer[HandoffView]:
    """Hand the request to the specialist who does it: customer (customers, contacts, relationships), order (orders,
    quotes, prices), analytics (figures, reports, invoices and payments over many records), support (issues,
    warranties), settings (preferences), sales (deals, leads, pipelines), research (similar, missing or duplicate
    records). Use for every request, exactly once; never answer it yourself."""
    agent, role = Agent(args.agent), ctx.principal.role
    if role not in SERVING[agent]:
        known = [one.value for one, roles in SERVING.items() if role in roles]
        raise Refusal(
            "AGENT_NOT_AVAILABLE", f"The {agent} agent can do nothing for this role.", argument="agent", known=known
        )
    entities, page = args.extractedEntities, args.pageContext
    asked: dict[str, Sequence[str]] = {
        "customers": entities.customerIds or [],
        "orders": entities.orderIds or [],
    }
    known = await _known(ctx, asked, page)
    dropped = [given for kind, some in asked.items() for given in some if given not in known[kind]]
    told: dict[str, Any] = {}
    for name, kind in (("customerIds", "customers"), ("orderIds", "orders")):
        if kept := [given for given in dict.fromkeys(asked[kind]) if given in known[kind]]:
            told[name] = kept
    if entities.dateRange is not None:
        told["dateRange"] = entities.dateRange.model_dump(mode="json", by_alias=True)
    if page is not None and page.entityId not in known[PAGES[page.entityType]]:
        dropped.append(page.entityId)
        page = None
    view = HandoffView(
        agent=agent,
        userIntent=args.userIntent,
        extractedEntities=told,
        handoffReason=args.handoffReason,
        conversationHistory=[one.model_dump() for one in args.conversationHistory],
        pageContext=None if page is None else page.model_dump(),
    )
    return Answer(view, Display(title=f"To the {agent} agent"), {"dropped": dropped} if dropped else {})


async def _known(ctx: Read, asked: Mapping[str, Sequence[str]], page: PageContext | None) -> Mapping[str, set[str]]:
    """Return which ids there are in the org, by kind; what is no id of that kind is none."""
    given: dict[str, list[str]] = {kind: list(asked.get(kind, ())) for kind in PAGES.values()}
    if page is not None:
        given[PAGES[page.entityType]].append(page.entityId)
    row = await ctx.one(SQL, **{kind: _numbers(kind, some) for kind, some in given.items()})
    assert row is not None
    return {
        kind: {ids.show(kind, number) for number in found} for kind, found in zip(PAGES.values(), row, strict=True)
    }


def _numbers(kind: str, given: Sequence[str]) -> list[int]:
    numbers: list[int] = []
    for one in given:
        try:
            numbers.append(ids.parse(kind, one))
        except Refusal:
            continue
    return numbers
