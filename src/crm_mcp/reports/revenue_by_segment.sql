-- title: Revenue by segment
-- description: Net revenue of orders by the segment of their customers today, the largest first.
-- roles: admin, sales, finance
-- period: 365_days | When orders were placed.
-- column: segment text | Segment of the customer as recorded; (not stated) where there is none.
-- column: customers integer total | Customers that ordered.
-- column: orders integer total | Orders that are not cancelled.
-- column: revenue money total | Net of discount and without tax.
-- column: unconverted integer total | Foreign orders without a rate.
-- key: segment
-- when: o.placed_at
-- group: segment | coalesce(nullif(btrim(c.segment), ''), '(not stated)') | Segment of the customer as recorded; (not stated) where there is none.
-- group: country | coalesce(nullif(btrim(c.country), ''), '(not stated)') | Country of the customer as recorded; (not stated) where there is none.
-- group: person | coalesce(nullif(btrim(o.salesperson), ''), '(not stated)') | Salesperson as written on the order; (not stated) where there is none.
-- filter: customer id customers | o.customer_id = %(customer)s::bigint | Of this customer.
-- filter: segment text | lower(coalesce(nullif(btrim(c.segment), ''), '(not stated)')) = lower(btrim(%(segment)s::text)) | Of customers of this segment.
-- filter: country text | lower(coalesce(nullif(btrim(c.country), ''), '(not stated)')) = lower(btrim(%(country)s::text)) | Of customers of this country, as recorded.
-- filter: person text | lower(coalesce(nullif(btrim(o.salesperson), ''), '(not stated)')) = lower(btrim(%(person)s::text)) | By this person, as written on it.
-- filter: product id products | exists (select from crm.order_lines y where y.org_id = %(org)s and y.order_id = o.id and y.product_id = %(product)s::bigint) | Only orders with this product, whole.
-- filter: in_currency currency | o.currency = %(in_currency)s | In this currency alone.
-- filter: status word confirmed/shipped/completed | o.status = %(status)s | In this status.
-- ids: orders
-- chart: bar segment revenue
-- note: A foreign order counts by the rate stored with it; one without a rate counts as 0 and is in unconverted.
-- note: The segment is that of today, not of the day of the order.
select {group} as {by}, count(distinct o.customer_id)::int as customers,
  count(*)::int as orders,
  coalesce(sum(case when o.currency = %(currency)s then o.net_total
           when o.gross_total > 0 then o.net_total * o.base_total / o.gross_total else 0 end), 0) as revenue,
  (count(*) filter (where o.base_total is null))::int as unconverted,
  (array_agg(o.id order by o.id desc))[1:20] as ids, count(*)::int as id_count
from crm.orders o
join crm.customers c on c.org_id = %(org)s and c.id = o.customer_id
where o.org_id = %(org)s and o.status <> 'cancelled'
  and o.placed_at >= %(since)s::timestamptz
  and o.placed_at < %(until)s::timestamptz{filters}
group by 1
order by revenue desc, 1
limit 500
