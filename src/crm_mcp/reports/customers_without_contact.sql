-- title: Customers without contact
-- description: Customers nobody has been in touch with for some time, those worth most first.
-- roles: admin, sales
-- param: days integer = 90 | At least so many days without a call, meeting, e-mail or visit.
-- param: most integer = 30 up to 500 | How many customers, up to 500.
-- column: id text | Customer id.
-- column: customer text | Name.
-- column: owner text | Who looks after them.
-- column: last_contact date | Day of the last activity, in the org's zone; none where there never was one.
-- column: silent integer in days | Whole days since then.
-- column: value money total | Gross of all orders not cancelled.
-- key: id
-- filter: segment text | lower(coalesce(nullif(btrim(c.segment), ''), '(not stated)')) = lower(btrim(%(segment)s::text)) | Of customers of this segment.
-- filter: country text | lower(coalesce(nullif(btrim(c.country), ''), '(not stated)')) = lower(btrim(%(country)s::text)) | Of customers of this country, as recorded.
-- filter: owner text | c.owner_id in (select y.id from crm.users y join crm.memberships z on z.org_id = %(org)s and z.user_id = y.id where lower(btrim(%(owner)s::text)) in (lower(y.name), lower(y.email))) | Of customers that this person looks after; name or e-mail.
-- note: Contacts are activities, as in the insight daysSinceLastContact. Archived customers are left out. Totals are of the rows shown.
select 'cust_' || c.id as id, c.name as customer, u.name as owner, (a.last at time zone %(zone)s)::date as last_contact,
  floor(extract(epoch from %(now)s::timestamptz - a.last) / 86400)::int as silent, coalesce(o.value, 0) as value
from crm.customers c
left join (select x.customer_id, max(x.happened_at) as last from crm.activities x
  where x.org_id = %(org)s and x.customer_id is not null and x.archived_at is null group by x.customer_id) a on a.customer_id = c.id
left join (select x.customer_id, sum(x.base_total) as value from crm.orders x
  where x.org_id = %(org)s and x.status <> 'cancelled' group by x.customer_id) o on o.customer_id = c.id
left join crm.users u on u.id = c.owner_id
where c.org_id = %(org)s and c.archived_at is null
  and (a.last is null or a.last <= %(now)s::timestamptz - make_interval(days => %(days)s::int)){filters}
order by value desc, c.id
limit %(most)s::int
