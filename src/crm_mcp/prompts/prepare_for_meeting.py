"""A briefing before a meeting: the customer, and the deal if it is about one."""

from collections.abc import Collection
from datetime import UTC, date, datetime

from pydantic import Field

from .. import ids
from ..context import Read
from ..crm import missing, subjects
from ..crm.customers import Include, statement
from ..money import money_sql
from . import completing, naming
from .prompt import Brief, Named, PromptArgs, prompt
from .saying import DRAFTS

TABLES = ("customers", "deals")
PARTS: tuple[Include, ...] = ("summary", "contacts", "recentOrders", "openIssues", "openTasks", "activity", "notes")
DEAL = f"""deal as (select * from crm.deals d where d.org_id = %(org)s and d.id = %(deal)s and 'deals' = any ({subjects.SEEN}))"""
PLACES = f"""(select jsonb_agg(jsonb_build_object('pipeline', l.name, 'stage', s.name, 'since', p.entered_at, 'followUpOn', p.next_follow_up_on,
   'exitCriteria', (select jsonb_agg(c -> 'name') from jsonb_array_elements(s.exit_criteria) c)) order by p.id desc)
  from crm.pipeline_positions p join crm.pipelines l on l.org_id = p.org_id and l.id = p.pipeline_id
  join crm.pipeline_stages s on s.org_id = p.org_id and s.id = p.stage_id where p.org_id = %(org)s and p.subject_type = 'deals'
   and p.subject_id = d.id and p.archived_at is null and 'pipeline_positions' = any ({subjects.SEEN}))"""
SHOWN = f"""(select jsonb_strip_nulls(jsonb_build_object('id', 'deal_' || d.id, 'name', d.name, 'status', d.status,
   'value', case when d.amount is not null then {money_sql("d.amount", "d.currency")} end, 'probability', d.probability,
   'expectedCloseOn', d.expected_close_on, 'owner', (select u.name from crm.users u where u.id = d.owner_id),
   'organization', {subjects.named_sql("organizations", "d.organization_id")},
   'contact', {subjects.named_sql("contacts", "d.contact_id")}, 'description', d.description, 'stands', {PLACES})) from deal d)"""
OTHERS = f"""(select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', 'deal_' || d.id, 'name', d.name, 'expectedCloseOn', d.expected_close_on,
   'value', case when d.amount is not null then {money_sql("d.amount", "d.currency")} end)) order by d.expected_close_on, d.id)
  from (select * from crm.deals d where d.org_id = %(org)s and d.customer_id = {{customer}} and d.status = 'open' and d.archived_at is null
   and d.id is distinct from %(deal)s and 'deals' = any ({subjects.SEEN}) order by d.expected_close_on, d.id limit 10) d)"""
CUSTOMER = "coalesce(%(customer)s::bigint, (select customer_id from deal))"


class PrepareForMeeting(PromptArgs):
    about: Named = Field(description="Customer or deal: its name, cust_… or deal_….")
    on: date | None = Field(None, description="Day of the meeting, YYYY-MM-DD.")


@prompt(
    title="Prepare for a meeting",
    calls={"get_customer"},
    also={
        "get_record",
        "get_pipelines",
        "get_invoices",
        "get_issues",
        "get_quotes",
        "get_orders",
        "suggest_next_action",
        "predict_outcome",
        "log_activity",
        "create_task",
    },
    completes={"about": completing.records(*TABLES), "on": completing.days_ahead},
)
async def prepare_for_meeting(ctx: Read, args: PrepareForMeeting, can: Collection[str]) -> Brief:
    """Prepare a briefing on a customer, or on a deal and its customer: where it stands, what is open, what to ask."""
    table, number = await naming.record(ctx, "about", args.about, TABLES)
    role, now = ctx.principal.role, datetime.now(UTC)
    is_deal = table == "deals"
    row = await ctx.one(
        f"""with {DEAL} select {SHOWN}, {OTHERS.format(customer=CUSTOMER)},
 (select jsonb_build_object('record', x.record, 'insights', x.meta)
   from ({statement(PARTS, role, CUSTOMER)}) x(record, meta, subtitle, badge))""",
        deal=number if is_deal else None,
        customer=None if is_deal else number,
        role=role,
        now=now,
        today=ctx.principal.day(now),
        currency=ctx.principal.currency,
    )
    assert row is not None
    deal, others, found = row
    if is_deal and deal is None:
        raise subjects.not_found("deals", ids.show("deals", number))
    if not is_deal and found is None:
        raise missing.customer(ids.show("customers", number))
    customer = found["record"]["id"] if found else None
    this = ids.show(table, number)
    about = f"{this} and its customer {customer}" if is_deal and customer else this
    facts = {
        "meetingOn": args.on and args.on.isoformat(),
        "deal": deal,
        "customer": found and found["record"],
        "insights": found and found["insights"],
        "openDeals": others,
    }
    return Brief(
        f"Brief the person you work for on {about} before their meeting"
        + (f" on {args.on.isoformat()}." if args.on else "."),
        (
            "Read the facts: they are as of now, and enough for most of the briefing.",
            f"Call get_customer with {customer} and include address or anything the facts cut short."
            if customer
            else None,
            _on_the_deal(this, can) if is_deal else _on_deals(others, can),
            f"Look at what is owed with get_invoices (customer {customer}, status overdue)."
            if customer and "get_invoices" in can
            else None,
            f"Look at complaints and promises with get_issues (customer {customer})."
            if customer and "get_issues" in can
            else None,
            f"Look at offers with get_quotes (customer {customer}, status open)."
            if customer and "get_quotes" in can
            else None,
            "Check the dates: who spoke last, how long ago, which task or follow-up is past its day, what was promised "
            "and has no trace of being kept.",
        ),
        "one page: who they are and who comes; where things stand; what is open (money, issues, offers, tasks), each with its "
        "id and day; what to reach; three questions to ask; what better not to raise, and why. Mark what is your inference."
        + _afterwards(can),
        facts,
        (DRAFTS,) if {"log_activity", "create_task"} & set(can) else (),
    )


def _on_the_deal(deal: str, can: Collection[str]) -> str | None:
    asks = [
        f"get_pipelines (record {deal}, include history and criteria) for how it came here and what the stage asks"
        if "get_pipelines" in can
        else None,
        f"suggest_next_action (record {deal})" if "suggest_next_action" in can else None,
        f"predict_outcome (record {deal})" if "predict_outcome" in can else None,
        f"get_record ({deal}, include notes, tasks and activities)" if "get_record" in can else None,
    ]
    known = [ask for ask in asks if ask]
    return f"On the deal call {'; '.join(known)}." if known else None


def _on_deals(others: object, can: Collection[str]) -> str | None:
    if not others or "get_pipelines" not in can:
        return None
    return "For each open deal in the facts call get_pipelines (record) to see its stage and what it waits for."


def _afterwards(can: Collection[str]) -> str:
    after = [
        name
        for name, tool in (
            ("what was said with log_activity", "log_activity"),
            ("what was agreed with create_task", "create_task"),
        )
        if tool in can
    ]
    return (
        f" After the meeting, once the person has told you how it went, put down {' and '.join(after)}."
        if after
        else ""
    )
