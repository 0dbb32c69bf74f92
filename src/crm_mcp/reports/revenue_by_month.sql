-- title: Revenue by month
-- description: Net revenue of orders by the month they were placed in, in the org's zone.
-- roles: admin, sales, operations, finance
-- period: all | When orders were placed.
-- column: month text | Month as YYYY-MM.
-- column: orders integer total | Orders that are not cancelled.
-- column: revenue money total | Net of discount and without tax.
-- column: unconverted integer total | Foreign orders without a rate.
-- ids: orders
-- chart: line month revenue
-- note: A foreign order counts by the rate stored with it; one without a rate counts as 0 and is in unconverted.
-- note: Orders, not invoices: credit notes are in month_end.
select to_char(o.placed_at at time zone %(zone)s, 'YYYY-MM') as month,
  count(*)::int as orders,
  coalesce(sum(case when o.currency = %(currency)s then o.net_total
           when o.gross_total > 0 then o.net_total * o.base_total / o.gross_total else 0 end), 0) as revenue,
  (count(*) filter (where o.base_total is null))::int as unconverted,
  (array_agg(o.id order by o.id desc))[1:20] as ids, count(*)::int as id_count
from crm.orders o
where o.org_id = %(org)s and o.status <> 'cancelled'
  and o.placed_at >= least(%(from)s::date::timestamp at time zone %(zone)s, (%(from)s::date - interval '1 hour') at time zone %(zone)s + interval '1 hour')
  and o.placed_at < least((%(to)s::date + 1)::timestamp at time zone %(zone)s, (%(to)s::date + interval '23 hours') at time zone %(zone)s + interval '1 hour')
group by 1
order by 1
