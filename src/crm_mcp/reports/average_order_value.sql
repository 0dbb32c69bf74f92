-- title: Average order value
-- description: Orders by month with the mean and the median of their net value.
-- roles: admin, sales, finance
-- period: 365_days | When orders were placed.
-- column: month text | Month as YYYY-MM, in the org's zone.
-- column: orders integer total | Orders that are not cancelled and have a value in base currency.
-- column: revenue money total | Net of discount and without tax.
-- column: mean money | revenue by order.
-- column: median money | Half of the orders are worth less, half more.
-- key: month in time
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
-- chart: line month mean
-- note: Foreign orders count by the rate stored with them; those without a rate are left out, as 0 would lower the mean.
select x.{by}, count(*)::int as orders, sum(x.value) as revenue, avg(x.value) as mean,
  ((array_agg(x.value order by x.value))[((count(*) + 1) / 2)::int]
    + (array_agg(x.value order by x.value))[(count(*) / 2 + 1)::int]) / 2 as median,
  (array_agg(x.id order by x.id desc))[1:20] as ids, count(*)::int as id_count
from (select o.id, {group} as {by},
    case when o.currency = %(currency)s then o.net_total
      when o.gross_total > 0 then o.net_total * o.base_total / o.gross_total
      when o.base_total is not null then 0 end as value
  from crm.orders o
  left join crm.customers c on c.org_id = %(org)s and c.id = o.customer_id
  where o.org_id = %(org)s and o.status <> 'cancelled'
  and o.placed_at >= %(since)s::timestamptz
  and o.placed_at < %(until)s::timestamptz{filters}) x
where x.value is not null
group by 1
order by 1
