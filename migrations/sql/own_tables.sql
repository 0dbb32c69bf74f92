-- Tables and views of an org's own in this database, registered by an administrator for its agents to query. No other org
-- sees a row of this: what is registered for one does not exist for another.
create table crm.own_tables(
  org_id bigint not null references crm.orgs on delete cascade,
  id bigint generated always as identity,
  type text not null check (type ~ '^[a-z][a-z0-9_]{0,62}$' and type !~ '^(pg_|query)' and type <> all (array['crm', 'finance', 'analytics', 'public', 'information_schema', 'jobs'])),
  name text not null check (name ~ '^[a-z][a-z0-9_]{0,62}$'),
  schema_name text not null, table_name text not null,
  kind text not null check (kind in ('table', 'view')),
  org_column text, org_value text check (org_value is null or org_column is not null),
  columns text[] not null check (cardinality(columns) > 0),
  description text not null,
  hint jsonb not null,
  roles text[] not null check (cardinality(roles) > 0 and roles <@ array['admin', 'sales', 'operations', 'finance', 'support']),
  definition text,
  created_at timestamptz not null default now(),
  primary key (org_id, id), unique (org_id, type, name), unique (org_id, schema_name, table_name));
comment on table crm.own_tables is 'Which tables of its own an org has registered for free-form SQL, and what they mean.';
comment on column crm.own_tables.org_column is 'The column whose value says whose a row is; null: all rows are of this org.';
comment on column crm.own_tables.org_value is 'The value in that column that stands for this org; null: its number.';
comment on column crm.own_tables.definition is 'Of a view: its definition, with those of the views under it, when it was registered.';

-- A view with all that it is made of.
create function crm.view_parts(relation oid) returns table (id oid) language sql stable set search_path = pg_catalog, pg_temp as $f$
  with recursive under(id) as (
    select relation union
    select d.refobjid from under u join pg_rewrite r on r.ev_class = u.id
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass)
  select u.id from under u $f$;

-- A view's definition with its options, and those of all views under it.
create function crm.view_text(relation oid) returns text language sql stable set search_path = pg_catalog, pg_temp as $f$
  select string_agg(x.said, e'\n' order by x.said) from (
    select concat_ws(' ', c.oid::regclass, array_to_string(c.reloptions, ','), pg_get_viewdef(c.oid)) as said
    from crm.view_parts(relation) u join pg_class c on c.oid = u.id and c.relkind = 'v') x $f$;

-- The policies of a table that confine free-form SQL, as a text to compare.
create function crm.own_guard(relation oid) returns text language sql stable set search_path = pg_catalog, pg_temp as $f$
  select string_agg(concat_ws(' ', p.polname, p.polcmd, p.polpermissive, array_to_string(p.polroles::regrole[], ','),
    pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)), e'\n' order by p.polname)
  from pg_policy p where p.polrelid = relation and p.polname in ('crm_mcp_sees', 'crm_mcp_only') $f$;

-- What is wrong with a registered table, in words for an administrator; null: nothing, and so it may be queried.
create function crm.own_table_fault(o crm.own_tables) returns text language sql stable set search_path = pg_catalog, pg_temp as $f$
  select case
    when c.oid is null then 'it is gone'
    when c.relkind::text <> all (case o.kind when 'view' then array['v'] else array['r', 'p'] end) then 'it is no ' || o.kind || ' any more'
    when m.missing is not null then 'it has no column ' || m.missing || ' any more'
    when o.kind = 'view' and o.definition is distinct from crm.view_text(c.oid) then 'it, or a view under it, was defined anew'
    when o.kind = 'view' and exists (select from crm.view_parts(c.oid) u join pg_class p on p.oid = u.id and p.relkind in ('r', 'p')
      join pg_namespace s on s.oid = p.relnamespace and s.nspname <> 'crm' where not exists (select from crm.own_tables b
      where b.org_id = o.org_id and b.kind = 'table' and b.schema_name::name = s.nspname and b.table_name::name = p.relname
       and crm.own_table_fault(b) is null)) then 'what it is made of is closed'
    when o.kind = 'table' and not c.relrowsecurity then 'its row level security was switched off'
    when o.kind = 'table' and not exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'crm_mcp_only'
      and obj_description(p.oid, 'pg_policy') = crm.own_guard(c.oid)) then 'the policies that confine queries were changed'
    when o.kind = 'table' and other.wide is not null then 'its policy ' || other.wide || ' also holds for queries'
    when o.kind = 'table' and other.named is not null and exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'crm_mcp_others')
      then 'its policy ' || other.named || ' has no effect beside crm_mcp_others, which stands for the row level security that there was none of'
    when exists (select from aclexplode(c.relacl) x where x.grantee in (0, 'crm_query'::regrole)) then 'everybody, or crm_query, has rights on all of it'
    when m.unread is not null then 'queries may not read its column ' || m.unread
    when (select count(*) from pg_class v join pg_namespace s on s.oid = v.relnamespace
      where s.nspname = 'query_own' and v.relkind = 'v' and v.relname = any (select 't' || o.id || '_' || r from unnest(o.roles) r)) < cardinality(o.roles)
      then 'its views are missing'
  end
  from (select) one
  left join (pg_namespace n join pg_class c on c.relnamespace = n.oid) on n.nspname = o.schema_name::name and c.relname = o.table_name::name
  cross join lateral (
    select string_agg(quote_ident(k.name), ', ') filter (where a.attnum is null) as missing,
      string_agg(quote_ident(k.name), ', ') filter (where a.attnum is not null and not has_column_privilege('crm_query', c.oid, a.attnum, 'select')) as unread
    from unnest(o.columns || o.org_column) k(name)
    left join pg_attribute a on a.attrelid = c.oid and a.attname = k.name::name and a.attnum > 0 and not a.attisdropped
    where k.name is not null) m
  cross join lateral (
    select min(quote_ident(p.polname)) as named, min(quote_ident(p.polname)) filter (where p.polroles && array[0::oid, 'crm_query'::regrole::oid]) as wide
    from pg_policy p where p.polrelid = c.oid and p.polname not in ('crm_mcp_sees', 'crm_mcp_only', 'crm_mcp_others')) other $f$;
