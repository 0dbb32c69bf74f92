"""What similar customers and leads are looked for among, with all that is compared, as one statement each.

A row of the JSON is [id, name, what is known of it, its closed deals]: the record asked about, and those that came as far
as asked.
"""

from . import subjects

MOST = 10_000
"""Customers looked at, the newest first."""
MOST_LEADS = 3000
"""Leads of the kind asked about looked at, the newest first."""
NEAREST = 300
"""Of these, how many are compared in all they have: those most alike in what is told at a glance."""
BACK = 730
"""Days of orders that product mix and order volume are of."""
STATUSES = ("new", "contacted", "qualified", "interview", "proposal", "converted")
"""How far leads come, in order; lost ones got as far as their pipelines say."""
WAYS = f"""coalesce((select jsonb_agg(jsonb_build_array(d.status = 'won', greatest(0, coalesce(d.signed_on,
    (d.closed_at at time zone %(zone)s)::date) - (d.created_at at time zone %(zone)s)::date)) order by d.id) from crm.deals d
   where d.org_id = %(org)s and d.{{of}} and d.status in ('won', 'lost') and d.archived_at is null and 'deals' = any ({subjects.SEEN})), '[]')"""
"""The closed deals of a party: whether each was won, and the days from its making to its signature."""


def _alike(name: str, weight: int) -> str:
    return f"{weight} * coalesce(lower(x.{name}) = a.{name}, false)::int"


def _near(name: str) -> str:
    return f"case when x.{name} > 0 and a.{name} > 0 then greatest(0::float8, 1 - abs(log(x.{name}::float8 / a.{name}::float8))) else 0 end"


CUSTOMERS = f"""with firm as (select distinct on (p.customer_id) p.customer_id, g.industry, g.employees from crm.customer_parties p
   join crm.organizations g on g.org_id = p.org_id and g.id = p.organization_id and g.archived_at is null
   where p.org_id = %(org)s and p.archived_at is null order by p.customer_id, p.id),
 newest as ((select c.id, c.name, c.segment, c.country, c.kind from crm.customers c where c.org_id = %(org)s and c.id = %(id)s)
  union all (select c.id, c.name, c.segment, c.country, c.kind from crm.customers c
   where c.org_id = %(org)s and c.id <> %(id)s and c.archived_at is null
    and (not %(won)s or exists (select from crm.orders o where o.org_id = %(org)s and o.customer_id = c.id and o.status <> 'cancelled'))
   order by c.id desc limit {MOST})),
 known as materialized (select c.*, f.industry, f.employees from newest c left join firm f on f.customer_id = c.id),
 like_it as (select k.id, lower(k.segment) as segment, lower(k.industry) as industry, lower(k.country) as country, k.kind, k.employees
   from known k where k.id = %(id)s),
 base as (select x.* from known x cross join like_it a
   order by x.id = a.id desc, {_alike("segment", 2)} + {_alike("industry", 2)} + {_alike("country", 1)} + {_alike("kind", 1)}
     + {_near("employees")} desc, x.id desc limit {NEAREST + 1}),
 placed as (select o.customer_id, o.id, o.base_total, o.net_total, o.gross_total from base b join crm.orders o on o.org_id = %(org)s
   and o.customer_id = b.id and o.status <> 'cancelled'
   and o.placed_at > %(now)s::timestamptz - interval '{BACK} days' and o.placed_at <= %(now)s::timestamptz),
 volume as (select customer_id, sum(base_total) as total from placed group by customer_id),
 mix as (select x.customer_id, jsonb_object_agg(x.category, x.spent) as parts from (select o.customer_id, coalesce(r.category, 'other') as category,
     sum(case when o.gross_total > 0 then l.net_amount * o.base_total / o.gross_total else 0 end) as spent
   from placed o join crm.order_lines l on l.org_id = %(org)s and l.order_id = o.id
   join crm.products r on r.org_id = %(org)s and r.id = l.product_id where o.base_total is not null group by 1, 2) x
   where x.spent > 0 group by x.customer_id)
 select coalesce(jsonb_agg(jsonb_build_array(c.id, c.name, jsonb_strip_nulls(jsonb_build_object('segment', c.segment, 'industry', c.industry, 'country', c.country,
    'size', c.employees, 'kind', c.kind, 'product_mix', m.parts, 'order_volume', v.total)), {WAYS.format(of="customer_id = c.id")}) order by c.id), '[]')
 from base c left join mix m on m.customer_id = c.id left join volume v on v.customer_id = c.id"""
