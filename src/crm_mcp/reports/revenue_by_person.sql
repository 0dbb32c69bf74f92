-- title: Revenue by person
-- description: Net revenue of orders by who sold them, the largest first.
-- roles: admin, sales, finance
-- period: 365_days | When orders were placed.
-- column: person text | Salesperson as written on the order; (not stated) where there is none.
-- column: orders integer total | Orders that are not cancelled.
-- column: revenue money total | Net of discount and without tax.
-- column: mean_order money | Revenue by order, without those in unconverted.
-- column: unconverted integer total | Foreign orders without a rate.
-- ids: orders
-- chart: bar person revenue
-- note: A foreign order counts by the rate stored with it; one without a rate counts as 0 and is in unconverted.
-- note: Orders, not invoices: credit notes are in month_end.
select coalesce(nullif(btrim(o.salesperson), ''), '(not stated)') as person,
  count(*)::int as orders,
  coalesce(sum(case when o.currency = %(currency)s then o.net_total
           when o.gross_total > 0 then o.net_total * o.base_total / o.gross_total else 0 end), 0) as revenue,
  coalesce(avg(case when o.currency = %(currency)s then o.net_total
           when o.gross_total > 0 then o.net_total * o.base_total / o.gross_total
           when o.base_total is not null then 0 end), 0) as mean_order,
  (count(*) filter (where o.base_total is null))::int as unconverted,
  (array_agg(o.id order by o.id desc))[1:20] as ids, count(*)::int as id_count
from crm.orders o
where o.org_id = %(org)s and o.status <> 'cancelled'
  and o.placed_at >= least(%(from)s::date::timestamp at time zone %(zone)s, (%(from)s::date - interval '1 hour') at time zone %(zone)s + interval '1 hour')
  and o.placed_at < least((%(to)s::date + 1)::timestamp at time zone %(zone)s, (%(to)s::date + interval '23 hours') at time zone %(zone)s + interval '1 hour')
group by 1
order by revenue desc, person
limit 500
