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
-- ids: orders
-- chart: bar status value
-- note: A foreign order counts by the rate stored with it; one without a rate counts as 0 and is in unconverted.
-- note: ids are the oldest of the status.
select s.status, s.orders, s.value, s.mean_age, s.oldest_age, s.unconverted,
  array(select o.id from crm.orders o where o.org_id = %(org)s and o.status = s.status
    and o.placed_at >= %(from)s::date::timestamp at time zone %(zone)s
    and o.placed_at < (%(to)s::date + 1)::timestamp at time zone %(zone)s
    order by o.placed_at, o.id limit 20) as ids, s.orders as id_count
from (
  select o.status, count(*)::int as orders,
    coalesce(sum(case when o.currency = %(currency)s then o.net_total
             when o.gross_total > 0 then o.net_total * o.base_total / o.gross_total else 0 end), 0) as value,
    case when o.status in ('confirmed', 'shipped')
      then floor(extract(epoch from avg(%(now)s::timestamptz - o.placed_at)) / 86400)::int end as mean_age,
    case when o.status in ('confirmed', 'shipped')
      then floor(extract(epoch from %(now)s::timestamptz - min(o.placed_at)) / 86400)::int end as oldest_age,
    (count(*) filter (where o.base_total is null))::int as unconverted
  from crm.orders o
  where o.org_id = %(org)s
    and o.placed_at >= %(from)s::date::timestamp at time zone %(zone)s
    and o.placed_at < (%(to)s::date + 1)::timestamp at time zone %(zone)s
  group by o.status) s
order by array_position(array['confirmed', 'shipped', 'completed', 'cancelled'], s.status)
