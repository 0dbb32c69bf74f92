-- title: Days from quote to order
-- description: How long it took from a quote to its order, by the month of the order.
-- roles: admin, sales
-- period: 365_days | When orders were placed.
-- column: month text | Month as YYYY-MM, in the org's zone.
-- column: orders integer total | Orders that came from a quote and are not cancelled.
-- column: mean_days integer in days | Whole days on the mean.
-- column: longest integer in days | Whole days of the slowest.
-- ids: orders
-- chart: line month mean_days
-- note: Orders without a quote do not count. Days are of 24 hours.
select to_char(o.placed_at at time zone %(zone)s, 'YYYY-MM') as month, count(*)::int as orders,
  floor(avg(extract(epoch from o.placed_at - q.quoted_at)) / 86400)::int as mean_days,
  floor(max(extract(epoch from o.placed_at - q.quoted_at)) / 86400)::int as longest,
  (array_agg(o.id order by o.id desc))[1:20] as ids, count(*)::int as id_count
from crm.orders o
join crm.quotes q on q.org_id = %(org)s and q.id = o.quote_id
where o.org_id = %(org)s and o.status <> 'cancelled'
  and o.placed_at >= least(%(from)s::date::timestamp at time zone %(zone)s, (%(from)s::date - interval '1 hour') at time zone %(zone)s + interval '1 hour')
  and o.placed_at < least((%(to)s::date + 1)::timestamp at time zone %(zone)s, (%(to)s::date + interval '23 hours') at time zone %(zone)s + interval '1 hour')
group by 1
order by 1
