-- title: Revenue by product
-- description: Net revenue and units by product, the largest first.
-- roles: admin, sales, operations, finance
-- period: 365_days | When orders were placed.
-- param: most integer = 20 up to 100 | How many products, up to 100.
-- column: id text | Product id.
-- column: sku text | Stock keeping unit.
-- column: product text | Name.
-- column: units integer total | Units ordered.
-- column: revenue money total | Net of discount and without tax.
-- column: share percent | Of the revenue of all products in the period.
-- column: unconverted integer total | Foreign orders without a rate, which count as 0.
-- key: id
-- filter: customer id customers | o.customer_id = %(customer)s::bigint | Of this customer.
-- filter: segment text | lower(coalesce(nullif(btrim(c.segment), ''), '(not stated)')) = lower(btrim(%(segment)s::text)) | Of customers of this segment.
-- filter: country text | lower(coalesce(nullif(btrim(c.country), ''), '(not stated)')) = lower(btrim(%(country)s::text)) | Of customers of this country, as recorded.
-- filter: person text | lower(coalesce(nullif(btrim(o.salesperson), ''), '(not stated)')) = lower(btrim(%(person)s::text)) | By this person, as written on it.
-- filter: category text | l.product_id in (select y.id from crm.products y where y.org_id = %(org)s and lower(y.category) = lower(btrim(%(category)s::text))) | Of products of this category.
-- filter: product id products | l.product_id = %(product)s::bigint | This product alone.
-- filter: in_currency currency | o.currency = %(in_currency)s | In this currency alone.
-- filter: status word confirmed/shipped/completed | o.status = %(status)s | In this status.
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
  left join crm.customers c on c.org_id = %(org)s and c.id = o.customer_id
  where o.org_id = %(org)s and o.status <> 'cancelled'
    and o.placed_at >= %(since)s::timestamptz
  and o.placed_at < %(until)s::timestamptz{filters}
  group by l.product_id) s
join crm.products p on p.org_id = %(org)s and p.id = s.product_id
order by s.revenue desc, p.id
limit %(most)s::int
