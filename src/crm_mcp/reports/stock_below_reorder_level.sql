-- title: Stock below reorder level
-- description: Products still sold whose stock is below their reorder level, the shortest first.
-- roles: admin, sales, operations
-- column: id text | Product id.
-- column: sku text | Stock keeping unit.
-- column: product text | Name.
-- column: in_stock integer | Units in stock: the sum of all movements.
-- column: reorder_level integer | Reorder below this.
-- column: missing integer total | Units up to the reorder level.
select 'prod_' || p.id as id, p.sku, p.name as product, s.units::int as in_stock, p.reorder_level,
  (p.reorder_level - s.units)::int as missing
from crm.products p
join lateral (select coalesce(sum(m.quantity), 0) as units from crm.stock_movements m
  where m.org_id = p.org_id and m.product_id = p.id) s on true
where p.org_id = %(org)s and p.archived_at is null and not p.discontinued and s.units < p.reorder_level
order by missing desc, p.id
limit 500
