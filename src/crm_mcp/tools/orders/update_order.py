"""A change to an order: its lines, its discount, how far it has come."""

from typing import Literal

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Write
from crm_mcp.crm import documents, orders, pricing
from crm_mcp.crm.documents import OrderView
from crm_mcp.errors import Refusal
from crm_mcp.money import Percent, said
from crm_mcp.principal import Agent
from crm_mcp.tool import SELLERS, Answer, Args, Display, Effect, Text, Words, WriteArgs, tool


class LineChange(Args):
    product: Text = Field(max_length=60, description="prod_…")
    quantity: int = Field(ge=0, le=1_000_000, description="The new quantity; 0 takes it out.")
    discount_percent: Percent | None = None


class UpdateOrder(WriteArgs):
    order: Text = Field(max_length=60, description="ord_…")
    lines: tuple[LineChange, ...] = Field(
        (), max_length=pricing.MOST_LINES, description="Only those that change; the others stay."
    )
    discount_percent: Percent | None = None
    status: Literal["shipped", "completed", "cancelled"] | None = None
    cancel_reason: Words | None = Field(None, max_length=2000, description="With cancelled.")
    comment: Text | None = Field(None, max_length=2000, description="Replaces the old one.")


@tool(title="Update order", toolset="orders", roles=SELLERS, effect=Effect.WRITE, agents={Agent.ORDER})
async def update_order(ctx: Write, args: UpdateOrder) -> Answer[OrderView]:
    """Change an order: quantities, products or discount while it is confirmed; then mark it shipped or completed, or
    cancel it. Use when an existing order is to change; for a new one use create_order_draft, to look use get_order.
    A person approves it."""
    wanted = {ids.parse("products", line.product): (line.quantity, line.discount_percent) for line in args.lines}
    if len(wanted) < len(args.lines):
        raise Refusal("INVALID_ARGUMENT", "lines: name each product once.", argument="lines")
    change = orders.Change(args.status, wanted, args.discount_percent, args.comment, args.cancel_reason)
    done = await orders.update(ctx, args.order, change)
    customer = {"id": ids.show("customers", done.order.customer_id), "name": done.buyer}
    view = documents.order_view(done.order, customer, done.total)
    of = f"order {done.order.number or view.id} of {done.buyer}"
    gross = said(done.total.gross, done.total.currency)
    did = f"{'; '.join(done.did)}: {of}, {gross} gross" if done.did else f"change nothing on {of}"
    return Answer(view, Display(title=of.capitalize(), subtitle=gross), did=did, warnings=done.warnings)
