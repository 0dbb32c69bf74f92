"""What an order would cost, without making one."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import ClassVar

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.crm import missing, pricing
from crm_mcp.crm.pricing import OFFERS, Line, LineView, Offer
from crm_mcp.money import Money, Percent, money, said
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import SELLERS, Answer, Args, Display, Effect, Text, View, tool

ZONE = "(select c.tax_zone from crm.customers c where c.org_id = %(org)s and c.id = %(customer)s)"
SQL = f"""select {OFFERS.format(zone=ZONE)},
 %(customer)s::bigint is null or exists (select from crm.customers c where c.org_id = %(org)s and c.id = %(customer)s)"""


class CalculatePricing(Args):
    lines: tuple[Line, ...] = Field(min_length=1, max_length=pricing.MOST_LINES)
    discount_percent: Percent = Field(Decimal(0), description="On the whole.")
    customer: Text | None = Field(None, max_length=60, description="cust_…, for the tax of their zone.")


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
    agents={Agent.ORDER},
)
async def calculate_pricing(ctx: Read, args: CalculatePricing) -> Answer[PricingView]:
    """Calculate net, tax and gross of products and quantities, with discounts and a customer's tax, and what is short
    of stock. Use when a customer asks what something costs; to order use create_order_draft."""
    row = await ctx.one(
        SQL,
        products=[ids.parse("products", line.product) for line in args.lines],
        customer=ids.parse("customers", args.customer) if args.customer else None,
        today=ctx.principal.day(datetime.now(UTC)),
    )
    assert row is not None
    rows, is_known = row
    if not is_known:
        raise missing.customer(args.customer or "")
    offers = {r[0]: Offer.read(r) for r in rows}
    total = pricing.price(args.lines, offers, args.discount_percent)
    view = PricingView(
        lines=[pricing.line_view(line, total.currency) for line in total.lines],
        net=money(total.net, total.currency),
        tax=money(total.tax, total.currency),
        gross=money(total.gross, total.currency),
    )
    short = [
        {"product": ids.show("products", offer.id), "missing": units}
        for offer, units in pricing.shortages(total.lines, offers)
    ]
    meta = {"shortOfStock": short} if short else {}
    return Answer(view, Display(title=said(total.gross, total.currency), subtitle="gross, nothing is ordered"), meta)
