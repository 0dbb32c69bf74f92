-- title: Top customers
-- description: Customers by net revenue, the largest first.
-- roles: admin, sales, finance
-- period: 365_days | When orders were placed.
-- param: most integer = 10 up to 100 | How many customers, up to 100.
-- column: id text | Customer id.
-- column: customer text | Name.
-- column: orders integer total | Orders that are not cancelled.
-- column: revenue money total | Net of discount and without tax.
-- column: last_order date | Day of the last order, in the org's zone.
-- column: unconverted integer total | Foreign orders without a rate.
-- key: id
-- filter: customer id customers | o.customer_id = %(customer)s::bigint | Of this customer.
-- filter: segment text | lower(coalesce(nullif(btrim(c.segment), ''), '(not stated)')) = lower(btrim(%(segment)s::text)) | Of customers of this segment.
-- filter: country text | lower(coalesce(nullif(btrim(c.country), ''), '(not stated)')) = lower(btrim(%(country)s::text)) | Of customers of this country, as recorded.
-- filter: person text | lower(coalesce(nullif(btrim(o.salesperson), ''), '(not stated)')) = lower(btrim(%(person)s::text)) | By this person, as written on it.
-- filter: product id products | exists (select from crm.order_lines y where y.org_id = %(org)s and y.order_id = o.id and y.product_id = %(product)s::bigint) | Only orders with this product, whole.
-- filter: owner text | c.owner_id in (select y.id from crm.users y join crm.memberships z on z.org_id = %(org)s and z.user_id = y.id where lower(btrim(%(owner)s::text)) in (lower(y.name), lower(y.email))) | Of customers that this person looks after; name or e-mail.
-- filter: in_currency currency | o.currency = %(in_currency)s | In this currency alone.
-- filter: status word confirmed/shipped/completed | o.status = %(status)s | In this status.
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
  left join crm.customers c on c.org_id = %(org)s and c.id = o.customer_id
  where o.org_id = %(org)s and o.status <> 'cancelled'
    and o.placed_at >= %(since)s::timestamptz
  and o.placed_at < %(until)s::timestamptz{filters}
  group by o.customer_id
  order by revenue desc, o.customer_id
  limit %(most)s::int) s
join crm.customers c on c.org_id = %(org)s and c.id = s.customer_id
order by s.revenue desc, c.id
