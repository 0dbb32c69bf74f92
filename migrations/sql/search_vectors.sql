-- Vectors of the passages that search finds: one table a model, so that one can be built beside the one that answers.
create table crm.embedding_models(
  id int generated always as identity primary key,
  name text not null unique check (length(name) between 1 and 120),
  dimensions int not null check (dimensions between 1 and 4000),
  is_semantic boolean not null,
  least real not null check (least between 0 and 1),
  state text not null check (state in ('building', 'live', 'retired')),
  created_at timestamptz not null default now(),
  switched_at timestamptz);
comment on table crm.embedding_models is 'What makes vectors of passages, the same for every org; `crm-mcp search models` changes it.';
comment on column crm.embedding_models.id is 'Its number: its vectors are in the table vectors_<number>.';
comment on column crm.embedding_models.name is 'What it is called: ngrams-1, fastembed:MODEL, openai:MODEL.';
comment on column crm.embedding_models.dimensions is 'How long its vectors are.';
comment on column crm.embedding_models.is_semantic is 'Whether it knows meanings, or compares spelling.';
comment on column crm.embedding_models.least is 'The cosine below which a passage is not like a query.';
comment on column crm.embedding_models.state is 'building: not asked yet; live: answers queries; retired: did so before.';
comment on column crm.embedding_models.created_at is 'When it was added, with zone.';
comment on column crm.embedding_models.switched_at is 'When it became live, or stopped being so.';
create unique index embedding_models_live on crm.embedding_models(state) where state = 'live';

-- Makes the table of a model's vectors; for the owner alone.
create function crm.make_vectors(model int) returns void language plpgsql set search_path = pg_catalog, pg_temp as $f$
declare
  t text := 'vectors_' || model; d int := (select m.dimensions from crm.embedding_models m where m.id = model);
begin
  if d is null then raise exception 'there is no model %', model; end if;
  execute format('create table crm.%I(org_id bigint not null references crm.orgs on delete cascade, chunk_id bigint not null,
    embedding public.halfvec(%s), digest text not null, primary key (org_id, chunk_id),
    foreign key (org_id, chunk_id) references crm.search_chunks (org_id, id) on delete cascade)', t, d);
  execute format('comment on table crm.%I is %L', t, 'Vectors of one model; derived by the worker and made anew at will.');
  execute format('comment on column crm.%I.chunk_id is %L', t, 'The passage.');
  execute format('comment on column crm.%I.embedding is %L', t, 'Its vector, of unit length; null: it has no word.');
  execute format('comment on column crm.%I.digest is %L', t, 'The digest of the text that it was made of.');
  execute format('create index %I on crm.%I using hnsw (embedding public.halfvec_cosine_ops)', t || '_near', t);
  execute format('alter table crm.%I enable row level security', t);
  execute format('alter table crm.%I force row level security', t);
  execute format('create policy tenant on crm.%I to public using (org_id = nullif(current_setting(''crm.org_id'', true), '''')::bigint)', t);
  execute format('grant select, insert, update, delete on crm.%I to crm_worker', t);
  execute format('grant select on crm.%I to crm_definer', t);
end $f$;

-- The passages nearest to a query, as far as a role may see them: of those alone are there `most`. A small org is compared
-- whole; in a large one the index is walked until enough is found. Nothing where the vector is not of that model.
create function crm.nearest(model text, vector text, role text, person bigint, entities text[], labels text[], most int)
returns table(entity text, record_id bigint, part int, distance real)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  set enable_sort = off set enable_hashjoin = off set enable_mergejoin = off as $f$
#variable_conflict use_column
declare
  o bigint := nullif(current_setting('crm.org_id', true), '')::bigint;
  m crm.embedding_models; q public.halfvec; visible text[]; are_few boolean;
begin
  if o is null or nearest.vector is null or nearest.most <= 0 then return; end if;
  select * into m from crm.embedding_models x where x.name = nearest.model;
  if m.id is null then return; end if;
  q := nearest.vector::public.halfvec;
  if public.vector_dims(q) <> m.dimensions or public.l2_norm(q) = 0 then return; end if;
  -- set here and not with the function: who owns no server, and restores a backup, may not store settings of a library that is not loaded
  perform set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', '100', true);
  visible := array(select r.table_name from crm.reasoning r where r.type = 'crm' and nearest.role = any (r.roles));
  execute format('select count(*) <= 10000 from (select from crm.%I v where v.org_id = $1 limit 10001) x', 'vectors_' || m.id) into are_few using o;
  return query execute format($s$
    select x.entity, x.record_id, x.part, x.d::real from (
      select c.entity, c.record_id, c.part, v.d from (
        select v.chunk_id, (v.embedding operator(public.<=>) $1) %s as d from crm.%I v where v.org_id = $2 and v.embedding is not null order by 2) v
      join crm.search_chunks c on c.org_id = $2 and c.id = v.chunk_id
      where c.entity = any ($3) and ($4 is null or c.entity = any ($4)) and (c.roles is null or $5 = any (c.roles))
       and (c.subject_type is null or c.subject_type = any ($3) or c.assignee_id = $6) and ($7 is null or c.tags @> $7)
      order by v.d limit $8) x
    where x.d <= 1 - $9 order by x.d, x.entity, x.record_id, x.part $s$, case when are_few then '+ 0' else '' end, 'vectors_' || m.id)
    using q, o, visible, nearest.entities, nearest.role, nearest.person, nearest.labels, least(nearest.most, 200), m.least;
exception when undefined_table then
  return;  -- the model was removed while it was asked
end $f$;
