"""An order, held until a person approves it: of goods at today's prices, of a quote, or under warranty."""

from decimal import Decimal

from pydantic import Field

from crm_mcp.context import Write
from crm_mcp.crm import documents, orders, pricing
from crm_mcp.crm.documents import OrderView
from crm_mcp.crm.orders import Placed
from crm_mcp.crm.pricing import Line
from crm_mcp.errors import Refusal
from crm_mcp.money import Percent, said
from crm_mcp.principal import Agent
from crm_mcp.tool import SELLERS, Answer, Display, Effect, Text, WriteArgs, tool


class CreateOrderDraft(WriteArgs):
    customer: Text | None = Field(None, max_length=60, description="cust_…; not with quote.")
    lines: tuple[Line, ...] = Field((), max_length=pricing.MOST_LINES, description="Not with quote.")
    quote: Text | None = Field(None, max_length=60, description="quo_…: what it offers, at its prices.")
    discount_percent: Percent = Field(Decimal(0), description="On the whole.")
    issue: Text | None = Field(None, max_length=60, description="iss_… whose warranty these goods replace, free.")
    comment: Text | None = Field(None, max_length=2000, description="Shown on the order.")


@tool(
    title="Create order draft",
    toolset="orders",
    roles=SELLERS,
    effect=Effect.WRITE,
    agents={Agent.ORDER},
    version=2,
)
async def create_order_draft(ctx: Write, args: CreateOrderDraft) -> Answer[OrderView]:
    """Prepare an order, from lines or an accepted quote. Use when the customer has said what they want; for a price
    alone use calculate_pricing, for an offer create_quote_draft. A person approves it before it exists."""
    placed = await _placed(ctx, args)
    total, name = placed.total, placed.buyer.name
    gross = said(total.gross, total.currency)
    view = documents.order_view(placed.order, placed.buyer.shown, total)
    what = "a replacement under warranty" if args.issue else "an order"
    did = f"create {what} of {pricing.items(total.lines)}, {gross} gross, for {name}"
    return Answer(view, Display(title=f"Order for {name}", subtitle=gross), did=did, warnings=placed.warnings)


async def _placed(ctx: Write, args: CreateOrderDraft) -> Placed:
    if args.quote is not None:
        if args.customer or args.lines or args.discount_percent or args.issue:
            hint = "A quote says who buys what at which price. Give quote alone, or customer and lines."
            raise Refusal("INVALID_ARGUMENT", hint, argument="quote")
        return await orders.accept(ctx, args.quote, args.comment)
    if args.customer is None or not args.lines:
        missing = "lines" if args.customer else "customer"
        raise Refusal("INVALID_ARGUMENT", f"The argument {missing!r} is required without a quote.", argument=missing)
    return await orders.create(ctx, args.customer, args.lines, args.comment, args.discount_percent, args.issue)
