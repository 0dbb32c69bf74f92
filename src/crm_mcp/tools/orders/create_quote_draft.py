"""A quote, held until a person approves it."""

from datetime import date
from decimal import Decimal

from pydantic import Field

from crm_mcp.context import Write
from crm_mcp.crm import documents, pricing, quotes
from crm_mcp.crm.documents import QuoteView
from crm_mcp.crm.pricing import Line
from crm_mcp.money import Percent, said
from crm_mcp.tool import SELLERS, Answer, Display, Effect, Text, WriteArgs, tool


class CreateQuoteDraft(WriteArgs):
    customer: Text = Field(max_length=60, description="cust_…")
    lines: tuple[Line, ...] = Field(min_length=1, max_length=pricing.MOST_LINES)
    discount_percent: Percent = Field(Decimal(0), description="On the whole.")
    valid_until: date | None = Field(None, description="Last day of its prices; else as usual.")
    comment: Text | None = Field(None, max_length=2000, description="Shown on the quote.")


@tool(
    title="Create quote draft",
    toolset="orders",
    roles=SELLERS,
    effect=Effect.WRITE,
)
async def create_quote_draft(ctx: Write, args: CreateQuoteDraft) -> Answer[QuoteView]:
    """Prepare an offer whose prices hold for a while. Use when a customer wants one; once they accept use
    create_order_draft with the quote, else decline_quote. A person approves it before it exists."""
    made = await quotes.create(ctx, args.customer, args.lines, args.discount_percent, args.valid_until, args.comment)
    total, name = made.total, made.buyer.name
    gross, until = said(total.gross, total.currency), made.quote.valid_until
    did = f"create a quote of {pricing.items(total.lines)}, {gross} gross, for {name}, valid until {until}"
    view = documents.quote_view(made.quote, made.buyer, total)
    return Answer(view, Display(title=f"Quote for {name}", subtitle=gross), did=did, warnings=made.warnings)
