"""Issues, newest first; one of them with all that belongs to it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.crm import clocks, issues, people, words
from crm_mcp.crm.issues import IssueView, Kind, Priority
from crm_mcp.crm.words import Way
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import Answer, Args, Display, Effect, Text, tool

COUNTED = 10_000
"""Totals and counts are exact up to here."""
ROW = """jsonb_build_object('id', 'iss_' || i.id, 'title', i.title, 'status', i.status, 'priority', i.priority, 'type', i.type,
   'customer', (select jsonb_build_object('id', 'cust_' || c.id, 'name', c.name) from crm.customers c
     where c.org_id = %(org)s and c.id = i.customer_id),
   'openedAt', i.opened_at, 'slaState', k.state, 'assignee', (select u.name from crm.users u where u.id = i.assignee_id),
   'respondBy', case when k.answering then i.respond_by end, 'resolveBy', i.resolve_by)"""
FILTER = f"""i.org_id = %(org)s and i.archived_at is null
   and (%(customer)s::bigint is null or i.customer_id = %(customer)s)
   and (%(status)s::text is null or i.status = %(status)s or (%(status)s = 'unresolved' and {clocks.UNRESOLVED}))
   and (%(priority)s::text is null or i.priority = %(priority)s) and (%(type)s::text is null or i.type = %(type)s)
   and (%(nobody)s is false or i.assignee_id is null)
   and (%(person)s::text is null or i.assignee_id = (select id from whose))
   and (%(parts)s::text[] = '{{}}' or lower(i.title || ' ' || coalesce(i.description, '')) like all (%(parts)s::text[]))
   and (%(overdue)s is false or ({clocks.UNRESOLVED} and k.state = 'breached'))"""
BEHIND = """(%(after_at)s::timestamptz is null or (i.opened_at, i.id) < (%(after_at)s::timestamptz, %(after_id)s::bigint))
   order by i.opened_at desc, i.id desc limit %(most)s"""
ALL = (Way(f"crm.issues i, {clocks.CLOCK}", FILTER),)
WORDED = words.ways("issues", f", {clocks.CLOCK}", FILTER, "i")
"""The ways to issues: through the list, or through the words that they surely hold."""


def listed(ways: Sequence[Way], found: str = "") -> str:
    """Return the statement that lists what a way leads to; `found` are common table expressions that ways need."""
    pages = "\n  union all ".join(f"(select i.* from {way.source} where {way.where} and {BEHIND})" for way in ways)
    counts = "\n  union all ".join(
        f"(select i.priority, i.status, k.state from {way.source} where {way.where} limit {COUNTED + 1})"
        for way in ways
    )
    return f"""with {people.MEANT},
 whose as (select %(me)s::bigint as id where %(me)s::bigint is not null union all select min(id) from meant having count(*) = 1),
 {found}page as ({pages}),
 counted as ({counts})
 select (select coalesce(jsonb_agg(jsonb_strip_nulls({ROW}) order by i.opened_at desc, i.id desc), '[]') from page i, {clocks.CLOCK}),
  (select jsonb_build_object('total', count(*),
    'byPriority', (select coalesce(jsonb_object_agg(priority, n), '{{}}') from (select priority, count(*) n from counted group by 1) x),
    'byStatus', (select coalesce(jsonb_object_agg(status, n), '{{}}') from (select status, count(*) n from counted group by 1) x),
    'bySlaState', (select coalesce(jsonb_object_agg(state, n), '{{}}') from (select state, count(*) n from counted
      where state is not null group by 1) x)) from counted),
  (select coalesce(jsonb_agg(jsonb_build_array(i.opened_at, i.id) order by i.opened_at desc, i.id desc), '[]') from page i),
  {people.LISTED}"""


ON_IT = "{row}.org_id = %(org)s and {row}.subject_type = 'issues' and {row}.subject_id = i.id and {row}.archived_at is null"
ONE = f"""select jsonb_strip_nulls({ROW} || jsonb_build_object('description', i.description, 'resolution', i.resolution,
   'respondBy', i.respond_by, 'respondedAt', i.responded_at, 'waitingSince', i.waiting_since, 'resolvedAt', i.resolved_at,
   'closedAt', i.closed_at, 'warrantyUntil', i.warranty_until,
   'contact', (select jsonb_strip_nulls(jsonb_build_object('id', 'cont_' || t.id, 'name', t.name, 'email', t.email, 'phone', t.phone))
     from crm.contacts t where t.org_id = %(org)s and t.id = i.contact_id),
   'order', (select jsonb_strip_nulls(jsonb_build_object('id', 'ord_' || o.id, 'number', o.number, 'status', o.status))
     from crm.orders o where o.org_id = %(org)s and o.id = i.order_id),
   'product', (select jsonb_build_object('id', 'prod_' || p.id, 'name', p.name, 'sku', p.sku)
     from crm.products p where p.org_id = %(org)s and p.id = i.product_id),
   'notes', (select jsonb_agg(x) from (select 'note_' || n.id as id, n.body as text, u.name as "writtenBy", coalesce(n.written_at, n.created_at) as "createdAt"
     from crm.notes n left join crm.users u on u.id = n.created_by where {ON_IT.format(row="n")} order by n.id desc limit 10) x),
   'activities', (select jsonb_agg(jsonb_strip_nulls(to_jsonb(x))) from (select 'act_' || a.id as id, a.kind, a.direction, a.subject, a.body,
     a.happened_at as "happenedAt" from crm.activities a where {ON_IT.format(row="a")} order by a.happened_at desc, a.id desc limit 10) x),
   'tasks', (select jsonb_agg(jsonb_strip_nulls(to_jsonb(x))) from (select 'task_' || t.id as id, t.title, t.status, t.due_on as "dueOn",
     u.name as assignee from crm.tasks t left join crm.users u on u.id = t.assignee_id where {ON_IT.format(row="t")}
     order by t.status = 'open' desc, t.due_on nulls last, t.id limit 10) x))), {clocks.ISSUE_META}
 from crm.issues i, {clocks.CLOCK}
 where i.org_id = %(org)s and i.id = %(id)s and i.archived_at is null"""


class GetIssues(Args):
    issue: Text | None = Field(None, description="iss_…; shows everything on it.")
    query: Text | None = Field(None, min_length=1, max_length=200)
    customer: Text | None = Field(None, description="cust_…")
    status: Literal["open", "waiting", "unresolved", "resolved", "closed"] | None = None
    priority: Priority | None = None
    type: Kind | None = None
    assignee: Text | None = Field(None, description="me, nobody, or a colleague's e-mail or name.")
    overdue: bool = Field(False, description="Only past due and unresolved.")
    limit: int = Field(20, ge=1, le=100)
    cursor: Text | None = Field(None, max_length=300)


@tool(
    title="Get issues",
    toolset="support",
    roles={Role.ADMIN, Role.OPERATIONS, Role.SUPPORT, Role.SALES},
    effect=Effect.READ,
    agents={Agent.SUPPORT},
)
async def get_issues(ctx: Read, args: GetIssues) -> Answer[list[IssueView]]:
    """List support issues, newest first, or show one whole, with its service clock. Use when somebody asks about
    complaints, returns, warranty or what is overdue; for tasks use get_tasks."""
    now = datetime.now(UTC)
    if args.issue is not None:
        return await _one(ctx, args.issue, now)
    word = (args.assignee or "").strip().casefold()
    person = None if word == issues.NOBODY else args.assignee
    question = ["get_issues", args.model_dump(mode="json", exclude={"cursor", "limit"})]
    after = ctx.cursors.open(ctx.principal, question, args.cursor) if args.cursor else [None, None]
    held = " ".join(words.within(args.query or ""))
    row = await ctx.one(
        listed(WORDED, f"{words.FOUND},\n ") if held else listed(ALL),
        kind="issues",
        words=held,
        live=True,
        role=ctx.principal.role,
        now=now,
        customer=ids.parse("customers", args.customer) if args.customer else None,
        status=args.status,
        priority=args.priority,
        type=args.type,
        person=person,
        me=ctx.principal.user if word == people.ME else None,
        nobody=word == issues.NOBODY,
        parts=[_like(part) for part in (args.query or "").lower().split()],
        overdue=args.overdue,
        after_at=after[0],
        after_id=after[1],
        most=args.limit + 1,
    )
    assert row is not None
    found, meta, positions, meant = row
    if person is not None and word != people.ME:
        await people.one_of(ctx.one, person, meant)
    if meta["total"] > COUNTED:
        meta["total"] = f"{COUNTED}+"
    page = ctx.page(question, positions)
    return Answer(found[: args.limit], Display(title=f"{meta['total']} issues"), meta, after=page.after)


async def _one(ctx: Read, text: str, now: datetime) -> Answer[list[IssueView]]:
    row = await ctx.one(ONE, id=ids.parse("issues", text), now=now, zone=ctx.principal.timezone)
    if row is None:
        raise issues.not_found(text)
    record, meta = row
    shown = Display(title=record["title"], subtitle=record["customer"]["name"], badge=meta.get("slaState"))
    return Answer([record], shown, meta)


def _like(word: str) -> str:
    """Return the pattern of a text that holds a word as it is written."""
    escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
