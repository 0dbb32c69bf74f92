"""Tasks, the next due first."""

from datetime import UTC, date, datetime, timedelta
from typing import Literal

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.crm import people, subjects, tasks
from crm_mcp.crm.tasks import TaskView
from crm_mcp.errors import Refusal
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, tool

COUNTED = 10_000
"""Totals are exact up to here."""
ANYONE = "anyone"
FILTER = f"""t.org_id = %(org)s and t.archived_at is null and {subjects.task_visible_sql("t")}
   and (%(anyone)s or t.assignee_id = (select id from whose))
   and (%(status)s::text = 'all' or t.status = %(status)s)
   and (%(customer)s::bigint is null or t.customer_id = %(customer)s)
   and (%(about)s::bigint is null or (t.subject_type, t.subject_id) = (%(table)s::text, %(about)s))
   and (%(due_from)s::date is null or t.due_on >= %(due_from)s) and (%(due_to)s::date is null or t.due_on <= %(due_to)s)"""
DUE = "coalesce(t.due_on, 'infinity'::date)"
SQL = f"""with {people.MEANT},
 whose as (select %(me)s::bigint as id where %(me)s::bigint is not null union all select min(id) from meant having count(*) = 1),
 page as (select * from crm.tasks t where {FILTER}
   and (%(after_due)s::date is null or ({DUE}, t.id) > (%(after_due)s::date, %(after_id)s::bigint))
   order by {DUE}, t.id limit %(most)s)
 select (select coalesce(jsonb_agg({tasks.ROW} order by {DUE}, t.id), '[]') from page t),
  (select count(*) from (select from crm.tasks t where {FILTER} limit {COUNTED + 1}) x),
  (select coalesce(jsonb_agg(jsonb_build_array({DUE}, t.id) order by {DUE}, t.id), '[]') from page t), {people.LISTED}"""


class GetTasks(Args):
    assignee: Text | None = Field(None, description="me (default), anyone, or a colleague's e-mail or name.")
    customer: Text | None = Field(None, description="cust_…")
    about: Text | None = Field(None, description="Any id: cust_…, ord_…")
    status: Literal["open", "done", "cancelled", "all"] = "open"
    due: Literal["overdue", "today", "this_week"] | None = None
    due_from: date | None = None
    due_to: date | None = None
    limit: int = Field(20, ge=1, le=100)
    cursor: Text | None = Field(None, max_length=300)


@tool(
    title="Get tasks",
    toolset="work",
    roles=EVERYONE,
    effect=Effect.READ,
)
async def get_tasks(ctx: Read, args: GetTasks) -> Answer[list[TaskView]]:
    """List tasks, the next due first: your own; with customer or about everybody's on it. Use when somebody asks what is
    to be done; for support cases use get_issues."""
    today = ctx.principal.day(datetime.now(UTC))
    first, last = _days(args, today)
    table, about = subjects.parse(args.about) if args.about else (None, None)
    person = args.assignee if args.assignee is not None else ANYONE if args.customer or about else people.ME
    word = person.strip().casefold()
    question = ["get_tasks", args.model_dump(mode="json", exclude={"cursor", "limit"})]
    after = ctx.cursors.open(ctx.principal, question, args.cursor) if args.cursor else [None, None]
    row = await ctx.one(
        SQL,
        role=ctx.principal.role,
        person=person,
        me=ctx.principal.user if word == people.ME else None,
        anyone=word == ANYONE,
        status=args.status,
        customer=ids.parse("customers", args.customer) if args.customer else None,
        table=table,
        about=about,
        due_from=first,
        due_to=last,
        today=today,
        after_due=after[0],
        after_id=after[1],
        most=args.limit + 1,
    )
    assert row is not None
    found, total, positions, meant = row
    if word not in (people.ME, ANYONE):
        await people.one_of(ctx.one, person, meant)
    meta: dict[str, object] = {"total": total if total <= COUNTED else f"{COUNTED}+"}
    page = ctx.page(question, positions)
    return Answer(found[: args.limit], Display(title=f"{meta['total']} tasks"), meta, after=page.after)


def _days(args: GetTasks, today: date) -> tuple[date | None, date | None]:
    """Return the first and last due day asked for; a week begins on Monday, and what is overdue is open."""
    if args.due is None:
        return args.due_from, args.due_to
    if args.due_from or args.due_to:
        raise Refusal("INVALID_ARGUMENT", "due: give it, or due_from and due_to, not both.", argument="due")
    if args.due == "overdue" and args.status != "open":
        raise Refusal("INVALID_ARGUMENT", "due: only open tasks are overdue; leave status out.", argument="due")
    monday = today - timedelta(days=today.weekday())
    return {
        "overdue": (None, today - timedelta(days=1)),
        "today": (today, today),
        "this_week": (monday, monday + timedelta(days=6)),
    }[args.due]
