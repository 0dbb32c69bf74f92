"""What an order would cost, without making one."""

from collections import Counter
from typing import Any, ClassVar

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.crm import pricing
from crm_mcp.crm.pricing import Line, LineView, Offer
from crm_mcp.money import Money, money, said
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import SELLERS, Answer, Args, Display, Effect, View, tool

SQL = """select coalesce(jsonb_agg(jsonb_build_array(p.id, p.name, p.unit_price::text, p.currency, p.tax_rate::text, p.discontinued,
   (select coalesce(sum(m.quantity), 0) from crm.stock_movements m where m.org_id = p.org_id and m.product_id = p.id))), '[]')
 from crm.products p where p.org_id = %(org)s and p.id = any(%(ids)s) and p.archived_at is null"""


class CalculatePricing(Args):
    lines: tuple[Line, ...] = Field(min_length=1, max_length=pricing.MOST_LINES)


class PricingView(View):
    noun: ClassVar[str] = "pricing"
    nouns: ClassVar[str] = "pricings"

    lines: list[LineView]
    net: Money
    tax: Money
    gross: Money


@tool(
    title="Calculate pricing",
    toolset="orders",
    roles=SELLERS | {Role.FINANCE},
    effect=Effect.READ,
    agents={Agent.ORDER, Agent.SALES},
)
async def calculate_pricing(ctx: Read, args: CalculatePricing) -> Answer[PricingView]:
    """Calculate net, tax and gross of products and quantities, with discounts, and say what is in stock. Use when a
    customer asks what something costs; nothing is ordered. To order use create_order_draft."""
    row = await ctx.one(SQL, ids=[ids.parse("products", line.product) for line in args.lines])
    rows: list[list[Any]] = row[0] if row else []
    offers = {r[0]: Offer.read(r) for r in rows}
    total = pricing.price(args.lines, offers)
    view = PricingView(
        lines=[pricing.line_view(line) for line in total.lines],
        net=money(total.net, total.currency),
        tax=money(total.tax, total.currency),
        gross=money(total.gross, total.currency),
    )
    asked: Counter[int] = Counter()
    for line in total.lines:
        asked[line.offer.id] += line.quantity
    short = [
        {"product": ids.show("products", product), "missing": units - offers[product].stock}
        for product, units in asked.items()
        if offers[product].stock < units
    ]
    meta = {"shortOfStock": short} if short else {}
    return Answer(view, Display(title=said(total.gross, total.currency), subtitle="gross, nothing is ordered"), meta)
