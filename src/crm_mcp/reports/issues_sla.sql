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
-- ids: issues
-- chart: bar priority rate
-- note: The time to resolve stands still while an issue waits for the customer. Issues without a due time are counted in issues alone.
-- note: ids are those breached.
select x.priority, count(*)::int as issues,
  (count(*) filter (where answer = 'kept'))::int as answer_kept,
  (count(*) filter (where answer = 'breached'))::int as answer_breached,
  round(100.0 * count(*) filter (where answer = 'kept') / nullif(count(*) filter (where answer in ('kept', 'breached')), 0), 1) as answer_rate,
  (count(*) filter (where solution = 'kept'))::int as kept,
  (count(*) filter (where solution = 'breached'))::int as breached,
  (count(*) filter (where solution = 'running'))::int as running,
  round(100.0 * count(*) filter (where solution = 'kept') / nullif(count(*) filter (where solution in ('kept', 'breached')), 0), 1) as rate,
  (array_agg(x.id order by x.id desc) filter (where answer = 'breached' or solution = 'breached'))[1:20] as ids,
  (count(*) filter (where answer = 'breached' or solution = 'breached'))::int as id_count
from (select i.id, i.priority,
    case when i.respond_by is null then null
      when coalesce(i.responded_at, i.resolved_at, %(now)s::timestamptz) > i.respond_by then 'breached'
      when coalesce(i.responded_at, i.resolved_at) is not null then 'kept' else 'running' end as answer,
    case when i.resolve_by is null then null
      when coalesce(i.resolved_at, i.closed_at, i.waiting_since, %(now)s::timestamptz) > i.resolve_by then 'breached'
      when coalesce(i.resolved_at, i.closed_at) is not null then 'kept' else 'running' end as solution
  from crm.issues i
  where i.org_id = %(org)s and i.archived_at is null
    and i.opened_at >= least(%(from)s::date::timestamp at time zone %(zone)s, (%(from)s::date - interval '1 hour') at time zone %(zone)s + interval '1 hour')
  and i.opened_at < least((%(to)s::date + 1)::timestamp at time zone %(zone)s, (%(to)s::date + interval '23 hours') at time zone %(zone)s + interval '1 hour')) x
group by x.priority
order by array_position(array['urgent', 'high', 'normal', 'low'], x.priority)
