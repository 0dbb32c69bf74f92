-- title: Average order value
-- description: Orders by month with the mean and the median of their net value.
-- roles: admin, sales, finance
-- period: 365_days | When orders were placed.
-- column: month text | Month as YYYY-MM, in the org's zone.
-- column: orders integer total | Orders that are not cancelled and have a value in base currency.
-- column: revenue money total | Net of discount and without tax.
-- column: mean money | revenue by order.
-- column: median money | Half of the orders are worth less, half more.
-- ids: orders
-- chart: line month mean
-- note: Foreign orders count by the rate stored with them; those without a rate are left out, as 0 would lower the mean.
select x.month, count(*)::int as orders, sum(x.value) as revenue, avg(x.value) as mean,
  ((array_agg(x.value order by x.value))[((count(*) + 1) / 2)::int] + (array_agg(x.value order by x.value))[(count(*) / 2 + 1)::int]) / 2 as median,
  (array_agg(x.id order by x.id desc))[1:20] as ids, count(*)::int as id_count
from (select o.id, to_char(o.placed_at at time zone %(zone)s, 'YYYY-MM') as month,
    case when o.currency = %(currency)s then o.net_total
      when o.gross_total > 0 then o.net_total * o.base_total / o.gross_total
      when o.base_total is not null then 0 end as value
  from crm.orders o
  where o.org_id = %(org)s and o.status <> 'cancelled'
  and o.placed_at >= least(%(from)s::date::timestamp at time zone %(zone)s, (%(from)s::date - interval '1 hour') at time zone %(zone)s + interval '1 hour')
  and o.placed_at < least((%(to)s::date + 1)::timestamp at time zone %(zone)s, (%(to)s::date + interval '23 hours') at time zone %(zone)s + interval '1 hour')) x
where x.value is not null
group by x.month
order by x.month
