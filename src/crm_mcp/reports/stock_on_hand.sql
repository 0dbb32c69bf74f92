-- title: Stock on hand
-- description: Units and value of every product in stock or reserved, the most valuable first.
-- roles: admin, sales, operations, finance
-- param: category text = null | Only products of this category.
-- column: id text | Product id.
-- column: sku text | Stock keeping unit.
-- column: product text | Name.
-- column: in_stock integer total in units | On hand: the sum of all movements.
-- column: reserved integer total in units | Kept for confirmed orders.
-- column: available integer total in units | in_stock less reserved.
-- column: currency text | Of value.
-- column: value amount total | in_stock at today's net price.
-- key: id
-- note: At selling prices, not at cost. Products that are no longer sold count while they are in stock. Up to 5,000 rows.
select 'prod_' || p.id as id, p.sku, p.name as product, coalesce(s.units, 0) as in_stock, coalesce(r.units, 0) as reserved,
  coalesce(s.units, 0) - coalesce(r.units, 0) as available, p.currency, coalesce(s.units, 0) * p.unit_price as value
from crm.products p
left join (select m.product_id, sum(m.quantity)::bigint as units from crm.stock_movements m
  where m.org_id = %(org)s and m.archived_at is null group by m.product_id) s on s.product_id = p.id
left join (select r.product_id, sum(r.quantity)::bigint as units from crm.stock_reservations r
  where r.org_id = %(org)s and r.released_at is null and r.archived_at is null group by r.product_id) r on r.product_id = p.id
where p.org_id = %(org)s and p.archived_at is null and (coalesce(s.units, 0) <> 0 or coalesce(r.units, 0) <> 0)
  and (%(category)s::text is null or lower(p.category) = lower(%(category)s::text))
order by value desc, p.id
limit 5000
