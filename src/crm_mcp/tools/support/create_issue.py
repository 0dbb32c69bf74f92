"""An issue that a customer reports; a person approves it."""

from pydantic import Field

from crm_mcp.context import Write
from crm_mcp.crm import issues
from crm_mcp.crm.issues import IssueView, Kind, Priority, Report
from crm_mcp.crm.titles import Title
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import Answer, Display, Effect, Text, WriteArgs, tool


class CreateIssue(WriteArgs):
    customer: Text = Field(description="cust_…")
    title: Title = Field(description="What is wrong.")
    description: Text | None = Field(None, max_length=10_000)
    type: Kind = "problem"
    priority: Priority = "normal"
    contact: Text | None = Field(None, description="cont_…")
    order: Text | None = Field(None, description="ord_…")
    product: Text | None = Field(None, description="prod_…")
    assignee: Text | None = Field(None, description="me, or a colleague's e-mail or name.")


@tool(
    title="Create issue",
    toolset="support",
    roles={Role.ADMIN, Role.OPERATIONS, Role.SUPPORT},
    effect=Effect.WRITE,
    agents={Agent.SUPPORT},
)
async def create_issue(ctx: Write, args: CreateIssue) -> Answer[IssueView]:
    """Open a support issue. Use when a customer reports or asks something that is not answered at once; look first with
    get_issues whether it is known, and use update_issue then. Name order or product to find the warranty."""
    made = await issues.create(
        ctx,
        Report(
            args.customer,
            args.title,
            args.description,
            args.type,
            args.priority,
            args.contact,
            args.order,
            args.product,
            args.assignee,
        ),
    )
    did = f"open the {args.priority} issue {args.title} for {made.customer.name}"
    shown = Display(title=args.title, subtitle=made.customer.name, badge=args.priority)
    return Answer(made.view, shown, did=did, warnings=made.warnings)
