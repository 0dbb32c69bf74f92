-- Who is told of which draft: a row for each draft, person, channel and occasion, so that nobody is told twice.
create table crm.notices(
  org_id bigint not null references crm.orgs on delete cascade, id bigint generated always as identity,
  message bigint not null, draft_id bigint not null, draft_version int not null, person bigint,
  channel text not null check (channel in ('email', 'webhook', 'desktop')),
  occasion text not null check (occasion in ('waiting', 'revised', 'reminder', 'decided')),
  to_admins boolean not null default false,
  state text not null default 'queued' check (state in ('queued', 'sending', 'sent', 'failed', 'moot')),
  attempts int not null default 0, unclear int not null default 0, next_attempt_at timestamptz,
  last_error text check (length(last_error) <= 400), sent_at timestamptz, created_at timestamptz not null default clock_timestamp(),
  primary key (org_id, id),
  foreign key (org_id, draft_id) references crm.drafts on delete cascade,
  foreign key (org_id, person) references crm.memberships on delete cascade,
  unique nulls not distinct (org_id, draft_id, occasion, channel, person),
  check ((channel = 'webhook') = (person is null)));
create index notices_of on crm.notices(org_id, message);
create index notices_failed on crm.notices(org_id, created_at) where state = 'failed';
comment on table crm.notices is 'Who is told of which draft, how often that was tried, and whether it went out.';
comment on column crm.notices.message is 'Notices of one message share it: a burst of drafts is told of at once.';
comment on column crm.notices.person is 'Null: a channel that is nobody''s own.';
comment on column crm.notices.to_admins is 'Nobody else may approve it.';

-- Whatever came to an end stays so: a notice is not sent a second time by rewriting its row.
create function crm.step_notice() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $f$
begin
  if old.state not in ('queued', 'sending') then raise exception 'not a step of a notice' using errcode = '42501'; end if;
  return new;
end $f$;
create trigger step before update on crm.notices for each row execute function crm.step_notice();
revoke execute on function crm.step_notice() from public;

-- Posts what is new among notices of the bound org, with one job for each message of them.
create function crm.post_notices(posted jsonb) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; messages bigint[]; one bigint;
begin
  with made as (insert into crm.notices(org_id, message, draft_id, draft_version, person, channel, occasion, to_admins)
      select o, x.message, x.draft, x.version, x.person, x.channel, x.occasion, x.to_admins
        from jsonb_to_recordset(posted) x(message bigint, draft bigint, version int, person bigint, channel text, occasion text, to_admins boolean)
      on conflict do nothing returning message)
    select coalesce(array_agg(distinct m.message), '{}') into messages from made m;
  foreach one in array messages loop
    perform crm.enqueue('send_notice', jsonb_build_object('org', o, 'message', one));
  end loop;
  return cardinality(messages);
end $f$;

-- The one way in for jobs, as before, and for notices.
create function crm.enqueue(kind text, args jsonb) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare job bigint; about text; queue text; org bigint := nullif(current_setting('crm.org_id', true), '')::bigint;
begin
  select k.about, k.queue into about, queue
    from (values ('deliver_email', 'email', 'mail'), ('send_notice', 'message', 'notices')) k(kind, about, queue) where k.kind = enqueue.kind;
  if about is null then raise exception 'no such kind of job' using errcode = '42501'; end if;
  if (args ->> 'org')::bigint is distinct from org or (args ->> about)::bigint is null or args - array['org', about] <> '{}' then
    raise exception 'not the arguments of such a job' using errcode = '42501';
  end if;
  insert into jobs.procrastinate_jobs(queue_name, task_name, args) values (queue, kind, args) returning id into job;
  return job;
end $f$;
