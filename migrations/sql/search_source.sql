-- What the index of texts is made of, one row a record that is not archived: read by the indexer, and by crm.search for what is true now.
-- Only a record's own row counts, so that a record's passages change with its own changes alone (a lead's parts are its own).
-- Orders, quotes, invoices and credit notes have no passages: they are found by their number.
create function crm.search_source(kinds text[], numbers bigint[]) returns table(
  entity text, record_id bigint, title text, handles text, body text, tags text[], roles text[],
  subject_type text, subject_id bigint, assignee_id bigint, version int, changed_at timestamptz)
language plpgsql stable set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan as $f$
#variable_conflict use_column
begin
 if kinds is null then return; end if;
 return query
  with org as (select nullif(current_setting('crm.org_id', true), '')::bigint as id),
  named as (select k.kind, array_agg(k.number) as ids from unnest(kinds, numbers) k(kind, number) group by k.kind)
  select n.kind, x.id, x.name, concat_ws(' ', x.email, x.domain),
    concat_ws(e'\n', x.email, x.phone, x.domain, x.segment, nullif(concat_ws(', ', x.street, x.postal_code, x.city, x.region, x.country), ''), crm.search_fields(x.custom_fields)),
    null::text[], null::text[], null::text, null::bigint, null::bigint, x.version, x.updated_at
   from named n, org, crm.customers x where n.kind = 'customers' and x.org_id = org.id and x.id = any (n.ids) and x.archived_at is null
  union all select n.kind, x.id, x.name, concat_ws(' ', x.email, x.domain),
    concat_ws(e'\n', x.industry, x.email, x.phone, x.domain, x.website, nullif(concat_ws(', ', x.street, x.postal_code, x.city, x.region, x.country), ''),
      (select string_agg(t.value, ', ' order by t.at) from jsonb_array_elements_text(x.technologies) with ordinality t(value, at)), x.description,
      crm.search_fields(x.custom_fields)),
    null, null, null, null, null, x.version, x.updated_at
   from named n, org, crm.organizations x where n.kind = 'organizations' and x.org_id = org.id and x.id = any (n.ids) and x.archived_at is null
  union all select n.kind, x.id, x.name, x.email,
    concat_ws(e'\n', x.title, x.email, x.phone, nullif(concat_ws(', ', x.street, x.postal_code, x.city, x.region, x.country), ''), x.description,
      crm.search_fields(x.custom_fields)),
    null, null, null, null, null, x.version, x.updated_at
   from named n, org, crm.individuals x where n.kind = 'individuals' and x.org_id = org.id and x.id = any (n.ids) and x.archived_at is null
  union all select n.kind, x.id, x.name, x.email, concat_ws(e'\n', x.title, x.email, x.phone, crm.search_fields(x.custom_fields)),
    null, null, null, null, null, x.version, x.updated_at
   from named n, org, crm.contacts x where n.kind = 'contacts' and x.org_id = org.id and x.id = any (n.ids) and x.archived_at is null
  union all select n.kind, x.id, x.name, null, concat_ws(e'\n\n', x.description, x.source, x.lost_reason, crm.search_fields(x.custom_fields)),
    null, null, null, null, null, x.version, x.updated_at
   from named n, org, crm.deals x where n.kind = 'deals' and x.org_id = org.id and x.id = any (n.ids) and x.archived_at is null
  union all select n.kind, x.id, x.name, null,
    concat_ws(e'\n\n', x.description, x.source, x.lost_reason,
      (select concat_ws(e'\n', j.role, j.seniority, j.location) from crm.jobs j where j.org_id = org.id and j.lead_id = x.id),
      (select concat_ws(e'\n', p.need, p.decision_maker, p.timeline) from crm.opportunities p where p.org_id = org.id and p.lead_id = x.id),
      (select concat_ws(e'\n', p.type, p.scope, p.territory) from crm.partnerships p where p.org_id = org.id and p.lead_id = x.id),
      crm.search_fields(x.custom_fields)),
    null, null, null, null, null, x.version, x.updated_at
   from named n, org, crm.leads x where n.kind = 'leads' and x.org_id = org.id and x.id = any (n.ids) and x.archived_at is null
  union all select n.kind, x.id, x.name, null, concat_ws(e'\n\n', x.description, crm.search_fields(x.custom_fields)),
    null, null, null, null, null, x.version, x.updated_at
   from named n, org, crm.projects x where n.kind = 'projects' and x.org_id = org.id and x.id = any (n.ids) and x.archived_at is null
  union all select n.kind, x.id, x.title, null, concat_ws(e'\n\n', x.description, x.outcome, crm.search_fields(x.custom_fields)),
    null, null, x.subject_type, x.subject_id, x.assignee_id, x.version, x.updated_at
   from named n, org, crm.tasks x where n.kind = 'tasks' and x.org_id = org.id and x.id = any (n.ids) and x.archived_at is null
  union all select n.kind, x.id, '', null, concat_ws(e'\n\n', x.body, crm.search_fields(x.custom_fields)),
    null, null, x.subject_type, x.subject_id, null, x.version, x.updated_at
   from named n, org, crm.notes x where n.kind = 'notes' and x.org_id = org.id and x.id = any (n.ids) and x.archived_at is null
  union all select n.kind, x.id, x.subject, null, x.body, null, null, x.subject_type, x.subject_id, null, x.version, x.updated_at
   from named n, org, crm.activities x where n.kind = 'activities' and x.org_id = org.id and x.id = any (n.ids) and x.archived_at is null
  union all select n.kind, x.id, x.title, null, concat_ws(e'\n\n', x.description, x.resolution, crm.search_fields(x.custom_fields)),
    null, null, null, null, null, x.version, x.updated_at
   from named n, org, crm.issues x where n.kind = 'issues' and x.org_id = org.id and x.id = any (n.ids) and x.archived_at is null
  union all select n.kind, x.id, x.subject, null,
    concat_ws(e'\n\n', (select 'To: ' || string_agg(concat_ws(' ', r ->> 'name', r ->> 'address'), ', ') from jsonb_array_elements(x.to_recipients) r), x.body),
    null, null, x.subject_type, x.subject_id, null, x.version, x.updated_at
   from named n, org, crm.emails x where n.kind = 'emails' and x.org_id = org.id and x.id = any (n.ids) and x.archived_at is null
  union all select n.kind, x.id, x.title, null, concat_ws(e'\n\n', x.description, x.url, crm.search_fields(x.custom_fields)),
    null, null, x.subject_type, x.subject_id, null, x.version, x.updated_at
   from named n, org, crm.documents x where n.kind = 'documents' and x.org_id = org.id and x.id = any (n.ids) and x.archived_at is null
  union all select n.kind, x.id, x.title, null, x.body,
    array(select t.value from jsonb_array_elements_text(x.tags) with ordinality t(value, at) order by t.at),
    case x.access when 'org' then null when 'admin' then array['admin']
      else array(select distinct r.value from (select 'admin' as value union all select jsonb_array_elements_text(x.roles)) r order by 1) end,
    null, null, null, x.version, x.updated_at
   from named n, org, crm.articles x where n.kind = 'articles' and x.org_id = org.id and x.id = any (n.ids) and x.archived_at is null
  union all select n.kind, x.id, concat_ws(' ', 'order', x.number), null, null, null, null, null, null, null, x.version, x.updated_at
   from named n, org, crm.orders x where n.kind = 'orders' and x.org_id = org.id and x.id = any (n.ids) and x.archived_at is null
  union all select n.kind, x.id, concat_ws(' ', 'quote', x.number), null, null, null, null, null, null, null, x.version, x.updated_at
   from named n, org, crm.quotes x where n.kind = 'quotes' and x.org_id = org.id and x.id = any (n.ids) and x.archived_at is null
  union all select n.kind, x.id, concat_ws(' ', 'invoice', x.number), null, null, null, null, null, null, null, x.version, x.updated_at
   from named n, org, crm.invoices x where n.kind = 'invoices' and x.org_id = org.id and x.id = any (n.ids) and x.archived_at is null
  union all select n.kind, x.id, concat_ws(' ', 'credit note', x.number), null, null, null, null, null, null, null, x.version, x.updated_at
   from named n, org, crm.credit_notes x where n.kind = 'credit_notes' and x.org_id = org.id and x.id = any (n.ids) and x.archived_at is null;
end $f$;
