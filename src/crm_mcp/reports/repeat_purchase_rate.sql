-- title: Repeat purchase rate
-- description: How many of the customers who ordered did so more than once, by segment.
-- roles: admin, sales
-- period: 365_days | When orders were placed.
-- column: segment text | Segment of the customer; (not stated) where there is none.
-- column: customers integer total | Customers that ordered in the period.
-- column: repeated integer total | Of them with two orders or more in the period.
-- column: rate percent | repeated of customers.
-- key: segment
-- group: segment | coalesce(nullif(btrim(c.segment), ''), '(not stated)') | Segment of the customer as recorded; (not stated) where there is none.
-- group: country | coalesce(nullif(btrim(c.country), ''), '(not stated)') | Country of the customer as recorded; (not stated) where there is none.
-- filter: segment text | lower(coalesce(nullif(btrim(c.segment), ''), '(not stated)')) = lower(btrim(%(segment)s::text)) | Of customers of this segment.
-- filter: country text | lower(coalesce(nullif(btrim(c.country), ''), '(not stated)')) = lower(btrim(%(country)s::text)) | Of customers of this country, as recorded.
-- ids: customers
-- chart: bar segment rate
-- note: Both orders lie in the period; an order before it does not make a customer a repeated one. Cancelled orders do not count.
-- note: ids are the customers who repeated.
select {group} as {by}, count(*)::int as customers,
  (count(*) filter (where x.orders > 1))::int as repeated,
  round(100.0 * count(*) filter (where x.orders > 1) / count(*), 1) as rate,
  (array_agg(c.id order by c.id desc) filter (where x.orders > 1))[1:20] as ids,
  (count(*) filter (where x.orders > 1))::int as id_count
from (select o.customer_id, count(*) as orders
  from crm.orders o
  where o.org_id = %(org)s and o.status <> 'cancelled'
  and o.placed_at >= %(since)s::timestamptz
  and o.placed_at < %(until)s::timestamptz
  group by o.customer_id) x
join crm.customers c on c.org_id = %(org)s and c.id = x.customer_id
where true{filters}
group by 1
order by customers desc, 1
limit 500
