-- title: Customers without contact
-- description: Customers nobody has been in touch with for some time, those worth most first.
-- roles: admin, sales
-- param: days integer = 90 | At least so many days without a call, meeting, e-mail or visit.
-- param: most integer = 30 | How many customers, up to 500.
-- column: id text | Customer id.
-- column: customer text | Name.
-- column: owner text | Who looks after them.
-- column: last_contact date | Day of the last activity, in the org's zone; none where there never was one.
-- column: silent integer in days | Whole days since then.
-- column: value money total | Gross of all orders not cancelled.
-- note: Contacts are activities, as in the insight daysSinceLastContact. Archived customers are left out. Totals are of the rows shown.
select 'cust_' || s.id as id, s.name as customer, u.name as owner, (s.last at time zone %(zone)s)::date as last_contact,
  floor(extract(epoch from %(now)s::timestamptz - s.last) / 86400)::int as silent, s.value
from (
  select c.id, c.name, c.owner_id, a.last, coalesce(o.value, 0) as value
  from crm.customers c
  left join (select x.customer_id, max(x.happened_at) as last from crm.activities x
    where x.org_id = %(org)s and x.customer_id is not null and x.archived_at is null group by x.customer_id) a on a.customer_id = c.id
  left join (select x.customer_id, sum(x.base_total) as value from crm.orders x
    where x.org_id = %(org)s and x.status <> 'cancelled' group by x.customer_id) o on o.customer_id = c.id
  where c.org_id = %(org)s and c.archived_at is null
    and (a.last is null or a.last <= %(now)s::timestamptz - make_interval(days => %(days)s::int))
  order by value desc, c.id
  limit least(greatest(%(most)s::int, 1), 500)) s
left join crm.users u on u.id = s.owner_id
order by s.value desc, s.id
