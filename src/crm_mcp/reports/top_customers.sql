-- title: Top customers
-- description: Customers by net revenue, the largest first.
-- roles: admin, sales, finance
-- param: days integer = 365 | How far back, in days; 0 for all time.
-- param: most integer = 10 | How many customers, up to 100.
-- column: id text | Customer id.
-- column: customer text | Name.
-- column: orders integer total | Orders that are not cancelled.
-- column: revenue money total | Net of discount and without tax, in base currency.
-- column: last_order date | Day of the last order, in the org's zone.
-- note: Totals are of the rows shown.
select 'cust_' || c.id as id, c.name as customer, count(*)::int as orders,
  sum(case when o.currency = %(currency)s then l.net
           when o.gross_total > 0 then l.net * o.base_total / o.gross_total else 0 end) as revenue,
  max(o.placed_at at time zone %(zone)s)::date as last_order
from crm.orders o
join crm.customers c on c.org_id = o.org_id and c.id = o.customer_id
join lateral (select coalesce(sum(x.net_amount), 0) as net from crm.order_lines x
  where x.org_id = o.org_id and x.order_id = o.id) l on true
where o.org_id = %(org)s and o.status <> 'cancelled'
  and (%(days)s::int = 0 or o.placed_at >= now() - make_interval(days => %(days)s::int))
group by c.id, c.name
order by revenue desc nulls last, c.id
limit least(greatest(%(most)s::int, 1), 100)
