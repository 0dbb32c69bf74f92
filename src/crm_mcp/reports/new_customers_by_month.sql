-- title: New customers by month
-- description: Customers by the month of their first order.
-- roles: admin, sales, finance
-- period: 365_days | When customers first ordered.
-- column: month text | Month as YYYY-MM, in the org's zone.
-- column: customers integer total | Customers whose first order was placed in it.
-- ids: customers
-- chart: bar month customers
-- note: New is who ordered for the first time ever, cancelled orders aside; not who was merely recorded or imported.
select x.month, count(*)::int as customers,
  (array_agg(x.customer_id order by x.customer_id desc))[1:20] as ids, count(*)::int as id_count
from (select o.customer_id, to_char(min(o.placed_at) at time zone %(zone)s, 'YYYY-MM') as month
  from crm.orders o
  where o.org_id = %(org)s and o.status <> 'cancelled'
  group by o.customer_id
  having min(o.placed_at) >= least(%(from)s::date::timestamp at time zone %(zone)s, (%(from)s::date - interval '1 hour') at time zone %(zone)s + interval '1 hour')
    and min(o.placed_at) < least((%(to)s::date + 1)::timestamp at time zone %(zone)s, (%(to)s::date + interval '23 hours') at time zone %(zone)s + interval '1 hour')) x
group by x.month
order by x.month
