-- title: Open issues by age
-- description: Open and waiting issues by how long ago they were reported, the oldest last.
-- roles: admin, operations, support
-- column: age text in days | Whole days since they were reported.
-- column: issues integer total | Open or waiting.
-- column: urgent integer total | Of them urgent.
-- column: high integer total | Of them high.
-- column: waiting integer total | Of them waiting for the customer.
-- column: unassigned integer total | Of them nobody's.
-- column: late integer total | Of them past the time they should be resolved by; not those that wait.
-- key: age
-- filter: customer id customers | i.customer_id = %(customer)s::bigint | Of this customer.
-- filter: person text | (i.assignee_id is null and lower(btrim(%(person)s::text)) = '(nobody)' or i.assignee_id in (select y.id from crm.users y join crm.memberships z on z.org_id = %(org)s and z.user_id = y.id where lower(btrim(%(person)s::text)) in (lower(y.name), lower(y.email)))) | Whose they are; name, e-mail or (nobody).
-- filter: priority word urgent/high/normal/low | i.priority = %(priority)s | Of this priority.
-- ids: issues
-- chart: bar age issues
-- note: ids are the oldest of the row.
select (array['0-1', '2-7', '8-30', 'over 30'])[b.bucket] as age, count(*)::int as issues,
  (count(*) filter (where i.priority = 'urgent'))::int as urgent, (count(*) filter (where i.priority = 'high'))::int as high,
  (count(*) filter (where i.status = 'waiting'))::int as waiting,
  (count(*) filter (where i.assignee_id is null))::int as unassigned,
  (count(*) filter (where i.resolve_by < %(now)s::timestamptz and i.status = 'open'))::int as late,
  (array_agg(i.id order by i.opened_at, i.id))[1:20] as ids, count(*)::int as id_count
from crm.issues i
cross join lateral (select floor(extract(epoch from %(now)s::timestamptz - i.opened_at) / 86400) as days) d
cross join lateral (select case when d.days <= 1 then 1 when d.days <= 7 then 2 when d.days <= 30 then 3 else 4 end as bucket) b
where i.org_id = %(org)s and i.status in ('open', 'waiting') and i.archived_at is null{filters}
group by b.bucket
order by b.bucket
