-- title: Revenue by month
-- description: Net revenue of orders by the month they were placed in, in the org's zone.
-- roles: admin, sales, operations, finance
-- param: year integer = null | A calendar year; all of them when left out.
-- column: month text | Month as YYYY-MM.
-- column: orders integer total | Orders that are not cancelled.
-- column: revenue money total | Net of discount and without tax, in base currency.
-- note: A foreign order counts by the rate stored with it; one without a rate counts as 0 and is in unconverted.
-- column: unconverted integer total | Foreign orders without a rate.
select to_char(o.placed_at at time zone %(zone)s, 'YYYY-MM') as month,
  count(*)::int as orders,
  sum(case when o.currency = %(currency)s then l.net
           when o.gross_total > 0 then l.net * o.base_total / o.gross_total else 0 end) as revenue,
  (count(*) filter (where o.base_total is null))::int as unconverted
from crm.orders o
join lateral (select coalesce(sum(x.net_amount), 0) as net from crm.order_lines x
  where x.org_id = o.org_id and x.order_id = o.id) l on true
where o.org_id = %(org)s and o.status <> 'cancelled'
  and (%(year)s::int is null or extract(year from o.placed_at at time zone %(zone)s) = %(year)s::int)
group by 1
order by 1
