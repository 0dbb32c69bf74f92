"""The service clock of an issue: when an answer and a resolution are due, and what follows from it."""

RULES = {
    "slaState": (
        "Of an issue, by its next due time (respond_by until it is answered, then resolve_by): breached after it, at "
        "risk with 20 % or less of the time left, else ok. The clock stands still while an issue waits for the "
        "customer; a resolved issue is breached where it was resolved after resolve_by, else ok."
    ),
    "hoursLeft": "Hours until the next due time of an open issue; hoursOver: hours past it.",
    "underWarranty": "The issue was opened on or before the last day of the product's warranty, in the org's zone.",
    "repeatedIssue": "The same customer had another issue with the same product within 90 days before it was opened.",
    "suggestedNextActionsOfAnIssue": (
        "First answer due, resolution due, nobody assigned, waiting for 7 days, under warranty, repeated."
    ),
}

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
