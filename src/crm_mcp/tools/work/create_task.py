"""A task for oneself or a colleague; it runs at once, being reversible."""

from datetime import date

from pydantic import Field

from crm_mcp.context import Write
from crm_mcp.crm import people, tasks
from crm_mcp.crm.tasks import Priority, TaskView
from crm_mcp.crm.titles import Title
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Display, Effect, Text, WriteArgs, tool


class CreateTask(WriteArgs):
    title: Title = Field(description="What is to be done.")
    description: Text | None = Field(None, max_length=10_000)
    due_on: date | None = None
    priority: Priority = "normal"
    assignee: Text = Field(people.ME, description="me, or a colleague's e-mail or name.")
    about: Text | None = Field(None, description="Any id: cust_…, ord_…")


@tool(
    title="Create task",
    toolset="work",
    roles=EVERYONE,
    effect=Effect.NOTE,
    agents={Agent.CUSTOMER, Agent.SUPPORT},
)
async def create_task(ctx: Write, args: CreateTask) -> Answer[TaskView]:
    """Give yourself or a colleague a task. Use when something is to be done later; for what took place use
    log_activity."""
    given = await tasks.create(
        ctx,
        args.title,
        description=args.description,
        due_on=args.due_on,
        priority=args.priority,
        assignee=args.assignee,
        about=args.about,
    )
    due = f", due {args.due_on}" if args.due_on else ""
    mine = given.assignee.id == ctx.principal.user
    did = f"create the task {args.title}{'' if mine else f' for {given.assignee.name}'}{due}"
    return Answer(
        given.view, Display(title=args.title, subtitle=given.assignee.name), did=did, warnings=given.warnings
    )
