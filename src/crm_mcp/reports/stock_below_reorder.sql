-- title: Stock below reorder level
-- description: Products still sold of which less is available than their reorder level, the shortest first.
-- roles: admin, sales, operations
-- also: stock_below_reorder_level
-- column: id text | Product id.
-- column: sku text | Stock keeping unit.
-- column: product text | Name.
-- column: in_stock integer in units | On hand: the sum of all movements.
-- column: reserved integer in units | Kept for confirmed orders.
-- column: available integer in units | in_stock less reserved; below zero where more is promised than there is.
-- column: reorder_level integer in units | Reorder below this.
-- column: missing integer total in units | Units up to the reorder level.
-- key: id
-- filter: category text | lower(p.category) = lower(btrim(%(category)s::text)) | Of products of this category.
-- chart: bar product missing
-- note: Archived and discontinued products are left out. Up to 500 rows.
select 'prod_' || p.id as id, p.sku, p.name as product, coalesce(s.units, 0) as in_stock, coalesce(r.units, 0) as reserved,
  coalesce(s.units, 0) - coalesce(r.units, 0) as available, p.reorder_level,
  p.reorder_level - coalesce(s.units, 0) + coalesce(r.units, 0) as missing
from crm.products p
left join (select m.product_id, sum(m.quantity)::bigint as units from crm.stock_movements m
  where m.org_id = %(org)s and m.archived_at is null group by m.product_id) s on s.product_id = p.id
left join (select r.product_id, sum(r.quantity)::bigint as units from crm.stock_reservations r
  where r.org_id = %(org)s and r.released_at is null and r.archived_at is null group by r.product_id) r on r.product_id = p.id
where p.org_id = %(org)s and p.archived_at is null and not p.discontinued
  and coalesce(s.units, 0) - coalesce(r.units, 0) < p.reorder_level{filters}
order by missing desc, p.id
limit 500
