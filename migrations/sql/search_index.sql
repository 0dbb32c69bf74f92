-- An index of what people wrote, derived from their records by the worker alone: every row of it can be made again.
create table crm.search_chunks(
  org_id bigint not null references crm.orgs on delete cascade, id bigint generated always as identity,
  entity text not null, record_id bigint not null, part int not null check (part >= 0), parts int not null check (parts > part),
  title text not null, section text not null, handles text, body text not null check (length(body) <= 4000),
  tags text[], roles text[], subject_type text, subject_id bigint, assignee_id bigint,
  version int not null, changed_at timestamptz not null, digest text not null,
  title_key text generated always as (case part when 0 then nullif(crm.name_key(title), '') end) stored,
  names text generated always as (case part when 0 then nullif(btrim(crm.name_key(title) || ' ' || coalesce(crm.search_key(handles), '')), '') end) stored,
  words tsvector generated always as (setweight(to_tsvector('pg_catalog.simple', crm.search_key(title)), 'A')
    || setweight(to_tsvector('pg_catalog.simple', crm.search_key(section)), 'B')
    || to_tsvector('pg_catalog.simple', crm.search_key(body))) stored,
  primary key (org_id, id), unique (org_id, entity, record_id, part));
comment on table crm.search_chunks is 'Passages of what people wrote, as search finds them; derived by the indexer and made anew at will.';
comment on column crm.search_chunks.entity is 'The table of the record.';
comment on column crm.search_chunks.record_id is 'Its number there.';
comment on column crm.search_chunks.part is 'Which passage of the record it is, from 0.';
comment on column crm.search_chunks.parts is 'How many there are.';
comment on column crm.search_chunks.title is 'What the record is called; empty where it has no name.';
comment on column crm.search_chunks.section is 'The headings that the passage stands under.';
comment on column crm.search_chunks.handles is 'E-mail address and domain, searched like a name.';
comment on column crm.search_chunks.body is 'The passage.';
comment on column crm.search_chunks.tags is 'Tags of an article.';
comment on column crm.search_chunks.roles is 'The roles that may read it; null: whoever sees records of its kind.';
comment on column crm.search_chunks.subject_type is 'The table of what the record is about: who does not see that does not see this.';
comment on column crm.search_chunks.subject_id is 'Its number there.';
comment on column crm.search_chunks.assignee_id is 'Whose task it is: they see it whatever it is about.';
comment on column crm.search_chunks.version is 'The version of the record that this is of.';
comment on column crm.search_chunks.changed_at is 'When that version was made.';
comment on column crm.search_chunks.title_key is 'The title as names are compared, in the first passage.';
comment on column crm.search_chunks.names is 'The same with the handles: where names are looked for despite slips.';
comment on column crm.search_chunks.words is 'The words of title, section and passage.';
comment on column crm.search_chunks.digest is 'SHA-256 of title, section and passage, in hexadecimal: another vector is due when it changes.';
create index search_chunks_words on crm.search_chunks using gin (org_id, words);
create index search_chunks_names on crm.search_chunks using gin (org_id, names public.gin_trgm_ops) where names is not null;

create table crm.search_state(
  org_id bigint primary key references crm.orgs on delete cascade,
  origin text not null, rules int not null, xact xid8 not null, change_id bigint not null default 0,
  building text, after_id bigint not null default 0, built_at timestamptz, worked_at timestamptz not null default clock_timestamp());
comment on table crm.search_state is 'How far the index of an org is: a place in changes, and in a build from scratch.';
comment on column crm.search_state.origin is 'The database whose transaction ids are meant: in a restored one they begin anew.';
comment on column crm.search_state.rules is 'The edition of the rules by which the passages were cut.';
comment on column crm.search_state.xact is 'Changes of transactions before it are in the index, and of itself those up to change_id.';
comment on column crm.search_state.change_id is 'The last change of that transaction that is in the index.';
comment on column crm.search_state.building is 'The table that a build from scratch is at; null: it is whole.';
comment on column crm.search_state.after_id is 'The last record of that table that is in the index.';
comment on column crm.search_state.built_at is 'When the last build from scratch was whole.';
comment on column crm.search_state.worked_at is 'When the indexer last did something here.';
create index changes_in_order on crm.changes(org_id, xact, id);
create index organizations_phone_ending on crm.organizations(org_id, phone_ending pg_catalog.text_pattern_ops);
create index individuals_phone_ending on crm.individuals(org_id, phone_ending pg_catalog.text_pattern_ops);

-- The texts in an org's own fields, each with its key.
create function crm.search_fields(fields jsonb) returns text language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $f$
begin
  if fields = '{}' then return null; end if;
  return (select string_agg(f.key || ': ' || f.value, e'\n' order by f.key) from jsonb_each_text(fields) f where f.value <> '');
end $f$;
create function crm.search_origin() returns text language sql stable set search_path = pg_catalog, pg_temp as $f$
  select s.system_identifier || '.' || d.oid from pg_control_system() s, pg_database d where d.datname = current_database() $f$;

-- The next changes behind the place that the index is at. Transactions commit in another order than they begin, so nothing
-- is taken of what began after the oldest that still runs (`horizon`): before it, nothing can be committed any more.
create function crm.search_touched(most int) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $f$
declare
  o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; s crm.search_state;
  horizon xid8 := pg_snapshot_xmin(pg_current_snapshot());
begin
  select * into s from crm.search_state x where x.org_id = o;
  if s.org_id is null then return null; end if;
  return jsonb_build_object('horizon', horizon::text, 'touched', (select coalesce(jsonb_agg(jsonb_build_array(t.xact::text, t.id, t.tbl, t.record,
     coalesce((t.before ->> 'lead_id')::bigint, (t.after ->> 'lead_id')::bigint)) order by t.xact, t.id), '[]')
    from (select c.xact, c.id, c.tbl, (c.key ->> 'id')::bigint as record, c.before, c.after from crm.changes c
      where c.org_id = o and (c.xact, c.id) > (s.xact, s.change_id) and c.xact < horizon order by c.xact, c.id limit least(most, 10000)) t));
end $f$;

-- How far behind the index is: changes not yet in it (up to 10,000 are counted), since when, whether it is being built.
create function crm.search_lag() returns table(behind int, since timestamptz, is_built boolean, worked_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $f$
declare o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; s crm.search_state;
begin
  select * into s from crm.search_state x where x.org_id = o;
  return query select count(*)::int, min(c.at), s.org_id is not null and s.building is null and s.origin = crm.search_origin(), s.worked_at
    from (select y.at from crm.changes y where s.org_id is not null and y.org_id = o and (y.xact, y.id) > (s.xact, s.change_id)
      and y.tbl = any (crm.search_kinds()) order by y.xact, y.id limit 10000) c;
end $f$;
-- The tables whose changes change the index.
create function crm.search_kinds() returns text[] language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $f$
  select array['customers', 'organizations', 'individuals', 'contacts', 'deals', 'leads', 'projects', 'tasks', 'notes', 'activities',
    'issues', 'emails', 'documents', 'articles', 'jobs', 'opportunities', 'partnerships'] $f$;
