-- Text as it is searched: without case, accents and punctuation, so that no word holds a sign of LIKE. Shown text stays as written.
create function crm.search_key(text text) returns text language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $f$
  select btrim(regexp_replace(lower(public.unaccent('public.unaccent'::regdictionary, normalize(left(text, 20000), nfkc))), '[^[:alnum:]]+', ' ', 'g')) $f$;

-- The latest changes of a record, with the agent and the tool of each. Under RLS the index by record would not be used,
-- so a definer names the org itself; and the agent's login may not read the audit.
create function crm.changes_of(record_table text, record bigint, most int) returns table(id bigint, agent text, tool text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $f$
  with every as materialized (select x.id, x.org_id, x.call_id from crm.changes x where x.org_id = nullif(current_setting('crm.org_id', true), '')::bigint
    and x.tbl = record_table and (x.key ->> 'id')::bigint = record)  -- materialized, lest the newest of all records be looked through
  select c.id, b.agent, b.tool from (select * from every order by id desc limit least(most, 1000)) c
   left join lateral (select (array_agg(a.agent order by a.id))[1] as agent, (array_agg(a.tool order by a.id))[1] as tool
    from crm.audit_log a where a.org_id = c.org_id and a.call_id = c.call_id) b on true $f$;
