-- title: Order pipeline
-- description: Orders by status with their value, and how long the open ones have waited.
-- roles: admin, sales, operations
-- period: all | When orders were placed.
-- column: status text | confirmed, shipped, completed or cancelled.
-- column: orders integer total | How many.
-- column: value money | Net of discount and without tax.
-- column: mean_age integer in days | Whole days since they were placed, on the mean; confirmed and shipped only.
-- column: oldest_age integer in days | The same of the oldest.
-- column: unconverted integer total | Foreign orders without a rate.
-- key: status
-- filter: customer id customers | o.customer_id = %(customer)s::bigint | Of this customer.
-- filter: segment text | lower(coalesce(nullif(btrim(c.segment), ''), '(not stated)')) = lower(btrim(%(segment)s::text)) | Of customers of this segment.
-- filter: country text | lower(coalesce(nullif(btrim(c.country), ''), '(not stated)')) = lower(btrim(%(country)s::text)) | Of customers of this country, as recorded.
-- filter: person text | lower(coalesce(nullif(btrim(o.salesperson), ''), '(not stated)')) = lower(btrim(%(person)s::text)) | By this person, as written on it.
-- filter: product id products | exists (select from crm.order_lines y where y.org_id = %(org)s and y.order_id = o.id and y.product_id = %(product)s::bigint) | Only orders with this product, whole.
-- filter: in_currency currency | o.currency = %(in_currency)s | In this currency alone.
-- ids: orders
-- chart: bar status value
-- note: A foreign order counts by the rate stored with it; one without a rate counts as 0 and is in unconverted.
-- note: ids are the oldest of the status.
select o.status, count(*)::int as orders,
  coalesce(sum(case when o.currency = %(currency)s then o.net_total
           when o.gross_total > 0 then o.net_total * o.base_total / o.gross_total else 0 end), 0) as value,
  case when o.status in ('confirmed', 'shipped')
    then floor(extract(epoch from avg(%(now)s::timestamptz - o.placed_at)) / 86400)::int end as mean_age,
  case when o.status in ('confirmed', 'shipped')
    then floor(extract(epoch from %(now)s::timestamptz - min(o.placed_at)) / 86400)::int end as oldest_age,
  (count(*) filter (where o.base_total is null))::int as unconverted,
  (array_agg(o.id order by o.placed_at, o.id))[1:20] as ids, count(*)::int as id_count
from crm.orders o
left join crm.customers c on c.org_id = %(org)s and c.id = o.customer_id
where o.org_id = %(org)s
  and o.placed_at >= %(since)s::timestamptz
  and o.placed_at < %(until)s::timestamptz{filters}
group by o.status
order by array_position(array['confirmed', 'shipped', 'completed', 'cancelled'], o.status)
