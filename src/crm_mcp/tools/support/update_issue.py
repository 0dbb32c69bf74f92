"""A change of an issue; a person approves it."""

from pydantic import Field

from crm_mcp.context import Write
from crm_mcp.crm import issues
from crm_mcp.crm.issues import Change, IssueView, Kind, Priority, Status
from crm_mcp.crm.titles import Title
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import Answer, Display, Effect, Text, WriteArgs, tool


class UpdateIssue(WriteArgs):
    issue: Text = Field(description="iss_…")
    title: Title | None = Field(None, description="In a line.")
    description: Text | None = Field(None, max_length=10_000)
    type: Kind | None = None
    priority: Priority | None = None
    assignee: Text | None = Field(None, description="me, nobody, or a colleague's e-mail or name.")
    status: Status | None = Field(None, description="waiting: for the customer.")
    resolution: Text | None = Field(None, max_length=10_000, description="Required for resolved.")
    responded: bool = Field(False, description="The customer got a first answer.")


@tool(
    title="Update issue",
    toolset="support",
    roles={Role.ADMIN, Role.OPERATIONS, Role.SUPPORT},
    effect=Effect.WRITE,
    agents={Agent.SUPPORT},
)
async def update_issue(ctx: Write, args: UpdateIssue) -> Answer[IssueView]:
    """Change an issue: its status, priority, assignee or words. Use when work on it goes on or ends; give only what is
    to change. A closed issue stays closed: use create_issue. For a remark use add_note."""
    change = Change(
        args.title,
        args.description,
        args.type,
        args.priority,
        args.assignee,
        args.status,
        args.resolution,
        args.responded,
    )
    known, said = await issues.update(ctx, args.issue, change)
    named = f"the issue {known.issue.title} of {known.customer.name}"
    did = f"change {named}: {', '.join(said)}" if said else f"change nothing: {named} is so already"
    return Answer(known.view, Display(title=known.issue.title, badge=known.issue.status), did=did)
