"""One order with its lines, how far it has come, and the insights."""

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.crm import orders_shown
from crm_mcp.crm.orders_shown import FullOrderView, Include
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Args, Effect, Text, tool


class GetOrder(Args):
    order: Text = Field(max_length=200, description="ord_… or its number, such as ORD-00012.")
    include: tuple[Include, ...] = Field(("lines", "invoices"), max_length=6)


@tool(
    title="Get order",
    toolset="orders",
    roles=EVERYONE,
    effect=Effect.READ,
    agents={Agent.CUSTOMER, Agent.ORDER, Agent.ANALYTICS},
)
async def get_order(ctx: Read, args: GetOrder) -> Answer[FullOrderView]:
    """Show one order by id or number: status, lines, invoices, and whether it is late or short of stock. Use when
    somebody asks how an order stands; to find orders use get_orders."""
    return await orders_shown.shown(ctx, args.order, args.include)
