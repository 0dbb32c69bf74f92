-- title: Revenue by product
-- description: Net revenue and units by product, the largest first.
-- roles: admin, sales, operations, finance
-- period: 365_days | When orders were placed.
-- param: most integer = 20 | How many products, up to 100.
-- column: id text | Product id.
-- column: sku text | Stock keeping unit.
-- column: product text | Name.
-- column: units integer total | Units ordered.
-- column: revenue money total | Net of discount and without tax.
-- column: share percent | Of the revenue of all products in the period.
-- column: unconverted integer total | Foreign orders without a rate, which count as 0.
-- ids: orders
-- chart: bar product revenue
-- note: Orders that are not cancelled. Totals are of the rows shown.
-- note: Orders, not invoices: credit notes are in month_end.
select 'prod_' || p.id as id, p.sku, p.name as product, s.units, s.revenue,
  case when sum(s.revenue) over () > 0 then round(100 * s.revenue / sum(s.revenue) over (), 1) end as share,
  s.unconverted, s.ids, s.id_count
from (
  select l.product_id, sum(l.quantity)::bigint as units,
    coalesce(sum(case when o.currency = %(currency)s then l.net_amount
             when o.gross_total > 0 then l.net_amount * o.base_total / o.gross_total else 0 end), 0) as revenue,
    (count(distinct o.id) filter (where o.base_total is null))::int as unconverted,
    (array_agg(distinct o.id order by o.id desc))[1:20] as ids, count(distinct o.id)::int as id_count
  from crm.orders o
  join crm.order_lines l on l.org_id = o.org_id and l.order_id = o.id
  where o.org_id = %(org)s and o.status <> 'cancelled'
    and o.placed_at >= least(%(from)s::date::timestamp at time zone %(zone)s, (%(from)s::date - interval '1 hour') at time zone %(zone)s + interval '1 hour')
  and o.placed_at < least((%(to)s::date + 1)::timestamp at time zone %(zone)s, (%(to)s::date + interval '23 hours') at time zone %(zone)s + interval '1 hour')
  group by l.product_id) s
join crm.products p on p.org_id = %(org)s and p.id = s.product_id
order by s.revenue desc, p.id
limit least(greatest(%(most)s::int, 1), 100)
