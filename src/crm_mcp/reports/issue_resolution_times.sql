-- title: Issue resolution times
-- description: How long first answers and resolutions took, by priority.
-- roles: admin, operations, support
-- period: 90_days | When issues were resolved.
-- column: priority text | urgent, high, normal, low.
-- column: issues integer total | Resolved in the period.
-- column: median_answer integer in minutes | Whole minutes from report to first answer, at the median.
-- column: median_resolution integer in minutes | Whole minutes from report to resolution less the time it waited for the customer, at the median.
-- ids: issues
-- chart: bar priority median_resolution
-- note: Time that an issue waited for the customer is not time of ours. Issues resolved without an answer on record are not in median_answer.
select i.priority, count(*)::int as issues,
  floor(percentile_cont(0.5) within group (order by extract(epoch from i.responded_at - i.opened_at)) / 60)::bigint as median_answer,
  floor(percentile_cont(0.5) within group (order by extract(epoch from i.resolved_at - i.opened_at) - i.waited_seconds) / 60)::bigint as median_resolution,
  (array_agg(i.id order by i.id desc))[1:20] as ids, count(*)::int as id_count
from crm.issues i
where i.org_id = %(org)s and i.archived_at is null
  and i.resolved_at >= least(%(from)s::date::timestamp at time zone %(zone)s, (%(from)s::date - interval '1 hour') at time zone %(zone)s + interval '1 hour')
  and i.resolved_at < least((%(to)s::date + 1)::timestamp at time zone %(zone)s, (%(to)s::date + interval '23 hours') at time zone %(zone)s + interval '1 hour')
group by i.priority
order by array_position(array['urgent', 'high', 'normal', 'low'], i.priority)
