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
-- ids: orders
-- chart: bar person rate
-- note: Each currency for itself. The unit price is the one written on the line, so a price that was lowered by hand is no discount.
select coalesce(nullif(btrim(o.salesperson), ''), '(not stated)') as person, o.currency, count(*)::int as orders,
  sum(l.listed) as listed, sum(l.listed - l.net) as discount,
  round(100 * sum(l.listed - l.net) / nullif(sum(l.listed), 0), 1) as rate,
  (array_agg(o.id order by o.id desc))[1:20] as ids, count(*)::int as id_count
from crm.orders o
join (select x.order_id, sum(x.quantity * x.unit_price) as listed, sum(x.net_amount) as net from crm.order_lines x
  where x.org_id = %(org)s group by x.order_id) l on l.order_id = o.id
where o.org_id = %(org)s and o.status <> 'cancelled'
  and o.placed_at >= least(%(from)s::date::timestamp at time zone %(zone)s, (%(from)s::date - interval '1 hour') at time zone %(zone)s + interval '1 hour')
  and o.placed_at < least((%(to)s::date + 1)::timestamp at time zone %(zone)s, (%(to)s::date + interval '23 hours') at time zone %(zone)s + interval '1 hour')
group by 1, o.currency
order by o.currency <> %(currency)s, o.currency, discount desc, person
limit 500
