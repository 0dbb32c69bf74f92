-- Conversations with our own agents, and their runs: a person's own, touched by definer functions alone.
-- Whoever is bound as the person opens, reads, cancels and resumes; whoever holds a run goes on with it, by a lease that is good
-- for one run until somebody else takes it over. What is kept as it was said goes when the run has ended.

insert into crm.retention(what, kept, reason) values
 ('conversations', '30 days', 'A follow-up comes within days; what was learnt for good is a preference, what was done is in the record (S0 section 4).');

create table crm.conversations(
  org_id bigint not null references crm.orgs on delete cascade, id bigint generated always as identity,
  user_id bigint not null, agent text check (agent ~ '^[a-z]{1,30}$'), title text not null check (length(title) <= 200),
  started_at timestamptz not null default clock_timestamp(), active_at timestamptz not null default clock_timestamp(),
  summary text check (length(summary) <= 20000), summary_by text check (summary_by in ('model', 'digest')), summarised bigint not null default 0,
  tokens bigint not null default 0 check (tokens >= 0),
  primary key (org_id, id),
  foreign key (org_id, user_id) references crm.memberships (org_id, user_id) on delete cascade,
  check ((summary is null) = (summary_by is null)));
create index conversations_age on crm.conversations(org_id, active_at);
create index conversations_of on crm.conversations(org_id, user_id, id desc);
comment on table crm.conversations is 'Conversations of people with our own agents; each is its person''s alone.';
comment on column crm.conversations.user_id is 'Whose it is; nobody else is shown it, administrators included.';
comment on column crm.conversations.agent is 'The agent that spoke last.';
comment on column crm.conversations.title is 'The first words of its first request, without personal data.';
comment on column crm.conversations.active_at is 'When something was said last; it goes some time after.';
comment on column crm.conversations.summary is 'Its older part in short.';
comment on column crm.conversations.summary_by is 'model: told by a model; digest: put together of what was called.';
comment on column crm.conversations.summarised is 'The last run that the summary covers.';
comment on column crm.conversations.tokens is 'What models read and wrote in it.';

create table crm.agent_runs(
  org_id bigint not null references crm.orgs on delete cascade, id bigint generated always as identity,
  conversation_id bigint not null, user_id bigint not null, key_id bigint references crm.api_keys on delete set null, is_keyed boolean not null default false,
  is_background boolean not null, agent text check (agent ~ '^[a-z]{1,30}$'),
  state text not null check (state in ('queued', 'running', 'waiting', 'finished', 'failed', 'cancelled')),
  asked text not null check (length(asked) <= 60000), exact text check (length(exact) <= 20000),
  current_agent text check (current_agent ~ '^[a-z]{1,30}$'), carry jsonb,
  done int not null default 0, total int, message text check (length(message) <= 500),
  result text check (length(result) <= 50000), drafts jsonb not null default '[]', error text check (length(error) <= 60),
  cancel_requested_at timestamptz, attempts int not null default 0, lease bytea, beat_at timestamptz, next_attempt_at timestamptz,
  tokens_in bigint not null default 0, tokens_out bigint not null default 0, cost numeric(19,6) not null default 0,
  created_at timestamptz not null default clock_timestamp(), queued_at timestamptz not null default clock_timestamp(),
  started_at timestamptz, ended_at timestamptz,
  primary key (org_id, id),
  foreign key (org_id, conversation_id) references crm.conversations (org_id, id) on delete cascade,
  foreign key (org_id, user_id) references crm.memberships (org_id, user_id) on delete cascade,
  check ((state = 'running') = (lease is not null)),
  check ((state in ('finished', 'failed', 'cancelled')) = (ended_at is not null)),
  check (ended_at is null or (exact is null and carry is null)));
