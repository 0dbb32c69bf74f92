-- title: Data quality
-- description: Customers of whom something is missing, by what it is.
-- roles: admin, sales
-- column: missing text | What is not recorded: e-mail, phone, owner, country or segment.
-- column: customers integer | Customers without it.
-- column: rate percent | Of all customers that are not archived.
-- ids: customers
-- chart: bar missing customers
-- note: A customer counts once for each thing that is missing, so rows are not added up. Archived customers are left out.
select m.missing, coalesce(g.gaps, 0) as customers, round(100.0 * coalesce(g.gaps, 0) / n.all, 1) as rate,
  g.ids, coalesce(g.gaps, 0) as id_count
from (values ('e-mail'), ('phone'), ('owner'), ('country'), ('segment')) m (missing)
cross join (select count(*) as all from crm.customers c where c.org_id = %(org)s and c.archived_at is null) n
left join (
  select v.missing, count(*)::int as gaps, (array_agg(c.id order by c.id desc))[1:20] as ids
  from crm.customers c
  cross join lateral (values ('e-mail', coalesce(btrim(c.email), '') = ''), ('phone', coalesce(btrim(c.phone), '') = ''),
    ('owner', c.owner_id is null), ('country', coalesce(btrim(c.country), '') = ''),
    ('segment', coalesce(btrim(c.segment), '') = '')) v (missing, gap)
  where c.org_id = %(org)s and c.archived_at is null and v.gap
  group by v.missing) g on g.missing = m.missing
where n.all > 0
order by customers desc, m.missing
