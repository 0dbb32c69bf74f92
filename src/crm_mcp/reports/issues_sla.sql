-- title: Service levels of issues
-- description: First answers and resolutions kept and breached, by priority.
-- roles: admin, operations, support
-- period: 90_days | When issues were reported.
-- column: priority text | urgent, high, normal, low.
-- column: issues integer total | Reported in the period.
-- column: answer_kept integer total | First answered in time.
-- column: answer_breached integer total | Answered late, or not yet and late.
-- column: answer_rate percent | answer_kept of kept and breached.
-- column: kept integer total | Resolved in time.
-- column: breached integer total | Resolved late, or not yet and late.
-- column: running integer total | Not resolved and still in time, or waiting since before it was late.
-- column: rate percent | kept of kept and breached.
-- key: priority
-- when: i.opened_at
-- group: priority | i.priority | urgent, high, normal, low.
-- group: person | coalesce((select y.name from crm.users y where y.id = i.assignee_id), '(nobody)') | Whose they are; (nobody) where nobody is named.
-- filter: customer id customers | i.customer_id = %(customer)s::bigint | Of this customer.
-- filter: person text | (i.assignee_id is null and lower(btrim(%(person)s::text)) = '(nobody)' or i.assignee_id in (select y.id from crm.users y join crm.memberships z on z.org_id = %(org)s and z.user_id = y.id where lower(btrim(%(person)s::text)) in (lower(y.name), lower(y.email)))) | Whose they are; name, e-mail or (nobody).
-- filter: priority word urgent/high/normal/low | i.priority = %(priority)s | Of this priority.
-- ids: issues
-- chart: bar priority rate
-- note: The time to resolve stands still while an issue waits for the customer. Issues without a due time are counted in issues alone.
-- note: ids are those breached.
select x.{by}, count(*)::int as issues,
  (count(*) filter (where answer = 'kept'))::int as answer_kept,
  (count(*) filter (where answer = 'breached'))::int as answer_breached,
  round(100.0 * count(*) filter (where answer = 'kept') / nullif(count(*) filter (where answer in ('kept', 'breached')), 0), 1) as answer_rate,
  (count(*) filter (where solution = 'kept'))::int as kept,
  (count(*) filter (where solution = 'breached'))::int as breached,
  (count(*) filter (where solution = 'running'))::int as running,
  round(100.0 * count(*) filter (where solution = 'kept') / nullif(count(*) filter (where solution in ('kept', 'breached')), 0), 1) as rate,
  (array_agg(x.id order by x.id desc) filter (where answer = 'breached' or solution = 'breached'))[1:20] as ids,
  (count(*) filter (where answer = 'breached' or solution = 'breached'))::int as id_count
from (select i.id, {group} as {by},
    case when i.respond_by is null then null
      when coalesce(i.responded_at, i.resolved_at, %(now)s::timestamptz) > i.respond_by then 'breached'
      when coalesce(i.responded_at, i.resolved_at) is not null then 'kept' else 'running' end as answer,
    case when i.resolve_by is null then null
      when coalesce(i.resolved_at, i.closed_at, i.waiting_since, %(now)s::timestamptz) > i.resolve_by then 'breached'
      when coalesce(i.resolved_at, i.closed_at) is not null then 'kept' else 'running' end as solution
  from crm.issues i
  where i.org_id = %(org)s and i.archived_at is null
    and i.opened_at >= %(since)s::timestamptz
  and i.opened_at < %(until)s::timestamptz{filters}) x
group by 1
order by array_position(array['urgent', 'high', 'normal', 'low'], x.{by}), 1
