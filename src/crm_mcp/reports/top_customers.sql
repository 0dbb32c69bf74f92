-- title: Top customers
-- description: Customers by net revenue, the largest first.
-- roles: admin, sales, finance
-- period: 365_days | When orders were placed.
-- param: most integer = 10 | How many customers, up to 100.
-- column: id text | Customer id.
-- column: customer text | Name.
-- column: orders integer total | Orders that are not cancelled.
-- column: revenue money total | Net of discount and without tax.
-- column: last_order date | Day of the last order, in the org's zone.
-- column: unconverted integer total | Foreign orders without a rate.
-- ids: orders
-- chart: bar customer revenue
-- note: A foreign order counts by the rate stored with it; one without a rate counts as 0 and is in unconverted.
-- note: Totals are of the rows shown. Credit notes are in month_end.
select 'cust_' || c.id as id, c.name as customer, s.orders, s.revenue,
  (s.last_order at time zone %(zone)s)::date as last_order, s.unconverted, s.ids, s.id_count
from (
  select o.customer_id, count(*)::int as orders,
    coalesce(sum(case when o.currency = %(currency)s then o.net_total
           when o.gross_total > 0 then o.net_total * o.base_total / o.gross_total else 0 end), 0) as revenue,
    max(o.placed_at) as last_order, (count(*) filter (where o.base_total is null))::int as unconverted,
    (array_agg(o.id order by o.id desc))[1:20] as ids, count(*)::int as id_count
  from crm.orders o
  where o.org_id = %(org)s and o.status <> 'cancelled'
    and o.placed_at >= least(%(from)s::date::timestamp at time zone %(zone)s, (%(from)s::date - interval '1 hour') at time zone %(zone)s + interval '1 hour')
  and o.placed_at < least((%(to)s::date + 1)::timestamp at time zone %(zone)s, (%(to)s::date + interval '23 hours') at time zone %(zone)s + interval '1 hour')
  group by o.customer_id
  order by revenue desc, o.customer_id
  limit least(greatest(%(most)s::int, 1), 100)) s
join crm.customers c on c.org_id = %(org)s and c.id = s.customer_id
order by s.revenue desc, c.id
