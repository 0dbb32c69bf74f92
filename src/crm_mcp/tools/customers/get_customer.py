"""One customer with what is asked for, and the insights."""

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.crm import customers
from crm_mcp.crm.customers import DEFAULT, CustomerView, Include
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Args, Effect, Text, tool


class GetCustomer(Args):
    customer: Text = Field(max_length=60, description="cust_…")
    include: tuple[Include, ...] = Field(DEFAULT, max_length=8)


@tool(
    title="Get customer",
    toolset="customers",
    roles=EVERYONE,
    effect=Effect.READ,
    agents={Agent.CUSTOMER, Agent.ORDER, Agent.ANALYTICS, Agent.SUPPORT, Agent.RESEARCH},
)
async def get_customer(ctx: Read, args: GetCustomer) -> Answer[CustomerView]:
    """Show one customer with insights such as overdue invoices and churn risk. Use when you have the id; to find it
    use search_customers."""
    return await customers.shown(ctx, args.customer, args.include)
