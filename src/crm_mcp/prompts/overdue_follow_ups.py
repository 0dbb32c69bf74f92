"""Invoices past their day, customer by customer, with a reminder to each."""

from collections.abc import Collection
from datetime import UTC, datetime

from pydantic import Field

from ..context import Read
from ..crm import missing, receivables, subjects
from ..ids import show
from ..money import money_sql
from . import completing, naming
from .prompt import Brief, Named, Offer, PromptArgs, prompt
from .saying import DRAFTS

TOLD = 15
"""Customers in the facts."""
OVERDUE = (
    f"""i.org_id = %(org)s and i.archived_at is null and i.open_total > 0 and 'invoices' = any ({subjects.SEEN})"""
)
SQL = f"""with matched as materialized (select i.* from crm.invoices i where {OVERDUE} and i.due_on <= %(today)s::date - %(days)s::int
   and (%(customer)s::bigint is null or i.customer_id = %(customer)s)),
 page as (select customer_id, min(due_on) as oldest, count(*)::int as n from matched group by customer_id order by min(due_on), customer_id limit {TOLD})
 select (select count(*) from matched), (select count(distinct customer_id) from matched), {receivables.INVOICE_TOTALS}, {receivables.AGEING},
  (select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', 'cust_' || c.id, 'name', c.name, 'email', c.email, 'overdueInvoices', p.n,
    'daysOverdue', %(today)s::date - p.oldest,
    'invoices', (select jsonb_agg(jsonb_build_object('id', 'inv_' || i.id, 'number', i.number, 'dueOn', i.due_on,
       'open', {money_sql("i.open_total", "i.currency")}) order by i.due_on, i.id) from (select * from matched m where m.customer_id = c.id order by m.due_on, m.id limit 5) i),
    'contacts', (select jsonb_agg(jsonb_strip_nulls(to_jsonb(x))) from (select 'cont_' || t.id as id, t.name, t.title, t.email from crm.contacts t
       where t.org_id = c.org_id and t.customer_id = c.id and t.archived_at is null and t.email is not null order by t.id limit 3) x),
    'lastEmailAt', greatest((select max(a.happened_at) from crm.activities a where a.org_id = c.org_id and a.customer_id = c.id and a.kind = 'email'
       and a.archived_at is null and {subjects.visible_sql("a")}), (select max(m.created_at) from crm.emails m where m.org_id = c.org_id
       and m.customer_id = c.id and m.archived_at is null and {subjects.visible_sql("m")})),
    'openTasks', (select jsonb_agg(jsonb_build_object('id', 'task_' || t.id, 'title', t.title, 'dueOn', t.due_on) order by t.id) from crm.tasks t
       where t.org_id = c.org_id and t.customer_id = c.id and t.status = 'open' and t.archived_at is null and t.subject_type in ('customers', 'invoices')
       and {subjects.task_visible_sql("t")}),
    'openIssues', case when 'issues' = any ({subjects.SEEN}) then (select nullif(count(*), 0) from crm.issues s where s.org_id = c.org_id and s.customer_id = c.id
       and s.status in ('open', 'waiting') and s.archived_at is null) end)) order by p.oldest, c.id), '[]')
   from page p join crm.customers c on c.org_id = %(org)s and c.id = p.customer_id),
  %(customer)s::bigint is null or exists (select from crm.customers c where c.org_id = %(org)s and c.id = %(customer)s)"""
DEBTORS = f"""select 'cust_' || r.id as id, r.name from crm.customers r where r.org_id = %(org)s and r.archived_at is null
   and r.id in (select i.customer_id from crm.invoices i where {OVERDUE} and i.due_on < %(today)s::date)
   and (%(typed)s::text = '' or {completing.typed_id_sql("cust", "r")} or {completing.SAYS}) limit {completing.COUNTED + 1}"""


async def debtors(ctx: Read, typed: str, given: object) -> Offer:
    """Offer customers with an overdue invoice."""
    today = ctx.principal.day(datetime.now(UTC))
    return await completing.offered(ctx, DEBTORS, typed, role=ctx.principal.role, today=today)


class OverdueFollowUps(PromptArgs):
    customer: Named | None = Field(None, description="Only this one: its name or cust_….")
    days: int = Field(1, ge=1, le=3650, description="Overdue by so many days or more; 1.")


@prompt(
    title="Follow up overdue invoices",
    calls={"get_customer", "send_email_draft", "create_task"},
    reads={"get_invoices"},
    also={"get_invoices", "get_issues", "get_payments", "list_drafts"},
    completes={"customer": debtors, "days": completing.among(("1", "7", "14", "30", "60", "90"))},
)
async def overdue_follow_ups(ctx: Read, args: OverdueFollowUps, can: Collection[str]) -> Brief:
    """Go through overdue invoices customer by customer and draft a fitting reminder to each."""
    number = None
    if args.customer is not None:
        number = (await naming.record(ctx, "customer", args.customer, ("customers",)))[1]
    today = ctx.principal.day(datetime.now(UTC))
    row = await ctx.one(SQL, customer=number, days=args.days, today=today, role=ctx.principal.role)
    assert row is not None
    count, customers, totals, ageing, told, is_there = row
    if number is not None and not is_there:
        raise missing.customer(show("customers", number))
    facts = {
        "today": today.isoformat(),
        "overdueInvoices": count,
        "customersConcerned": customers,
        "totals": totals,
        "ageing": ageing,
        "customers": told,
    }
    whose = f" of {show('customers', number)}" if number else ""
    if not count:
        return Brief(
            f"No invoice{whose} is overdue by {args.days} days or more, so nobody is to be reminded.",
            ("Say so; there is nothing to draft.",),
            "one sentence.",
            facts,
        )
    return Brief(
        f"Follow up {count} invoices{whose} that are overdue by {args.days} days or more, of {customers} customers. "
        f"Today is {today.isoformat()}.",
        (
            "Read the facts: customers, the longest overdue first, with their invoices, whom to write to and what is under way.",
            f"The facts hold at most {len(told)} of {customers} customers: "
            + (
                "get_invoices (status overdue) lists the rest."
                if "get_invoices" in can
                else "say that the rest comes when these are done and this is asked again."
            )
            if customers > len(told)
            else None,
            "Call get_customer for each one that you mean to write to: how good a customer, what is being argued about, who spoke last."
            + (" Look at what an open issue is about with get_issues." if "get_issues" in can else ""),
            "See with get_payments (customer, on_account true) whether money came that is not yet put against an invoice."
            if "get_payments" in can
            else None,
            "Decide for each: up to 14 days a friendly reminder; 15 to 30 a firm one that asks for a day; over 30, or where a complaint "
            "is open, a task for a person to call and no e-mail. Leave out whoever was written to in the last 7 days or has a task open for it.",
            "See with list_drafts (state pending) that no reminder to them waits already."
            if "list_drafts" in can
            else None,
            "Show the person the list with what you mean to do, and let them strike out what they do not want.",
            "Write each reminder with send_email_draft: one e-mail a customer, to the contact for accounts or else the customer, about "
            "their id; invoice number, day due and open amount of each invoice as the facts state them; no threat, no interest, no fee "
            "that the person did not name. In the customer's language where the facts show it.",
            "Give each call to make to whoever owns the customer with create_task (about the invoice's id, due within three working days).",
        ),
        "a table: customer, invoices, open amount by currency, days overdue, what you did (draft id or task id) or why not; then the "
        "totals as the facts state them.",
        facts,
        (DRAFTS,),
    )