create index agent_runs_of on crm.agent_runs(org_id, user_id, id desc);
create index agent_runs_in on crm.agent_runs(org_id, conversation_id, id);
create index agent_runs_open on crm.agent_runs(org_id, state) where ended_at is null;
comment on table crm.agent_runs is 'Runs of our own agents for a person, in the background or at a terminal.';
comment on column crm.agent_runs.key_id is 'The API key by which it was asked for: the run ends with it.';
comment on column crm.agent_runs.is_keyed is 'Whether it was asked for by an API key, also one that is gone.';
comment on column crm.agent_runs.agent is 'The agent that was asked; null: triage chooses.';
comment on column crm.agent_runs.state is 'queued, running, waiting (to be tried again), finished, failed, cancelled.';
comment on column crm.agent_runs.asked is 'What was asked for, without personal data.';
comment on column crm.agent_runs.exact is 'The same as it was said, until the run has ended.';
comment on column crm.agent_runs.carry is 'What the run needs to go on besides its messages, until it has ended.';
comment on column crm.agent_runs.drafts is 'Ids of the drafts that it left waiting.';
comment on column crm.agent_runs.lease is 'SHA-256 of the secret of whoever goes on with it.';
comment on column crm.agent_runs.beat_at is 'When its holder was heard of last.';
comment on column crm.agent_runs.queued_at is 'When it was asked for, or taken up again.';
comment on column crm.agent_runs.cost is 'What models charged for it, in the currency of agents.yaml.';

create table crm.conversation_items(
  org_id bigint not null, conversation_id bigint not null, position int not null check (position > 0), run_id bigint not null,
  agent text not null check (agent ~ '^[a-z]{1,30}$'), kind text not null check (kind in ('request', 'response')),
  content jsonb not null, exact jsonb, redacted text[] not null default '{}', tokens int not null default 0,
  at timestamptz not null default clock_timestamp(),
  primary key (org_id, conversation_id, position),
  foreign key (org_id, conversation_id) references crm.conversations (org_id, id) on delete cascade,
  foreign key (org_id, run_id) references crm.agent_runs (org_id, id) on delete cascade);
create index conversation_items_of on crm.conversation_items(org_id, run_id, position);
comment on table crm.conversation_items is 'What was said and done in conversations, a message a row, in order; rows are added, and change no more.';
comment on column crm.conversation_items.kind is 'request: to the model, with results of tools; response: of the model, with calls of tools.';
comment on column crm.conversation_items.content is 'The message, without personal data.';
comment on column crm.conversation_items.exact is 'The message as it was, until the run has ended: from it the run is taken up after an interruption.';
comment on column crm.conversation_items.redacted is 'Kinds of personal data that were taken out.';

-- News for whoever follows: which run of which org went on. Ids alone, since any login may listen.
create function crm.tell_run() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $f$
begin perform pg_notify('crm_runs', new.org_id || '.' || new.id); return null; end $f$;
revoke execute on function crm.tell_run() from public;
create trigger tell_new after insert on crm.agent_runs for each row execute function crm.tell_run();
create trigger tell after update on crm.agent_runs for each row
  when (old.state is distinct from new.state or old.done is distinct from new.done or old.total is distinct from new.total or old.message is distinct from new.message or old.current_agent is distinct from new.current_agent or old.cancel_requested_at is distinct from new.cancel_requested_at) execute function crm.tell_run();

-- What was said does not change; as it was said it goes with the end of its run.
create function crm.keep_item() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $f$
begin
  if new.exact is not null or to_jsonb(new) - 'exact' is distinct from to_jsonb(old) - 'exact' then
    raise exception 'what was said does not change' using errcode = '42501';
  end if;
  return new;
end $f$;
revoke execute on function crm.keep_item() from public;
create trigger keep before update on crm.conversation_items for each row execute function crm.keep_item();

-- Opens a run of the bound person: {request, asked, title, agent, background, after, carry}; one at a terminal is running and held by `lease`.
-- `after`: a run of theirs whose conversation goes on. Answers {run, conversation}, or {refused: NOT_FOUND | STILL_RUNS | TOO_MANY | NOT_THAT_AGENT}.
create function crm.open_run(wanted jsonb, lease bytea) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare
  b crm.bound_principal := crm.bound(); key bigint := nullif(split_part(current_setting('crm.token'), '.', 6), '')::bigint;
  talk bigint; n bigint; background boolean := (wanted ->> 'background')::boolean;
