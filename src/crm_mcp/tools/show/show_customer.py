"""One customer as a page in the chat: all that get_customer knows, and what the last twelve months brought."""

from typing import Any, get_args

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.crm import customers
from crm_mcp.crm.customers import CustomerView, Part
from crm_mcp.tool import EVERYONE, Answer, Args, Effect, Text, tool

ALL: tuple[Part, ...] = tuple(part for some in get_args(Part) for part in get_args(some))


class ShowCustomer(Args):
    customer: Text = Field(max_length=60, description="cust_…")


class CustomerPage(CustomerView):
    months: list[dict[str, Any]] | None = Field(None, description="The last twelve, revenue in base currency.")


@tool(
    title="Show customer",
    toolset="show",
    roles=EVERYONE,
    effect=Effect.READ,
    page="ui://crm/customer",
)
async def show_customer(ctx: Read, args: ShowCustomer) -> Answer[CustomerPage]:
    """Show a customer on a page. Use when asked to see one."""
    answer = await customers.shown(ctx, args.customer, ALL)
    return Answer(answer.record, answer.display, answer.meta, whole=True)
