"""The computed insights (`_meta`): each rule in one place, as SQL and in words."""

from ..money import money_sql
from .subjects import SEEN

RULES = {
    "hasOverdueInvoices": "An invoice is not paid in full and its due date is before today in the org's zone.",
    "daysSinceLastContact": "Whole days since the last activity (call, meeting, e-mail, visit) with the customer, on any of their records; archived ones do not count; absent where there is none.",
    "lifetimeValue": "Gross of all orders not cancelled, base currency: high from 50,000, medium from 10,000, else low.",
    "churnRisk": (
        "Days since the last order against the customer's own mean interval between orders: high above 2 × and 60 "
        "days, medium above 1.25 × and 30 days, else low. With one order: high above 365 days, medium above 180. "
        "Absent without orders."
    ),
    "invoiceState": "Of an order: none, partly or wholly invoiced (gross of its invoices less what is credited), paid once nothing of them is open.",
    "daysOpen": "Of an order: whole days since it was placed, while it is confirmed.",
    "isLate": "Of an order: confirmed for more than 7 days.",
    "shortOfStock": "Of a confirmed order: products of which less is in stock than the order keeps, and how many are missing.",
    "totals": "Invoices: gross and open (what is above zero) by currency. Payments: received and on account. Of all that match.",
    "ageing": (
        "Open amounts by currency and days since the due date in the org's zone: not due, 1 to 30, 31 to 60, 61 to 90, "
        "over 90. Of all that match."
    ),
    "suggestedNextActions": (
        "Of a customer, in this order: overdue invoices, urgent open issues, churn risk high, no contact for 90 days. "
        "Of an issue: first answer due, resolution due, nobody assigned, waiting for 7 days, under warranty, repeated."
    ),
    "slaState": (
        "Of an issue, by its next due time (respond_by until it is answered, then resolve_by): breached after it, at "
        "risk with 20 % or less of the time left, else ok. The clock stands still while an issue waits for the "
        "customer; a resolved issue is breached where it was resolved after resolve_by, else ok."
    ),
    "hoursLeft": "Hours until the next due time of an open issue; hoursOver: hours past it.",
    "underWarranty": "The issue was opened on or before the last day of the product's warranty, in the org's zone.",
    "repeatedIssue": "The same customer had another issue with the same product within 90 days before it was opened.",
}

FACTS = f"""facts as (
 select c.id,
  (select jsonb_build_object('number', i.number, 'days', %(today)s::date - i.due_on,
     'open', {money_sql("i.open_total", "i.currency")})
   from crm.invoices i where i.org_id = c.org_id and i.customer_id = c.id and i.open_total > 0
     and i.due_on < %(today)s::date and i.archived_at is null order by i.due_on limit 1) as overdue,
  (select floor(extract(epoch from %(now)s::timestamptz - max(a.happened_at)) / 86400)::int from crm.activities a
   where a.org_id = c.org_id and a.customer_id = c.id and a.archived_at is null
     and a.happened_at <= %(now)s::timestamptz) as silent_days,
  o.orders, o.value, o.idle_days, o.usual_days,
  (select count(*) from crm.issues s where s.org_id = c.org_id and s.customer_id = c.id and s.status in ('open', 'waiting')
     and s.priority = 'urgent' and s.archived_at is null and 'issues' = any ({SEEN})) as urgent
 from found c left join lateral (
  select count(*) as orders, coalesce(sum(base_total), 0) as value,
   floor(extract(epoch from %(now)s::timestamptz - max(placed_at)) / 86400)::int as idle_days,
   case when count(*) > 1 then extract(epoch from max(placed_at) - min(placed_at)) / 86400 / (count(*) - 1) end as usual_days
  from crm.orders r where r.org_id = c.org_id and r.customer_id = c.id and r.status <> 'cancelled') o on true),
judged as (
 select f.*, case when orders = 0 then null
   when usual_days is null then case when idle_days > 365 then 'high' when idle_days > 180 then 'medium' else 'low' end
   when idle_days > 2 * usual_days and idle_days > 60 then 'high'
   when idle_days > 1.25 * usual_days and idle_days > 30 then 'medium' else 'low' end as churn
 from facts f)"""
"""Common table expressions over `found` (one customers row); needs %(today)s, %(now)s and %(role)s."""

META = """jsonb_strip_nulls(jsonb_build_object(
 'hasOverdueInvoices', j.overdue is not null, 'daysSinceLastContact', j.silent_days,
 'lifetimeValue', case when j.value >= 50000 then 'high' when j.value >= 10000 then 'medium' else 'low' end,
 'churnRisk', j.churn,
 'suggestedNextActions', (select coalesce(jsonb_agg(a order by n), '[]') from (values
   (1, case when j.overdue is not null then format('Ask about invoice %%s: %%s %%s open, %%s days overdue',
      j.overdue ->> 'number', j.overdue -> 'open' ->> 'currency', j.overdue -> 'open' ->> 'amount', j.overdue ->> 'days') end),
   (2, case when j.urgent > 0 then format('Look at %%s urgent open issue(s)', j.urgent) end),
   (3, case when j.churn = 'high' then format('Call: no order for %%s days', j.idle_days) end),
   (4, case when j.silent_days > 90 then format('Get in touch: no contact for %%s days', j.silent_days) end)) x(n, a)
   where a is not null)))"""


