-- title: Days from quote to order
-- description: How long it took from a quote to its order, by the month of the order.
-- roles: admin, sales
-- period: 365_days | When orders were placed.
-- column: month text | Month as YYYY-MM, in the org's zone.
-- column: orders integer total | Orders that came from a quote and are not cancelled.
-- column: mean_days integer in days | Whole days on the mean.
-- column: longest integer in days | Whole days of the slowest.
-- key: month in time
-- when: o.placed_at
-- group: person | coalesce(nullif(btrim(o.salesperson), ''), '(not stated)') | Salesperson as written on the order; (not stated) where there is none.
-- group: segment | coalesce(nullif(btrim(c.segment), ''), '(not stated)') | Segment of the customer as recorded; (not stated) where there is none.
-- group: country | coalesce(nullif(btrim(c.country), ''), '(not stated)') | Country of the customer as recorded; (not stated) where there is none.
-- filter: customer id customers | o.customer_id = %(customer)s::bigint | Of this customer.
-- filter: segment text | lower(coalesce(nullif(btrim(c.segment), ''), '(not stated)')) = lower(btrim(%(segment)s::text)) | Of customers of this segment.
-- filter: country text | lower(coalesce(nullif(btrim(c.country), ''), '(not stated)')) = lower(btrim(%(country)s::text)) | Of customers of this country, as recorded.
-- filter: person text | lower(coalesce(nullif(btrim(o.salesperson), ''), '(not stated)')) = lower(btrim(%(person)s::text)) | By this person, as written on it.
-- filter: product id products | exists (select from crm.order_lines y where y.org_id = %(org)s and y.order_id = o.id and y.product_id = %(product)s::bigint) | Only orders with this product, whole.
-- filter: in_currency currency | o.currency = %(in_currency)s | In this currency alone.
-- filter: status word confirmed/shipped/completed | o.status = %(status)s | In this status.
-- ids: orders
-- chart: line month mean_days
-- note: Orders without a quote do not count. Days are of 24 hours.
select {group} as {by}, count(*)::int as orders,
  floor(avg(extract(epoch from o.placed_at - q.quoted_at)) / 86400)::int as mean_days,
  floor(max(extract(epoch from o.placed_at - q.quoted_at)) / 86400)::int as longest,
  (array_agg(o.id order by o.id desc))[1:20] as ids, count(*)::int as id_count
from crm.orders o
join crm.quotes q on q.org_id = %(org)s and q.id = o.quote_id
left join crm.customers c on c.org_id = %(org)s and c.id = o.customer_id
where o.org_id = %(org)s and o.status <> 'cancelled'
  and o.placed_at >= %(since)s::timestamptz
  and o.placed_at < %(until)s::timestamptz{filters}
group by 1
order by 1
