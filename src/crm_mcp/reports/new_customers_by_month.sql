-- title: New customers by month
-- description: Customers by the month of their first order.
-- roles: admin, sales, finance
-- period: 365_days | When customers first ordered.
-- column: month text | Month as YYYY-MM, in the org's zone.
-- column: customers integer total | Customers whose first order was placed in it.
-- key: month in time
-- when: min(o.placed_at)
-- filter: segment text | o.customer_id in (select c.id from crm.customers c where c.org_id = %(org)s and lower(coalesce(nullif(btrim(c.segment), ''), '(not stated)')) = lower(btrim(%(segment)s::text))) | Of customers of this segment.
-- filter: country text | o.customer_id in (select c.id from crm.customers c where c.org_id = %(org)s and lower(coalesce(nullif(btrim(c.country), ''), '(not stated)')) = lower(btrim(%(country)s::text))) | Of customers of this country, as recorded.
-- ids: customers
-- chart: bar month customers
-- note: New is who ordered for the first time ever, cancelled orders aside; not who was merely recorded or imported.
select x.{by}, count(*)::int as customers,
  (array_agg(x.customer_id order by x.customer_id desc))[1:20] as ids, count(*)::int as id_count
from (select o.customer_id, {group} as {by}
  from crm.orders o
  where o.org_id = %(org)s and o.status <> 'cancelled'{filters}
  group by o.customer_id
  having min(o.placed_at) >= %(since)s::timestamptz
    and min(o.placed_at) < %(until)s::timestamptz) x
group by 1
order by 1
