"""The end of a task; it runs at once."""

from typing import Literal

from pydantic import Field

from crm_mcp.context import Write
from crm_mcp.crm import tasks
from crm_mcp.crm.tasks import TaskView
from crm_mcp.tool import EVERYONE, Answer, Display, Effect, Text, WriteArgs, tool


class CompleteTask(WriteArgs):
    task: Text = Field(description="task_…")
    outcome: Text | None = Field(None, max_length=2000, description="What came of it.")
    status: Literal["done", "cancelled"] = "done"


@tool(
    title="Complete task",
    toolset="work",
    roles=EVERYONE,
    effect=Effect.NOTE,
)
async def complete_task(ctx: Write, args: CompleteTask) -> Answer[TaskView]:
    """Mark a task as done, or cancelled. Use after what it asks has happened; get_tasks finds its id."""
    task, view, changed = await tasks.complete(ctx, args.task, args.status, args.outcome)
    if changed:
        did = f"{'complete' if args.status == 'done' else 'cancel'} the task {task.title}"
    else:
        did = f"change nothing: the task {task.title} is {task.status} already"
    return Answer(view, Display(title=task.title, badge=task.status), did=did)
