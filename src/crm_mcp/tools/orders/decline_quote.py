"""The customer said no to a quote."""

from typing import ClassVar

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Write
from crm_mcp.crm import quotes
from crm_mcp.tool import SELLERS, Answer, Display, Effect, Text, View, Words, WriteArgs, tool


class DeclineQuote(WriteArgs):
    quote: Text = Field(max_length=60, description="quo_…")
    lost_reason: Words = Field(max_length=2000, description="Why they declined, as they said it.")


class DeclinedView(View):
    noun: ClassVar[str] = "quote"
    nouns: ClassVar[str] = "quotes"

    id: str
    number: str
    status: str
    lostReason: str


@tool(title="Decline quote", toolset="orders", roles=SELLERS, effect=Effect.WRITE)
async def decline_quote(ctx: Write, args: DeclineQuote) -> Answer[DeclinedView]:
    """Note that a customer declined a quote, with the reason. Use when an offer is lost; if they accept it use
    create_order_draft with the quote. A person approves it."""
    quote = await quotes.decline(ctx, args.quote, args.lost_reason)
    number = quote.number or ids.show("quotes", quote.id)
    view = DeclinedView(
        id=ids.show("quotes", quote.id), number=number, status=quote.status, lostReason=args.lost_reason
    )
    return Answer(
        view, Display(title=f"Quote {number}", badge="declined"), did=f"note that quote {number} was declined"
    )