_REACHED = """(case when %(reached)s::text = 'won' then e.status = 'converted' else
    coalesce(array_position(%(statuses)s::text[], e.status) >= array_position(%(statuses)s::text[], %(reached)s::text), false) end
    or exists (select from crm.pipeline_positions p join crm.stage_transitions t on t.org_id = p.org_id and t.position_id = p.id
     join crm.pipeline_stages s on s.org_id = t.org_id and s.id in (t.to_stage_id, t.from_stage_id)
     where p.org_id = %(org)s and p.subject_type = 'leads' and p.subject_id = e.id and p.archived_at is null
      and (lower(s.name) = %(reached)s::text or s.kind = %(reached)s::text)))"""
_KNOWN = """select e.id, e.name, e.kind, e.source, g.industry, g.employees as size, coalesce(g.country, c.country) as country,
   j.role, j.seniority, j.location, j.is_remote as remote, coalesce(j.salary_max, j.salary_min, o.amount) as value
  from {leads} e left join crm.organizations g on g.org_id = %(org)s and g.id = e.organization_id
  left join crm.customers c on c.org_id = %(org)s and c.id = e.customer_id
  left join crm.jobs j on j.org_id = %(org)s and j.lead_id = e.id left join crm.opportunities o on o.org_id = %(org)s and o.lead_id = e.id"""
_ATTRIBUTES = """'source', e.source, 'industry', e.industry, 'size', e.size, 'country', e.country, 'role', e.role,
    'seniority', e.seniority, 'location', e.location, 'remote', e.remote, 'value', e.value"""
_ASKED = f"""asked as (select e.* from crm.leads e where e.org_id = %(org)s and e.id = %(id)s and 'leads' = any ({subjects.SEEN}))"""
LEADS = f"""with {_ASKED},
 newest as (select e.* from asked e
  union all (select e.* from crm.leads e where e.org_id = %(org)s and e.id <> %(id)s and e.archived_at is null
   and e.kind = (select a.kind from asked a) and (%(reached)s::text is null or {_REACHED}) order by e.id desc limit {MOST_LEADS})),
 known as materialized ({_KNOWN.format(leads="newest")}),
 like_it as (select k.id, lower(k.source) as source, lower(k.industry) as industry, k.size, lower(k.country) as country, lower(k.role) as role,
   lower(k.seniority) as seniority, lower(k.location) as location, k.remote, k.value from known k where k.id = %(id)s),
 base as (select x.* from known x cross join like_it a
   order by x.id = a.id desc, {_alike("source", 1)} + {_alike("industry", 2)} + {_near("size")} + {_alike("country", 1)}
     + {_alike("role", 2)} + {_alike("seniority", 1)} + {_alike("location", 1)} + coalesce(x.remote = a.remote, false)::int
     + {_near("value")} desc, x.id desc limit {NEAREST + 1})
 select coalesce(jsonb_agg(jsonb_build_array(e.id, e.name, jsonb_strip_nulls(jsonb_build_object({_ATTRIBUTES})),
   {WAYS.format(of="lead_id = e.id")}) order by e.id), '[]') from base e"""
THAT_CAME = f"""with {_ASKED},
 newest as (select e.* from crm.leads e where e.org_id = %(org)s and e.id <> %(id)s and e.archived_at is null and 'leads' = any ({subjects.SEEN})
   and e.kind = coalesce((select a.kind from asked a), %(kind)s::text, e.kind) order by e.id desc limit {MOST_LEADS}),
 came as (select e.* from newest e where {_REACHED}),
 told as (select e.id, jsonb_build_array(e.id, e.name, jsonb_strip_nulls(jsonb_build_object('kind', e.kind, {_ATTRIBUTES}))) as row
   from ({_KNOWN.format(leads="(select * from came union all select * from asked)")}) e)
 select (select t.row from told t where t.id = %(id)s), (select count(*) from newest),
  (select coalesce(jsonb_agg(t.row order by t.id), '[]') from told t where t.id <> %(id)s)"""
"""The leads of one kind, that of the lead %(id)s or %(kind)s, that came as far as asked: that lead, how many were looked at, they."""
