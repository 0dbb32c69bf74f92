-- title: Issue resolution times
-- description: How long first answers and resolutions took, by priority.
-- roles: admin, operations, support
-- period: 90_days | When issues were resolved.
-- column: priority text | urgent, high, normal, low.
-- column: issues integer total | Resolved in the period.
-- column: median_answer integer in minutes | Whole minutes from report to first answer, at the median.
-- column: median_resolution integer in minutes | Whole minutes from report to resolution less the time it waited for the customer, at the median.
-- key: priority
-- when: i.resolved_at
-- group: priority | i.priority | urgent, high, normal, low.
-- group: person | coalesce((select y.name from crm.users y where y.id = i.assignee_id), '(nobody)') | Whose they are; (nobody) where nobody is named.
-- filter: customer id customers | i.customer_id = %(customer)s::bigint | Of this customer.
-- filter: person text | (i.assignee_id is null and lower(btrim(%(person)s::text)) = '(nobody)' or i.assignee_id in (select y.id from crm.users y join crm.memberships z on z.org_id = %(org)s and z.user_id = y.id where lower(btrim(%(person)s::text)) in (lower(y.name), lower(y.email)))) | Whose they are; name, e-mail or (nobody).
-- filter: priority word urgent/high/normal/low | i.priority = %(priority)s | Of this priority.
-- ids: issues
-- chart: bar priority median_resolution
-- note: Time that an issue waited for the customer is not time of ours. Issues resolved without an answer on record are not in median_answer.
select {group} as {by}, count(*)::int as issues,
  floor(percentile_cont(0.5) within group (order by extract(epoch from i.responded_at - i.opened_at)) / 60)::bigint as median_answer,
  floor(percentile_cont(0.5) within group (order by extract(epoch from i.resolved_at - i.opened_at) - i.waited_seconds) / 60)::bigint as median_resolution,
  (array_agg(i.id order by i.id desc))[1:20] as ids, count(*)::int as id_count
from crm.issues i
where i.org_id = %(org)s and i.archived_at is null
  and i.resolved_at >= %(since)s::timestamptz
  and i.resolved_at < %(until)s::timestamptz{filters}
group by 1
order by array_position(array['urgent', 'high', 'normal', 'low'], min(i.priority)), 1
