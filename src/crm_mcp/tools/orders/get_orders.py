"""Orders, newest first."""

from datetime import date
from typing import ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.money import Money, money_sql
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, View, tool

COUNTED = 10_000
"""Totals are exact up to here."""
FILTER = """o.org_id = %(org)s and (%(customer)s::bigint is null or o.customer_id = %(customer)s)
   and (%(status)s::text is null or o.status = %(status)s)
   and (%(since)s::date is null or o.placed_at >= %(since)s::timestamp at time zone %(zone)s)
   and (%(until)s::date is null or o.placed_at < (%(until)s::date + 1)::timestamp at time zone %(zone)s)"""
SQL = f"""with page as (select * from crm.orders o where {FILTER}
   and (%(after_at)s::timestamptz is null or (o.placed_at, o.id) < (%(after_at)s::timestamptz, %(after_id)s::bigint))
   order by o.placed_at desc, o.id desc limit %(most)s)
 select (select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', 'ord_' || o.id, 'number', o.number,
    'customer', jsonb_build_object('id', 'cust_' || c.id, 'name', c.name), 'status', o.status,
    'total', {money_sql("o.gross_total", "o.currency")}, 'placedAt', o.placed_at)) order by o.placed_at desc, o.id desc), '[]')
   from page o join crm.customers c on c.org_id = o.org_id and c.id = o.customer_id),
  (select count(*) from (select from crm.orders o where {FILTER} limit {COUNTED + 1}) x),
  (select coalesce(jsonb_agg(jsonb_build_array(o.placed_at, o.id) order by o.placed_at desc, o.id desc), '[]') from page o)"""


class GetOrders(Args):
    customer: Text | None = Field(None, max_length=60, description="cust_…")
    status: Literal["confirmed", "shipped", "completed", "cancelled"] | None = None
    placed_from: date | None = Field(None, description="In the org's zone.")
    placed_to: date | None = None
    limit: int = Field(10, ge=1, le=100)
    cursor: Text | None = Field(None, max_length=300)


class OrderRow(View):
    noun: ClassVar[str] = "order"
    nouns: ClassVar[str] = "orders"

    id: str
    number: str | None = None
    customer: dict[str, str]
    status: str
    total: Money
    placedAt: str


@tool(
    title="Get orders",
    toolset="orders",
    roles=EVERYONE,
    effect=Effect.READ,
    agents={Agent.CUSTOMER, Agent.ORDER, Agent.ANALYTICS},
)
async def get_orders(ctx: Read, args: GetOrders) -> Answer[list[OrderRow]]:
    """List orders, newest first. Use when asked what was ordered; for sums use
    run_report. One that waits for approval is a draft: list_drafts."""
    question = ["get_orders", args.model_dump(mode="json", exclude={"cursor", "limit"})]
    after = ctx.cursors.open(ctx.principal, question, args.cursor) if args.cursor else [None, None]
    row = await ctx.one(
        SQL,
        customer=ids.parse("customers", args.customer) if args.customer else None,
        status=args.status,
        since=args.placed_from,
        until=args.placed_to,
        zone=ZoneInfo(ctx.principal.timezone).key,
        after_at=after[0],
        after_id=after[1],
        most=args.limit + 1,
    )
    assert row is not None
    found, total, positions = row
    meta: dict[str, object] = {"total": total if total <= COUNTED else f"{COUNTED}+"}
    page = ctx.page(question, positions)
    return Answer(found[: args.limit], Display(title=f"{meta['total']} orders"), meta, after=page.after)