begin
  if b.agent is not null and wanted ->> 'agent' is distinct from b.agent then return jsonb_build_object('refused', 'NOT_THAT_AGENT'); end if;
  -- one at a time for a person, so that two do not each find room for one
  perform pg_advisory_xact_lock(hashtextextended(concat_ws('.', 'runs', b.org_id, b.user_id), 0));
  if (select count(*) from crm.agent_runs r where r.org_id = b.org_id and r.user_id = b.user_id and r.ended_at is null) >= 20 then
    return jsonb_build_object('refused', 'TOO_MANY');
  end if;
  if wanted ? 'after' then
    select r.conversation_id into talk from crm.agent_runs r where r.org_id = b.org_id and r.user_id = b.user_id and r.id = (wanted ->> 'after')::bigint;
    if talk is null then return jsonb_build_object('refused', 'NOT_FOUND'); end if;
    if exists (select from crm.agent_runs r where r.org_id = b.org_id and r.conversation_id = talk and r.ended_at is null) then
      return jsonb_build_object('refused', 'STILL_RUNS');
    end if;
    update crm.conversations c set active_at = clock_timestamp() where c.org_id = b.org_id and c.id = talk;
  else
    insert into crm.conversations(org_id, user_id, agent, title) values (b.org_id, b.user_id, wanted ->> 'agent', wanted ->> 'title') returning id into talk;
  end if;
  insert into crm.agent_runs(org_id, conversation_id, user_id, key_id, is_keyed, is_background, agent, state, asked, exact, carry, lease, beat_at, started_at, attempts)
   values (b.org_id, talk, b.user_id, key, key is not null, background, wanted ->> 'agent', case when background then 'queued' else 'running' end,
     wanted ->> 'asked', wanted ->> 'request', wanted -> 'carry', case when background then null else sha256(lease) end,
     case when background then null else clock_timestamp() end, case when background then null else clock_timestamp() end,
     case when background then 0 else 1 end)
   returning id into n;
  if background then perform crm.enqueue('run_agent', jsonb_build_object('org', b.org_id, 'run', n)); end if;
  return jsonb_build_object('run', n, 'conversation', talk);
end $f$;

