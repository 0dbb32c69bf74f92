-- title: Data quality
-- description: Customers of whom something is missing, by what it is.
-- roles: admin, sales
-- column: missing text | What is not recorded: e-mail, phone, owner, country or segment.
-- column: customers integer | Customers without it.
-- column: rate percent | Of all customers that are not archived.
-- key: missing
-- filter: segment text | lower(coalesce(nullif(btrim(c.segment), ''), '(not stated)')) = lower(btrim(%(segment)s::text)) | Of customers of this segment.
-- filter: country text | lower(coalesce(nullif(btrim(c.country), ''), '(not stated)')) = lower(btrim(%(country)s::text)) | Of customers of this country, as recorded.
-- filter: owner text | c.owner_id in (select y.id from crm.users y join crm.memberships z on z.org_id = %(org)s and z.user_id = y.id where lower(btrim(%(owner)s::text)) in (lower(y.name), lower(y.email))) | Of customers that this person looks after; name or e-mail.
-- ids: customers
-- chart: bar missing customers
-- note: A customer counts once for each thing that is missing, so rows are not added up. Archived customers are left out.
select g.missing, (count(*) filter (where g.gap))::int as customers,
  round(100.0 * count(*) filter (where g.gap) / count(*), 1) as rate,
  (array_agg(g.id order by g.id desc) filter (where g.gap))[1:20] as ids, (count(*) filter (where g.gap))::int as id_count
from (select c.id, v.missing, v.gap
  from crm.customers c
  cross join lateral (values ('e-mail', coalesce(btrim(c.email), '') = ''), ('phone', coalesce(btrim(c.phone), '') = ''),
    ('owner', c.owner_id is null), ('country', coalesce(btrim(c.country), '') = ''),
    ('segment', coalesce(btrim(c.segment), '') = '')) v (missing, gap)
  where c.org_id = %(org)s and c.archived_at is null{filters}) g
group by g.missing
order by customers desc, g.missing
