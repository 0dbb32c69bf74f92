"""Customers by what somebody knows of them."""

from typing import Any, ClassVar

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, View, tool

SQL = """with found as (
  select f.customer_id, f.score, f.reason from crm.find_customers(%(query)s, %(most)s) f
  union all select c.id, 1, 'same id' from crm.customers c where c.org_id = %(org)s and c.id = %(id)s)
 select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', 'cust_' || c.id, 'name', c.name, 'kind', c.kind,
   'email', c.email, 'phone', c.phone, 'city', c.city, 'country', c.country, 'matchReason', f.reason,
   'score', round(f.score::numeric, 2))) order by f.score desc, c.id), '[]')
 from found f join crm.customers c on c.org_id = %(org)s and c.id = f.customer_id"""


class SearchCustomers(Args):
    query: Text = Field(min_length=1, max_length=300, description="Name, e-mail, phone, domain or id.")
    limit: int = Field(10, ge=1, le=50)


class CustomerMatch(View):
    noun: ClassVar[str] = "customer"
    nouns: ClassVar[str] = "customers"

    id: str
    name: str
    kind: str
    email: str | None = None
    phone: str | None = None
    city: str | None = None
    country: str | None = None
    matchReason: str
    score: float


@tool(
    title="Search customers",
    toolset="customers",
    roles=EVERYONE,
    effect=Effect.READ,
    agents={Agent.CUSTOMER, Agent.RESEARCH},
)
async def search_customers(ctx: Read, args: SearchCustomers) -> Answer[list[CustomerMatch]]:
    """Find customers by name (typos, accents and legal suffixes do not matter), e-mail, phone or domain, best match
    first. Use when you have no id yet."""
    number = args.query.strip().removeprefix("cust_")
    exact = int(number) if number.isascii() and number.isdigit() and len(number) < 19 and "cust_" in args.query else 0
    row = await ctx.one(SQL, query="" if exact else args.query, most=args.limit + 1, id=exact)
    found: list[Any] = row[0] if row else []
    more, found = len(found) > args.limit, found[: args.limit]
    meta = {"hasMore": True, "hint": "Narrow the query or raise limit."} if more else {}
    if not found:
        meta = {
            "hint": "Nobody is like this. Try a part of the name, the e-mail address, the phone or the web domain."
        }
    return Answer(
        found, Display(title=f"{len(found)}{'+' if more else ''} customers", subtitle=args.query[:60]), meta
    )
