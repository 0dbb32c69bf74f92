"""An order, held until a person approves it."""

from typing import ClassVar

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Write
from crm_mcp.crm import orders, pricing
from crm_mcp.crm.pricing import Line, LineView
from crm_mcp.money import Money, money, said
from crm_mcp.principal import Agent
from crm_mcp.tool import SELLERS, Answer, Display, Effect, Text, View, WriteArgs, tool


class CreateOrderDraft(WriteArgs):
    customer: Text = Field(max_length=60, description="cust_…")
    lines: tuple[Line, ...] = Field(min_length=1, max_length=pricing.MOST_LINES)
    comment: Text | None = Field(None, max_length=2000, description="Shown on the order.")


class OrderView(View):
    noun: ClassVar[str] = "order"
    nouns: ClassVar[str] = "orders"

    id: str
    number: str
    customer: dict[str, str]
    status: str
    lines: list[LineView]
    net: Money
    tax: Money
    gross: Money
    comment: str | None = None


@tool(
    title="Create order draft",
    toolset="orders",
    roles=SELLERS,
    effect=Effect.WRITE,
    agents={Agent.ORDER, Agent.SALES},
)
async def create_order_draft(ctx: Write, args: CreateOrderDraft) -> Answer[OrderView]:
    """Prepare an order for a customer. Use when the customer has said what they want; for a price alone use
    calculate_pricing. The answer is approval_required: a person approves before the order exists. Tell the user it
    waits, and follow it with get_draft."""
    placed = await orders.create(ctx, args.customer, args.lines, args.comment)
    order, total = placed.order, placed.total
    currency = total.currency
    view = OrderView(
        id=ids.show("orders", order.id),
        number=order.number or ids.UNDRAWN,
        customer={"id": ids.show("customers", placed.customer.id), "name": placed.customer.name},
        status="confirmed",
        lines=[pricing.line_view(line) for line in total.lines],
        net=money(total.net, currency),
        tax=money(total.tax, currency),
        gross=money(total.gross, currency),
        comment=args.comment,
    )
    items = ", ".join(f"{line.quantity} × {line.offer.name}" for line in total.lines[:3])
    if len(total.lines) > 3:
        items += f" and {len(total.lines) - 3} more"
    gross = said(total.gross, currency)
    did = f"create an order of {items}, {gross} gross, for {placed.customer.name}"
    return Answer(view, Display(title=f"Order for {placed.customer.name}", subtitle=gross), did=did)
