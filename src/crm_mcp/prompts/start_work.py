"""The beginning of a conversation: who I am, what waits for me, what was decided, where I was, how I want things."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from pydantic import Field

from ..context import Read
from ..crm import me, subjects
from . import completing
from .prompt import Brief, Named, PromptArgs, prompt
from .saying import DRAFTS

TOLD = 8
"""Tasks, and decisions, in the facts."""
DECIDED = f"""(select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', 'draft_' || d.id, 'action', d.tool, 'state', d.state,
    'by', (select a.name from crm.users a where a.id = d.approver), 'reason', left(d.decision_reason, 200), 'at', d.decided_at)) order by d.decided_at desc), '[]')
  from (select * from crm.drafts d where d.org_id = %(org)s and d.requester = %(user)s and d.decided_at > clock_timestamp() - interval '24 hours'
   and d.state in ('approved', 'rejected', 'stale', 'failed', 'expired') order by d.decided_at desc limit {TOLD}) d)"""
OTHERS = """(select count(*) from crm.drafts d where d.org_id = %(org)s and d.requester <> %(user)s and d.state = 'pending'
   and d.expires_at > clock_timestamp())"""
_DUE = f"""t.org_id = %(org)s and t.assignee_id = %(user)s and t.status = 'open' and t.archived_at is null
   and t.due_on <= %(today)s::date and {subjects.task_visible_sql("t")}"""
TASKS = f"""(select count(*) from crm.tasks t where {_DUE}),
 (select coalesce(jsonb_agg(jsonb_build_object('id', 'task_' || t.id, 'title', t.title, 'dueOn', t.due_on, 'priority', t.priority)
    order by t.due_on, t.id), '[]') from (select * from crm.tasks t where {_DUE} order by t.due_on, t.id limit {TOLD}) t)"""
SQL = f"select {me.COLUMNS}, {DECIDED}, {OTHERS}, {TASKS}"


class StartWork(PromptArgs):
    on: Named | None = Field(None, description="What to work on; default: ask.")


@prompt(
    title="Start work",
    calls={"whoami"},
    also={"list_drafts", "get_draft", "get_tasks", "get_record", "get_customer", "undo_change", "search_customers"},
    completes={"on": completing.among(("what waits for me", "my tasks", "where I left off"))},
)
async def start_work(ctx: Read, args: StartWork, can: Collection[str]) -> Brief:
    """Begin a day or a conversation: what waits, what was decided, where you were, how you want things."""
    near, who = await ctx.recall(), ctx.principal
    today = who.day(datetime.now(UTC))
    row = await ctx.one(SQL, **me.params(ctx, near), role=who.role, today=today)
    assert row is not None
    now = me.read(ctx, near, row)
    decided, others, due, tasks = row[me.WIDTH :]
    shows_tasks = ctx.may("get_tasks")
    page, customer = now.page(), now.active_customer()
    facts = {
        "today": today.isoformat(),
        "workOn": args.on,
        "context": me.context(now),
        "learnings": list(now.learnt.lines),
        "decided": decided,
        "waitForSomebodysDecision": others if who.may_approve and who.agent is None else None,
        "tasksDue": due if shows_tasks else None,
        "tasks": tasks if shows_tasks else None,
    }
    return Brief(
        f"Begin work for the person whom you act for. Today is {today.isoformat()}.",
        (
            "Read the facts: they are as of now. context is who they are and where they were, learnings how they want things "
            "done: keep to those in everything that follows, unless one asks you to do something by itself.",
            _writing(now.display),
            "Call whoami where it matters what they may approve, or in which currency and zone the org works.",
            f"They looked last at {page['id']}" + (f" ({page['entityType']})" if page else "") + "."
            if page is not None
            else None,
            f'Where they say "this customer", ask whether they mean {customer["id"]} before you write anything about it.'
            if customer is not None
            else None,
            _waiting(now.waiting, can),
            f"Of their drafts {len(decided)} were decided within 24 hours: say which, and of what was rejected why."
            if decided
            else None,
            f"{others} drafts of others wait for a decision; the ones that are theirs to decide stand on the approvals page, "
            f"{ctx.page_url}. You cannot decide them."
            if facts["waitForSomebodysDecision"]
            else None,
            f"{due} of their tasks are due today or overdue"
            + (": get_tasks lists them all." if "get_tasks" in can and due > len(tasks) else ", as the facts hold.")
            if shows_tasks and due
            else None,
            "What they want to work on stands in the facts as workOn: begin with it, as far as it is what a colleague would be asked."
            if args.on
            else "Ask what they want to work on, and offer what is most urgent of this.",
        ),
        "at most ten short lines: what waits, what was decided, what is due, where they were; then the beginning of the work "
        "or the question.",
        facts,
        (DRAFTS,),
    )


def _waiting(waiting: int, can: Collection[str]) -> str | None:
    if not waiting:
        return None
    more = " list_drafts shows them whole." if "list_drafts" in can else ""
    return f"{waiting} of their drafts wait for approval: say when the next one expires.{more}"


def _writing(display: Mapping[str, str]) -> str | None:
    zone, locale = display.get("timezone"), display.get("locale")
    parts = [
        f"times in {zone}" if zone else None,
        f"words, dates and numbers as in {locale}" if locale else None,
    ]
    said = [part for part in parts if part]
    return f"Write to them {' and '.join(said)}." if said else None
