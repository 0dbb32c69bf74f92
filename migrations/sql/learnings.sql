-- What is remembered: how long, how often it was of use, and as vectors. One mechanism for a person's preferences and for
-- memories about records; what deciding people corrected is counted as well.

alter table crm.retention drop constraint retention_kept_check;
alter table crm.retention add constraint retention_kept_check check (kept >= interval '1 hour');
insert into crm.retention(what, kept, reason) values
 ('memory, short', '1 hour', 'What is remembered of a chat that goes on is of use while it goes on (S1 section 5).'),
 ('memory, medium', '30 days', 'A thread of e-mails is answered within weeks (S1 section 5).'),
 ('memory, long', '365 days', 'What was said to a lead or at a meeting matters for a year (S1 section 5).'),
 ('memory, forgotten', '30 days', 'Who deleted a memory by mistake undoes it within days.');

-- When a memory goes, by the clock of the database: nobody else says so.
create function crm.learning_expires() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $f$
declare kept interval := (select r.kept from crm.retention r where r.what = 'memory, ' || new.retention);
begin
  new.expires_at := case when new.retention <> 'permanent' then
    case tg_op when 'INSERT' then clock_timestamp() else old.created_at end + kept end;
  return new;
end $f$;

create table crm.memory_uses(
  org_id bigint not null references crm.orgs on delete cascade,
  kind text not null check (kind in ('preference', 'learning', 'draft')), record_id bigint not null,
  uses int not null default 0 check (uses >= 0), told int not null default 0 check (told >= 0),
  used_at timestamptz not null default clock_timestamp(),
  primary key (org_id, kind, record_id));
comment on table crm.memory_uses is 'How often what is remembered was applied to a read or told: counted beside the record, since a read changes none.';
comment on column crm.memory_uses.kind is 'What it is of: a preference, a learning, or the draft that somebody corrected.';
comment on column crm.memory_uses.record_id is 'Its number.';
comment on column crm.memory_uses.uses is 'How often it was applied.';
comment on column crm.memory_uses.told is 'How often it was told.';
comment on column crm.memory_uses.used_at is 'When last.';
insert into crm.memory_uses(org_id, kind, record_id, uses, used_at)
 select u.org_id, 'preference', u.preference_id, u.uses, u.used_at from crm.preference_uses u;
drop function crm.preferences_used(bigint, bigint, bigint[]);
drop table crm.preference_uses;

-- Counts what a read applied or told, of what is the person's own or of whoever may see the record.
create function crm.memory_used(org bigint, whose bigint, what text, which bigint[], is_applied boolean) returns void
 language sql security definer set search_path = pg_catalog, pg_temp as $f$
 insert into crm.memory_uses(org_id, kind, record_id, uses, told)
  select org, what, x.id, is_applied::int, (not is_applied)::int from (select distinct unnest(which[1:200]) as id) x
   where org = nullif(current_setting('crm.org_id', true), '')::bigint and case what
    when 'preference' then exists (select from crm.preferences p where p.org_id = org and p.id = x.id and p.user_id = whose)
    when 'learning' then exists (select from crm.learnings l where l.org_id = org and l.id = x.id and coalesce(l.user_id, whose) = whose)
    when 'draft' then exists (select from crm.drafts d where d.org_id = org and d.id = x.id and d.requester = whose)
    else false end
  on conflict (org_id, kind, record_id) do update set uses = memory_uses.uses + excluded.uses, told = memory_uses.told + excluded.told,
   used_at = clock_timestamp() $f$;

-- One vector a record, of its text without personal data, in the version that it was made of. A person has some hundred
-- records, and a record some hundred memories: they are compared one by one, exactly, and need no index.
create table crm.memory_vectors(
  org_id bigint not null references crm.orgs on delete cascade,
  kind text not null check (kind in ('preference', 'learning')), record_id bigint not null,
  model text not null check (length(model) between 1 and 200), version int not null, vector public.halfvec not null,
  primary key (org_id, kind, record_id));
comment on table crm.memory_vectors is 'What is remembered as vectors: made by the worker of the text without personal data.';
comment on column crm.memory_vectors.kind is 'What it is of: a preference or a learning.';
comment on column crm.memory_vectors.record_id is 'Its number.';
comment on column crm.memory_vectors.model is 'The embedder that made it; another one''s is not compared.';
comment on column crm.memory_vectors.version is 'The record''s version then; of another it is not compared.';
comment on column crm.memory_vectors.vector is 'The vector, of unit length.';

-- Keeps vectors, given as [number, version, vector as text]; of a record that has changed meanwhile none is kept.
create function crm.keep_vectors(what text, embedder text, made jsonb) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; n bigint;
begin
  insert into crm.memory_vectors(org_id, kind, record_id, model, version, vector)
   select o, what, (x ->> 0)::bigint, embedder, (x ->> 1)::int, (x ->> 2)::public.halfvec from jsonb_array_elements(made) x
    where case what
     when 'preference' then exists (select from crm.preferences p where p.org_id = o and p.id = (x ->> 0)::bigint and p.version = (x ->> 1)::int)
     else exists (select from crm.learnings l where l.org_id = o and l.id = (x ->> 0)::bigint and l.version = (x ->> 1)::int) end
   on conflict (org_id, kind, record_id) do update set model = excluded.model, version = excluded.version, vector = excluded.vector;
  get diagnostics n = row_count;
  return n;
end $f$;

-- Memories whose time is over, and what was kept beside memories and preferences that nobody is told any more. A deletion is
-- recorded without the text, which is in no record of changes, under a call of the worker's own.
create function crm.forget_learnings(most int default 10000) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare
  o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; n bigint;
  before timestamptz := clock_timestamp() - (select r.kept from crm.retention r where r.what = 'memory, forgotten');
begin
  if o is null then return 0; end if;
  perform set_config('crm.call_id', ((floor(extract(epoch from clock_timestamp()) * 1000)::bigint << 21) | floor(random() * 2097152)::bigint)::text, true);
  delete from crm.learnings l where l.org_id = o and l.id in (
    select x.id from crm.learnings x where x.org_id = o
      and (x.expires_at <= clock_timestamp() or x.forgotten_at < before or x.archived_at < before)
    order by x.expires_at limit most);
  get diagnostics n = row_count;
  delete from crm.memory_vectors v where v.org_id = o and case v.kind
    when 'preference' then not exists (select from crm.preferences p where p.org_id = o and p.id = v.record_id and p.forgotten_at is null and p.archived_at is null)
    else not exists (select from crm.learnings l where l.org_id = o and l.id = v.record_id and l.forgotten_at is null and l.archived_at is null) end;
  delete from crm.memory_uses u where u.org_id = o and u.kind = 'learning'
    and not exists (select from crm.learnings l where l.org_id = o and l.id = u.record_id);
  return n;
end $f$;