-- Ends a run whose row is locked: what was kept to go on with goes. An end says itself what the person is told.
create function crm.close_run(org bigint, run bigint, how text, code text, said text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
begin
  update crm.agent_runs r set state = how, error = code, message = left(said, 500), lease = null, exact = null, carry = null, next_attempt_at = null,
    ended_at = clock_timestamp() where r.org_id = org and r.id = run;
  update crm.conversation_items i set exact = null where i.org_id = org and i.run_id = run and i.exact is not null;
  update crm.conversations c set active_at = clock_timestamp()
    from crm.agent_runs r where r.org_id = org and r.id = run and c.org_id = org and c.id = r.conversation_id;
end $f$;

-- Takes a run that is due, or whose holder was not heard of for `patience`: {taken: attempt}, {later: when}, or {over: state}.
create function crm.take_run(run bigint, lease bytea, patience interval, most int) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; r crm.agent_runs;
begin
  select * into r from crm.agent_runs x where x.org_id = o and x.id = run for update;
  if r.id is null or not r.is_background then return jsonb_build_object('over', coalesce(r.state, 'gone')); end if;
  if r.ended_at is not null then return jsonb_build_object('over', r.state); end if;
  if r.state = 'running' and r.beat_at > clock_timestamp() - patience then return jsonb_build_object('later', r.beat_at + patience); end if;
  if r.next_attempt_at > clock_timestamp() then return jsonb_build_object('later', r.next_attempt_at); end if;
  if r.cancel_requested_at is not null then
    perform crm.close_run(o, run, 'cancelled', null, 'Cancelled.');
    return jsonb_build_object('over', 'cancelled');
  end if;
  if r.attempts >= most then
    perform crm.close_run(o, run, 'failed', 'GAVE_UP', 'It was interrupted again and again; what was done so far stands.');
    return jsonb_build_object('over', 'failed');
  end if;
  update crm.agent_runs x set state = 'running', lease = sha256(take_run.lease), beat_at = clock_timestamp(), next_attempt_at = null,
    started_at = coalesce(x.started_at, clock_timestamp()), attempts = x.attempts + 1 where x.org_id = o and x.id = run;
  return jsonb_build_object('taken', r.attempts + 1);
end $f$;

-- Says whether a lease holds a run that goes on; its row stays locked until the end of the transaction.
create function crm.holds_run(org bigint, run bigint, lease bytea) returns boolean
language sql volatile security definer set search_path = pg_catalog, pg_temp as $f$
  select exists (select from crm.agent_runs r where r.org_id = org and r.id = run and r.state = 'running' and r.lease = sha256(holds_run.lease) for update) $f$;

-- Adds what was said since, and how far the run is; with {} it says that its holder lives. Answers whether the run is to end, null where it is held by
-- somebody else. {agent, carry, done, total, message, items: [{agent, kind, content, exact, redacted, tokens}], tokens_in, tokens_out, cost}
create function crm.step_run(run bigint, lease bytea, step jsonb) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; r crm.agent_runs; last int;
begin
  if not crm.holds_run(o, run, lease) then return null; end if;
  update crm.agent_runs x set beat_at = clock_timestamp(), current_agent = coalesce(step ->> 'agent', x.current_agent), carry = coalesce(step -> 'carry', x.carry),
     done = coalesce((step ->> 'done')::int, x.done), total = coalesce((step ->> 'total')::int, x.total),
     message = coalesce(left(step ->> 'message', 500), x.message), drafts = coalesce(step -> 'drafts', x.drafts),
     tokens_in = x.tokens_in + coalesce((step ->> 'tokens_in')::bigint, 0), tokens_out = x.tokens_out + coalesce((step ->> 'tokens_out')::bigint, 0),
     cost = x.cost + coalesce((step ->> 'cost')::numeric, 0)
   where x.org_id = o and x.id = run returning * into r;
  if step - array['message', 'done', 'total'] <> '{}' then
    update crm.conversations c set active_at = clock_timestamp(), agent = coalesce(step ->> 'agent', c.agent),
       tokens = c.tokens + coalesce((step ->> 'tokens_in')::bigint, 0) + coalesce((step ->> 'tokens_out')::bigint, 0)
     where c.org_id = o and c.id = r.conversation_id;
    select coalesce(max(i.position), 0) into last from crm.conversation_items i where i.org_id = o and i.conversation_id = r.conversation_id;
    insert into crm.conversation_items(org_id, conversation_id, position, run_id, agent, kind, content, exact, redacted, tokens)
     select o, r.conversation_id, last + i.n::int, run, i.one ->> 'agent', i.one ->> 'kind', i.one -> 'content', i.one -> 'exact',
       array(select jsonb_array_elements_text(i.one -> 'redacted')), (i.one ->> 'tokens')::int
      from jsonb_array_elements(coalesce(step -> 'items', '[]')) with ordinality i(one, n);
  end if;
  return r.cancel_requested_at is not null;
end $f$;

-- Ends a run, or puts it off until `at`: {state, result, drafts, error, message, at, tokens_in, tokens_out, cost}. False where somebody else holds it.
create function crm.end_run(run bigint, lease bytea, outcome jsonb) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare o bigint := nullif(current_setting('crm.org_id', true), '')::bigint;
begin
  if crm.step_run(run, lease, outcome - array['state', 'result', 'error', 'at']) is null then return false; end if;
  if outcome ->> 'state' = 'waiting' then
    update crm.agent_runs r set state = 'waiting', lease = null, attempts = greatest(r.attempts - 1, 0), next_attempt_at = (outcome ->> 'at')::timestamptz,
      error = outcome ->> 'error' where r.org_id = o and r.id = run;
  else
    update crm.agent_runs r set result = left(outcome ->> 'result', 50000) where r.org_id = o and r.id = run;
    perform crm.close_run(o, run, outcome ->> 'state', outcome ->> 'error', outcome ->> 'message');
  end if;
  return true;
end $f$;

-- What the holder of a run needs to begin, or to go on: the request, its messages so far, and the conversation before it.
create function crm.run_so_far(run bigint, lease bytea) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare o bigint := nullif(current_setting('crm.org_id', true), '')::bigint;
begin
  if not crm.holds_run(o, run, lease) then return null; end if;
  return (select jsonb_build_object('conversation', r.conversation_id, 'user', r.user_id, 'request', coalesce(r.exact, r.asked), 'is_exact', r.exact is not null,
     'agent', r.agent, 'current_agent', r.current_agent, 'carry', r.carry, 'attempts', r.attempts, 'done', r.done, 'drafts', r.drafts, 'queued_at', r.queued_at,
     'tokens_in', r.tokens_in, 'tokens_out', r.tokens_out, 'summary', c.summary, 'summary_by', c.summary_by,
     'items', (select coalesce(jsonb_agg(jsonb_build_object('agent', i.agent, 'kind', i.kind, 'content', coalesce(i.exact, i.content), 'is_whole', i.exact is not null or i.redacted = '{}') order by i.position), '[]')
       from crm.conversation_items i where i.org_id = o and i.run_id = r.id),
     'before', (select coalesce(jsonb_agg(jsonb_build_object('run', i.run_id, 'agent', i.agent, 'kind', i.kind, 'content', i.content) order by i.position), '[]')
       from crm.conversation_items i where i.org_id = o and i.conversation_id = r.conversation_id and i.run_id < r.id and i.run_id > c.summarised),
     'runs', (select coalesce(jsonb_agg(jsonb_build_object('run', p.id, 'asked', p.asked, 'result', p.result, 'state', p.state, 'drafts', p.drafts) order by p.id), '[]')
       from crm.agent_runs p where p.org_id = o and p.conversation_id = r.conversation_id and p.id < r.id and p.id > c.summarised))
    from crm.agent_runs r join crm.conversations c on c.org_id = r.org_id and c.id = r.conversation_id where r.org_id = o and r.id = run);
end $f$;

-- Keeps the older part of a conversation in short, up to a run.
create function crm.keep_summary(run bigint, lease bytea, told text, teller text, upto bigint) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare o bigint := nullif(current_setting('crm.org_id', true), '')::bigint;
begin
  if not crm.holds_run(o, run, lease) then return false; end if;
  update crm.conversations c set summary = left(told, 20000), summary_by = teller, summarised = upto
    from crm.agent_runs r where r.org_id = o and r.id = run and c.org_id = o and c.id = r.conversation_id and c.summarised < upto;
  return true;
end $f$;

-- Cancels a run of the bound person: one that nobody is at ends now, another by the next step. Its state; null where there is none.
create function crm.cancel_run(run bigint, patience interval) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal := crm.bound(); r crm.agent_runs;
begin
  select * into r from crm.agent_runs x where x.org_id = b.org_id and x.user_id = b.user_id and x.id = run for update;
  if r.id is null or r.ended_at is not null then return r.state; end if;
  if r.state = 'running' and r.beat_at > clock_timestamp() - patience then
    update crm.agent_runs x set cancel_requested_at = coalesce(x.cancel_requested_at, clock_timestamp()) where x.org_id = b.org_id and x.id = run;
    return 'cancelling';
  end if;
  update crm.agent_runs x set cancel_requested_at = coalesce(x.cancel_requested_at, clock_timestamp()) where x.org_id = b.org_id and x.id = run;
  perform crm.close_run(b.org_id, run, 'cancelled', null, case when r.done > 0 then 'Cancelled after ' || r.done || ' finished steps.' else 'Cancelled before it began.' end);
  return 'cancelled';
end $f$;

-- Has a run of the bound person go on in the background: one that failed or was cancelled, or whose holder is gone. `resumed`, its state where it cannot,
-- STILL_RUNS where its conversation went on without it; null where there is none.
create function crm.resume_run(run bigint, patience interval) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal := crm.bound(); r crm.agent_runs; key bigint := nullif(split_part(current_setting('crm.token'), '.', 6), '')::bigint;
begin
  select * into r from crm.agent_runs x where x.org_id = b.org_id and x.user_id = b.user_id and x.id = run for update;
  if r.id is null then return null; end if;
  if r.state in ('queued', 'finished') or (r.state = 'running' and r.beat_at > clock_timestamp() - patience) then return r.state; end if;
  if exists (select from crm.agent_runs x where x.org_id = b.org_id and x.conversation_id = r.conversation_id and x.id > run) then return 'superseded'; end if;
  if b.agent is not null and r.agent is distinct from b.agent then return null; end if;
  update crm.agent_runs x set state = 'queued', is_background = true, lease = null, ended_at = null, next_attempt_at = null, cancel_requested_at = null,
     queued_at = clock_timestamp(), error = null, attempts = 0, message = 'To be taken up at step ' || x.done || '.', key_id = key, is_keyed = key is not null
   where x.org_id = b.org_id and x.id = run;
  perform crm.enqueue('run_agent', jsonb_build_object('org', b.org_id, 'run', run));
  return 'resumed';
end $f$;

-- How a run is shown; without its words to anybody but its person.
create function crm.run_shown(r crm.agent_runs, is_theirs boolean) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $f$
  select jsonb_strip_nulls(jsonb_build_object('run', r.id, 'conversation', r.conversation_id, 'state', r.state, 'agent', r.agent, 'currentAgent', r.current_agent,
    'background', r.is_background, 'cancelRequested', case when r.ended_at is null and r.cancel_requested_at is not null then true end,
    'attempts', r.attempts, 'createdAt', r.created_at, 'startedAt', r.started_at, 'endedAt', r.ended_at, 'nextAttemptAt', r.next_attempt_at, 'error', r.error,
    'tokensIn', r.tokens_in, 'tokensOut', r.tokens_out, 'cost', r.cost, 'beatAt', case when r.state = 'running' then r.beat_at end,
    'progress', jsonb_build_object('done', r.done, 'total', r.total, 'message', case when is_theirs then r.message end))
    || case when is_theirs then jsonb_build_object('asked', r.asked, 'result', r.result, 'drafts', r.drafts) else '{}' end) $f$;

-- The newest runs of the bound person, or the one with a number.
create function crm.my_runs(which bigint, most int) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal := crm.bound();
begin
  return (select coalesce(jsonb_agg(crm.run_shown(x, true) || jsonb_build_object('title', t.title) order by x.id desc), '[]')
    from (select r.* from crm.agent_runs r where r.org_id = b.org_id and r.user_id = b.user_id and (which is null or r.id = which) order by r.id desc limit most) x
    join crm.conversations t on t.org_id = x.org_id and t.id = x.conversation_id);
end $f$;

-- What was said in a run of the bound person, in order.
create function crm.my_run_items(run bigint) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal := crm.bound();
begin
  return (select coalesce(jsonb_agg(jsonb_build_object('position', i.position, 'agent', i.agent, 'kind', i.kind, 'content', i.content, 'at', i.at) order by i.position), '[]')
    from crm.conversation_items i join crm.agent_runs r on r.org_id = i.org_id and r.id = i.run_id
   where i.org_id = b.org_id and r.user_id = b.user_id and i.run_id = run);
end $f$;

-- State and cost of everybody's runs, for an administrator; not a word of them.
create function crm.org_runs(most int) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal := crm.bound();
begin
  if b.agent is not null or not exists (select from crm.memberships m where m.org_id = b.org_id and m.user_id = b.user_id and m.active and m.role = 'admin') then
    return null;
  end if;
  return (select coalesce(jsonb_agg(crm.run_shown(x, false) || jsonb_build_object('person', u.email) order by x.id desc), '[]')
    from (select r.* from crm.agent_runs r where r.org_id = b.org_id order by r.id desc limit most) x join crm.users u on u.id = x.user_id);
end $f$;

-- Ends what nobody will go on with: runs at a terminal whose holder is gone, and what waited for too long. How many.
create function crm.end_stalled_runs(patience interval, longest interval) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; r crm.agent_runs; n bigint := 0;
begin
  for r in select * from crm.agent_runs x where x.org_id = o and x.ended_at is null
      and ((not x.is_background and x.beat_at < clock_timestamp() - patience) or (x.state = 'waiting' and x.queued_at < clock_timestamp() - longest))
      for update skip locked loop
    perform crm.close_run(o, r.id, 'failed', case when r.state = 'waiting' then 'GAVE_UP' else 'INTERRUPTED' end,
      case when r.state = 'waiting' then 'It waited for too long.' else 'It ended in the middle; `crm-mcp agents runs resume` takes it up.' end);
    n := n + 1;
  end loop;
  return n;
end $f$;

-- Runs in the background that have been due for `patience`, or whose holder was silent for so long: their job may be lost.
create function crm.due_runs(patience interval) returns setof bigint
language sql volatile security definer set search_path = pg_catalog, pg_temp as $f$
  select r.id from crm.agent_runs r where r.org_id = nullif(current_setting('crm.org_id', true), '')::bigint and r.is_background and r.ended_at is null
    and case r.state when 'running' then r.beat_at else coalesce(r.next_attempt_at, r.queued_at) end < clock_timestamp() - patience order by r.id $f$;

-- Conversations that nobody has spoken in for as long as crm.retention says, with all that was said in them.
create function crm.forget_conversations(most int default 10000) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare
  o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; n bigint;
  before timestamptz := clock_timestamp() - (select r.kept from crm.retention r where r.what = 'conversations');
begin
  delete from crm.conversations c where c.org_id = o and c.id in (
    select x.id from crm.conversations x where x.org_id = o and x.active_at < before
      and not exists (select from crm.agent_runs r where r.org_id = o and r.conversation_id = x.id and r.ended_at is null)
    order by x.active_at limit most);
  get diagnostics n = row_count;
  return n;
end $f$;

-- Signs in whoever a run is for, as one of our agents: with the run's lease, for as long as it runs, by the rights of now, and while the key lives
-- by which it was asked for. So crm_agent alone signs nobody in, and crm_worker alone writes nothing.
create function crm.sign_in_run(org bigint, run bigint, lease bytea, wanted text) returns setof crm.signed_in
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare r crm.agent_runs; k crm.api_keys; address text; slug text; s crm.signed_in;
begin
  if wanted is null or wanted !~ '^[a-z]{1,30}$' then return; end if;
  select * into r from crm.agent_runs x where x.org_id = org and x.id = run and x.state = 'running' and x.lease = sha256(sign_in_run.lease);
  if r.id is null then return; end if;
  if r.is_keyed then
    select * into k from crm.api_keys a where a.id = r.key_id and a.revoked_at is null and a.expires_at > clock_timestamp();
    if k.id is null or (k.agent is not null and k.agent <> wanted) then return; end if;
  end if;
  select u.email_norm, o.slug into address, slug from crm.users u, crm.orgs o where u.id = r.user_id and o.id = org;
  select * into s from crm.sign_in_as(address, slug, wanted);
  if s.org_id is null then return; end if;
  s.token := crm.mint(s.org_id, s.user_id, s.agent, k.id);
  return next s;
end $f$;
