"""What similar customers and leads are looked for among, with all that is compared, as one statement each.

A row of the JSON is [id, name, whether it came as far as asked, what is known of it, its closed deals].
"""

from . import subjects

MOST = 20_000
"""Customers looked at, the newest first."""
NEAREST = 500
"""Of these, how many are compared by their orders too: those most alike in segment, industry, country, kind and size."""
MOST_LEADS = 3000
"""Leads compared with, the newest first."""
BACK = 730
"""Days of orders that product mix and order volume are of."""
STATUSES = ("new", "contacted", "qualified", "interview", "proposal", "converted")
"""How far leads come, in order; lost ones got as far as their pipelines say."""
WAYS = f"""coalesce((select jsonb_agg(jsonb_build_array(d.status = 'won', greatest(0, coalesce(d.signed_on,
    (d.closed_at at time zone %(zone)s)::date) - (d.created_at at time zone %(zone)s)::date)) order by d.id) from crm.deals d
   where d.org_id = %(org)s and d.{{of}} and d.status in ('won', 'lost') and d.archived_at is null and 'deals' = any ({subjects.SEEN})), '[]')"""
"""The closed deals of a party: whether each was won, and the days from its making to its signature."""
CUSTOMERS = f"""with firm as (select distinct on (p.customer_id) p.customer_id, lower(g.industry) as trade, g.industry, g.employees from crm.customer_parties p
   join crm.organizations g on g.org_id = p.org_id and g.id = p.organization_id and g.archived_at is null
   where p.org_id = %(org)s and p.archived_at is null order by p.customer_id, p.id),
 asked as (select lower(c.segment) as segment, lower(c.country) as country, c.kind, f.trade, f.employees
   from crm.customers c left join firm f on f.customer_id = c.id where c.org_id = %(org)s and c.id = %(id)s),
 newest as (select c.* from crm.customers c where c.org_id = %(org)s and (c.id = %(id)s or c.archived_at is null)
    and (not %(won)s or c.id = %(id)s or exists (select from crm.orders o where o.org_id = c.org_id and o.customer_id = c.id and o.status <> 'cancelled'))
   order by c.id = %(id)s desc, c.id desc limit {MOST + 1}),
 base as (select c.*, f.industry, f.employees from newest c left join firm f on f.customer_id = c.id cross join asked a
   order by c.id = %(id)s desc, 2 * coalesce(lower(c.segment) = a.segment, false)::int + 2 * coalesce(f.trade = a.trade, false)::int
     + coalesce(lower(c.country) = a.country, false)::int + (c.kind = a.kind)::int
     + case when f.employees > 0 and a.employees > 0 then greatest(0, 1 - abs(log(f.employees::numeric / a.employees))) else 0 end desc, c.id desc
   limit {NEAREST + 1}),
 placed as (select o.customer_id, o.id, o.base_total, o.net_total, o.gross_total from base b join crm.orders o on o.org_id = %(org)s
   and o.customer_id = b.id and o.status <> 'cancelled'
   and o.placed_at > %(now)s::timestamptz - interval '{BACK} days' and o.placed_at <= %(now)s::timestamptz),
 volume as (select customer_id, sum(base_total) as total from placed group by customer_id),
 mix as (select x.customer_id, jsonb_object_agg(x.category, x.spent) as parts from (select o.customer_id, coalesce(r.category, 'other') as category,
     sum(case when o.gross_total > 0 then l.net_amount * o.base_total / o.gross_total else 0 end) as spent
   from placed o join crm.order_lines l on l.org_id = %(org)s and l.order_id = o.id
   join crm.products r on r.org_id = %(org)s and r.id = l.product_id where o.base_total is not null group by 1, 2) x
   where x.spent > 0 group by x.customer_id)
 select coalesce(jsonb_agg(jsonb_build_array(c.id, c.name, exists (select from crm.orders o where o.org_id = c.org_id and o.customer_id = c.id
    and o.status <> 'cancelled'), jsonb_strip_nulls(jsonb_build_object('segment', c.segment, 'industry', c.industry, 'country', c.country,
    'size', c.employees, 'kind', c.kind, 'product_mix', m.parts, 'order_volume', v.total)), {WAYS.format(of="customer_id = c.id")}) order by c.id), '[]')
 from base c left join mix m on m.customer_id = c.id left join volume v on v.customer_id = c.id"""
LEADS = f"""with base as (select e.* from crm.leads e where e.org_id = %(org)s and 'leads' = any ({subjects.SEEN}) and (e.id = %(id)s or e.archived_at is null)
   order by e.id = %(id)s desc, e.id desc limit {MOST_LEADS + 1})
 select coalesce(jsonb_agg(jsonb_build_array(e.id, e.name, case when %(reached)s::text = 'won' then e.status = 'converted' else
    coalesce(array_position(%(statuses)s::text[], e.status) >= array_position(%(statuses)s::text[], %(reached)s::text), false) end
    or exists (select from crm.pipeline_positions p join crm.stage_transitions t on t.org_id = p.org_id and t.position_id = p.id
     join crm.pipeline_stages s on s.org_id = t.org_id and s.id in (t.to_stage_id, t.from_stage_id)
     where p.org_id = e.org_id and p.subject_type = 'leads' and p.subject_id = e.id and p.archived_at is null
      and (lower(s.name) = %(reached)s::text or s.kind = %(reached)s::text)),
   jsonb_strip_nulls(jsonb_build_object('kind', e.kind, 'source', e.source, 'industry', g.industry, 'size', g.employees,
    'country', coalesce(g.country, c.country), 'role', j.role, 'seniority', j.seniority, 'location', j.location, 'remote', j.is_remote,
    'value', coalesce(j.salary_max, j.salary_min, o.amount))), {WAYS.format(of="lead_id = e.id")}) order by e.id), '[]')
 from base e left join crm.organizations g on g.org_id = e.org_id and g.id = e.organization_id
 left join crm.customers c on c.org_id = e.org_id and c.id = e.customer_id
 left join crm.jobs j on j.org_id = e.org_id and j.lead_id = e.id left join crm.opportunities o on o.org_id = e.org_id and o.lead_id = e.id"""
