"""One order as a page in the chat: all that get_order knows, and what of it is paid."""

from typing import get_args

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.crm import orders_shown
from crm_mcp.crm.orders_shown import FullOrderView, Part
from crm_mcp.money import Money
from crm_mcp.tool import EVERYONE, Answer, Args, Effect, Text, tool

ALL: tuple[Part, ...] = tuple(part for some in get_args(Part) for part in get_args(some))


class ShowOrder(Args):
    order: Text = Field(max_length=200, description="ord_… or its number.")


class OrderPage(FullOrderView):
    balance: dict[str, Money] | None = Field(None, description="Paid, open, and on no invoice.")


@tool(
    title="Show order",
    toolset="show",
    roles=EVERYONE,
    effect=Effect.READ,
    page="ui://crm/order",
)
async def show_order(ctx: Read, args: ShowOrder) -> Answer[OrderPage]:
    """Show an order on a page. Use when asked to see one."""
    answer = await orders_shown.shown(ctx, args.order, ALL)
    return Answer(answer.record, answer.display, answer.meta, whole=True)
