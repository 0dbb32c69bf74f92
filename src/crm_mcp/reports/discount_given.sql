-- title: Discount given
-- description: What orders would have come to without discount and what was taken off, by who sold them.
-- roles: admin, sales, finance
-- period: 365_days | When orders were placed.
-- column: person text | Salesperson as written on the order; (not stated) where there is none.
-- column: currency text | Of the row's amounts.
-- column: orders integer total | Orders that are not cancelled.
-- column: listed amount total | Quantity by unit price of all lines, without tax.
-- column: discount amount total | listed less the net of the lines.
-- column: rate percent | discount of listed.
-- key: person, currency
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
-- chart: bar person rate
-- note: Each currency for itself. The unit price is the one written on the line, so a price that was lowered by hand is no discount.
select {group} as {by}, o.currency, count(*)::int as orders,
  sum(l.listed) as listed, sum(l.listed - l.net) as discount,
  round(100 * sum(l.listed - l.net) / nullif(sum(l.listed), 0), 1) as rate,
  (array_agg(o.id order by o.id desc))[1:20] as ids, count(*)::int as id_count
from crm.orders o
join (select x.order_id, sum(x.quantity * x.unit_price) as listed, sum(x.net_amount) as net from crm.order_lines x
  where x.org_id = %(org)s group by x.order_id) l on l.order_id = o.id
left join crm.customers c on c.org_id = %(org)s and c.id = o.customer_id
where o.org_id = %(org)s and o.status <> 'cancelled'
  and o.placed_at >= %(since)s::timestamptz
  and o.placed_at < %(until)s::timestamptz{filters}
group by 1, o.currency
order by o.currency <> %(currency)s, o.currency, discount desc, 1
limit 500