INVOICE_TOTALS = """(select coalesce(jsonb_agg(jsonb_build_object('currency', currency, 'invoices', n,
   'gross', crm.money(gross, currency) -> 'amount', 'open', crm.money(open, currency) -> 'amount') order by currency), '[]')
  from (select currency, count(*) as n, sum(gross_total) as gross, sum(greatest(open_total, 0)) as open from matched group by currency) t)"""
"""Totals over `matched` (invoices' currency, gross_total, open_total, due_on)."""

AGEING = """(select coalesce(jsonb_agg(jsonb_build_object('currency', currency, 'notDue', crm.money(d0, currency) -> 'amount',
   '1-30', crm.money(d30, currency) -> 'amount', '31-60', crm.money(d60, currency) -> 'amount',
   '61-90', crm.money(d90, currency) -> 'amount', 'over90', crm.money(older, currency) -> 'amount') order by currency), '[]')
  from (select currency, coalesce(sum(open_total) filter (where late <= 0), 0) as d0,
    coalesce(sum(open_total) filter (where late between 1 and 30), 0) as d30,
    coalesce(sum(open_total) filter (where late between 31 and 60), 0) as d60,
    coalesce(sum(open_total) filter (where late between 61 and 90), 0) as d90,
    coalesce(sum(open_total) filter (where late > 90), 0) as older
   from (select m.*, %(today)s::date - m.due_on as late from matched m where m.open_total > 0) x group by currency) t)"""
"""Open amounts by age over the same `matched`; needs %(today)s."""

PAYMENT_TOTALS = """(select coalesce(jsonb_agg(jsonb_build_object('currency', currency, 'payments', n,
   'received', crm.money(received, currency) -> 'amount', 'onAccount', crm.money(received - allocated, currency) -> 'amount')
   order by currency), '[]')
  from (select currency, count(*) as n, sum(amount) as received, sum(allocated_total) as allocated from matched group by currency) t)"""
"""Totals over `matched` (payments' currency, amount, allocated_total)."""

UNRESOLVED = "i.status in ('open', 'waiting')"
CLOCK = f"""lateral (select d.*, extract(epoch from d.due - d.at) as left_s,
  case when d.due is null then null when d.at > d.due then 'breached'
   when {UNRESOLVED} and extract(epoch from d.due - d.at) <= 0.2 * (extract(epoch from d.due - i.opened_at) - d.stood_s) then 'at risk'
   else 'ok' end as state
 from (select coalesce(i.resolved_at, i.closed_at, i.waiting_since, %(now)s::timestamptz) as at,
   case when b.answering then least(i.respond_by, i.resolve_by) else i.resolve_by end as due,
   case when b.answering then 0 else i.waited_seconds end as stood_s, b.answering
  from (select i.responded_at is null and {UNRESOLVED} as answering) b) d) k"""
"""The service clock `k` of an issue `i` (at, due, left_s, state, answering); needs %(now)s."""

ISSUE_META = f"""(select jsonb_strip_nulls(jsonb_build_object('slaState', k.state,
  'hoursLeft', case when {UNRESOLVED} and k.left_s >= 0 then round(k.left_s / 3600, 1) end,
  'hoursOver', case when k.left_s < 0 then round(-k.left_s / 3600, 1) end,
  'underWarranty', f.warranted, 'repeatedIssue', f.before is not null,
  'suggestedNextActions', (select coalesce(jsonb_agg(a order by n), '[]') from (values
   (1, case when k.answering and k.state <> 'ok' then format('Answer: the first answer is %%s', f.how) end),
   (2, case when not k.answering and {UNRESOLVED} and k.state <> 'ok' then format('Resolve: the resolution is %%s', f.how) end),
   (3, case when {UNRESOLVED} and i.assignee_id is null then 'Assign it: nobody works on it' end),
   (4, case when f.waits >= 7 then format('Ask the customer again: it has waited for %%s days', f.waits) end),
   (5, case when {UNRESOLVED} and f.warranted and i.type in ('warranty', 'return', 'problem', 'complaint')
     then format('Repair or replace: under warranty until %%s', i.warranty_until) end),
   (6, case when {UNRESOLVED} and f.before is not null then format('Look at iss_%%s: the same product before', f.before) end)) x(n, a)
   where a is not null)))
 from (select coalesce(i.warranty_until >= (i.opened_at at time zone %(zone)s)::date, false) as warranted,
   (select p.id from crm.issues p where p.org_id = i.org_id and p.customer_id = i.customer_id and p.product_id = i.product_id
     and p.id <> i.id and p.archived_at is null and p.opened_at <= i.opened_at and p.opened_at >= i.opened_at - interval '90 days'
     order by p.opened_at desc, p.id desc limit 1) as before,
   case when k.left_s < 0 then format('%%s hours late', round(-k.left_s / 3600, 1)) else format('due in %%s hours', round(k.left_s / 3600, 1)) end as how,
   case when i.status = 'waiting' then floor(extract(epoch from %(now)s::timestamptz - i.waiting_since) / 86400)::int end as waits) f)"""
"""The insights on one issue `i` with its clock `k`; needs %(now)s and %(zone)s."""
