"""Tasks: what somebody is to do, on any record; their invariants and every write."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar, Literal

from sqlalchemy import select

from .. import ids
from ..context import Write
from ..errors import Refusal
from ..tool import View
from . import asking, people, subjects
from .models import Task
from .people import Person
from .subjects import Subject

Priority = Literal["low", "normal", "high", "urgent"]
ROW = f"""jsonb_strip_nulls(jsonb_build_object('id', 'task_' || t.id, 'title', t.title, 'description', t.description,
   'status', t.status, 'priority', t.priority, 'dueOn', t.due_on, 'overdue', case when t.status = 'open' and t.due_on < %(today)s::date then true end,
   'assignee', (select u.name from crm.users u where u.id = t.assignee_id),
   'about', {subjects.about_sql("t")},
   'customer', (select jsonb_build_object('id', 'cust_' || c.id, 'name', c.name) from crm.customers c
     where c.org_id = %(org)s and c.id = t.customer_id and t.subject_type <> 'customers' and {subjects.visible_sql("t")}),
   'completedAt', t.completed_at, 'outcome', t.outcome))"""
"""A task `t` as tools show it; needs %(today)s and %(role)s."""


class TaskView(View):
    noun: ClassVar[str] = "task"
    nouns: ClassVar[str] = "tasks"

    id: str
    title: str
    status: str
    priority: str
    description: str | None = None
    dueOn: str | None = None
    overdue: bool | None = None
    assignee: str | None = None
    about: dict[str, str] | None = None
    customer: dict[str, str] | None = None
    completedAt: datetime | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """A task, who is to do it, what it is about; `warnings` are for whoever gave it."""

    task: Task
    assignee: Person
    about: Subject | None
    warnings: tuple[str, ...]

    @property
    def view(self) -> TaskView:
        return view_of(self.task, self.assignee.name, self.about.shown if self.about else None)


def view_of(task: Task, assignee: str | None, about: dict[str, str] | None) -> TaskView:
    return TaskView(
        id=ids.show("tasks", task.id),
        title=task.title,
        description=task.description,
        status=task.status,
        priority=task.priority,
        dueOn=None if task.due_on is None else task.due_on.isoformat(),
        assignee=assignee,
        about=about,
        completedAt=task.completed_at,
        outcome=task.outcome,
    )


async def create(
    ctx: Write,
    title: str,
    *,
    description: str | None = None,
    due_on: date | None = None,
    priority: Priority = "normal",
    assignee: str = people.ME,
    about: str | None = None,
) -> Given:
    """Give a task to the principal or a colleague.

    Raises:
        Refusal: those of `people.find` and `subjects.find`.
    """
    ask = asking.within(ctx)
    person = await people.find(ask, ctx.principal, assignee)
    subject = None if about is None else await subjects.find(ask, ctx.principal, about)
    task = Task(
        org_id=ctx.principal.org,
        title=title,
        description=description,
        due_on=due_on,
        priority=priority,
        assignee_id=person.id,
        customer_id=subject.customer if subject else None,
        subject_type=subject.table if subject else None,
        subject_id=subject.id if subject else None,
    )
    ctx.session.add(task)
    await ctx.session.flush()
    warnings: list[str] = []
    if subject is not None and person.id != ctx.principal.user and not await _may_open(ctx, person, subject):
        kind = ids.NOUN[subject.table]
        warnings.append(f"{person.name} may not open the {kind}: write into the task what they need to know.")
    return Given(task, person, subject, tuple(warnings))


async def _may_open(ctx: Write, person: Person, subject: Subject) -> bool:
    row = await asking.within(ctx)(
        """select exists (select from crm.memberships m join crm.reasoning r on m.role = any (r.roles)
         where m.org_id = %(org)s and m.user_id = %(person)s and r.type = 'crm' and r.table_name = %(table)s)""",
        person=person.id,
        table=subject.table,
    )
    return bool(row and row[0])


async def complete(
    ctx: Write, text: str, how: Literal["done", "cancelled"], outcome: str | None
) -> tuple[Task, TaskView, bool]:
    """Complete or cancel a task; return it, its view, and whether anything changed: it may be so already.

    Raises:
        Refusal: TASK_NOT_FOUND; TASK_STATUS, when it ended the other way.
    """
    task = await _find(ctx, text)
    changed = task.status == "open"
    if not changed and task.status != how:
        hint = f"{text} was {'cancelled' if how == 'done' else 'done'} already. Create a new task with create_task."
        raise Refusal("TASK_STATUS", hint, status=task.status)
    if changed:
        task.status, task.outcome = how, outcome
        task.completed_at = ctx.now
        await ctx.session.flush()
    row = await asking.within(ctx)(
        f"""select (select u.name from crm.users u where u.id = t.assignee_id), {subjects.about_sql("t")}
         from crm.tasks t where t.org_id = %(org)s and t.id = %(id)s""",
        id=task.id,
        role=ctx.principal.role,
    )
    assert row is not None
    return task, view_of(task, row[0], row[1]), changed


async def _find(ctx: Write, text: str) -> Task:
    number = ids.parse("tasks", text)
    seen: Any = await asking.within(ctx)(
        f"""select 1 from crm.tasks t where t.org_id = %(org)s and t.id = %(id)s and t.archived_at is null
         and {subjects.task_visible_sql("t")}""",
        id=number,
        role=ctx.principal.role,
    )
    if seen is None:
        hint = "get_tasks lists the tasks there are."
        raise Refusal("TASK_NOT_FOUND", hint, searchedId=text[:60])
    found = await ctx.session.execute(
        select(Task).where(Task.org_id == ctx.principal.org, Task.id == number).with_for_update()
    )
    return found.scalar_one()
