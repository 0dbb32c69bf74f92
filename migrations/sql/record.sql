-- What each call did, as Postgres saw it; the commit guard; drafts; the audit log.
create table crm.changes(
  org_id bigint not null, id bigint generated always as identity,
  call_id bigint not null, xact xid8 not null default pg_current_xact_id(), draft_id bigint,
  tbl text not null, key jsonb not null, op "char" not null check (op in ('I', 'U', 'D')), before jsonb, after jsonb,
  user_id bigint default nullif(current_setting('crm.user_id', true), '')::bigint,
  at timestamptz not null default clock_timestamp(),
  primary key (org_id, id));
create index changes_draft on crm.changes(org_id, draft_id) where draft_id is not null;
create index changes_call on crm.changes(org_id, call_id);
create index changes_record on crm.changes(org_id, tbl, ((key ->> 'id')::bigint));

create table crm.free_writes(
  org_id bigint not null, tbl text not null, op "char" not null check (op in ('I', 'U', 'D')), columns text[],
  primary key (org_id, tbl, op));
comment on table crm.free_writes is 'What may commit without a person: table × operation (× columns), org 0 for every org. All else needs an approved draft.';

create table crm.drafts(
  org_id bigint not null, id bigint generated always as identity, version int not null default 1,
  state text not null default 'pending'
    check (state in ('pending', 'approved', 'rejected', 'discarded', 'expired', 'stale', 'failed', 'superseded')),
  tool text not null, tool_version int not null, args text not null, args_key text not null, effects_key text not null,
  call_id bigint not null, requester bigint not null references crm.users, agent text, client text, reason text, confidence numeric,
  changes text not null, shown text not null, summary text not null, verdict text not null,
  amount numeric(19,4), subject text, policy_version int not null, clock timestamptz not null,
  created_at timestamptz not null default clock_timestamp(), expires_at timestamptz not null,
  decided_at timestamptz, approver bigint references crm.users, decided_call bigint, decision_reason text,
  executed_xact xid8, result text, rerun text, failures int not null default 0,
  editors bigint[] not null default '{}',   -- people, not agents, who edited it: whoever edits is a drafter too
  group_call bigint,   -- the call that asked for it and for others, each decided alone
  primary key (org_id, id));
create unique index drafts_joined on crm.drafts(org_id, requester, tool, args_key) where state = 'pending';
create index drafts_mine on crm.drafts(org_id, requester, id);
create index drafts_of_group on crm.drafts(org_id, group_call) where group_call is not null;
create index drafts_recent on crm.drafts(org_id, requester, subject, created_at);
create index drafts_decided on crm.drafts(org_id, requester, decided_at) where decided_at is not null;

-- One row of `changes` for each row that a call changed. Arguments: the logical table name, its derived columns.
create function crm.record() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp set timezone = 'UTC' set bytea_output = 'hex' set intervalstyle = 'iso_8601' set extra_float_digits = 1 as $f$
declare
  o pg_catalog.jsonb; n pg_catalog.jsonb;
  call pg_catalog.int8 := nullif(current_setting('crm.call_id', true), '')::pg_catalog.int8;
  draft pg_catalog.int8 := nullif(current_setting('crm.draft_id', true), '')::pg_catalog.int8;
  derived pg_catalog.text[] := tg_argv[1]::pg_catalog.text[];
  row_org pg_catalog.int8; row_id pg_catalog.int8;
begin
  if call is null then raise exception 'write outside a call' using errcode = '42501'; end if;
  if tg_op = 'DELETE' then row_org := old.org_id; row_id := old.id; else row_org := new.org_id; row_id := new.id; end if;
  if tg_op <> 'INSERT' then o := to_jsonb(old) - derived; end if;
  if tg_op <> 'DELETE' then n := to_jsonb(new) - derived; end if;
  if tg_op = 'UPDATE' then
    select jsonb_object_agg(key, value), jsonb_object_agg(key, n -> key) into o, n from jsonb_each(o) where value is distinct from n -> key;
    if o is null then return null; end if;
  end if;
  -- transaction ids restart after a dump and restore, so a spent draft must not match again by its id alone
  if draft is not null then   -- apart: an expression with subqueries has its price even where its first part decides
    if not exists (select from crm.free_writes f where f.org_id in (0, row_org) and f.tbl = tg_argv[0] and f.op = left(tg_op, 1)::pg_catalog."char"
                   and (f.columns is null or not exists (select from jsonb_object_keys(n) k
                        where k <> all (f.columns) and k not in ('version', 'updated_at', 'updated_by', 'via_agent'))))
       and not exists (select from crm.drafts d where d.org_id = row_org and d.id = draft and d.state = 'pending') then
      raise exception 'draft is not pending' using errcode = '42501';
    end if;
  end if;
  insert into crm.changes(org_id, call_id, draft_id, tbl, key, op, before, after)
  values (row_org, call, draft, tg_argv[0], jsonb_build_object('id', row_id), left(tg_op, 1)::pg_catalog."char", o, n);
  return null;
end $f$;

create function crm.guard() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $f$
begin
  if exists (select from crm.free_writes f where f.org_id in (0, new.org_id) and f.tbl = new.tbl and f.op = new.op
             and (f.columns is null or not exists (select from jsonb_object_keys(new.after) k
                  where k <> all (f.columns) and k not in ('version', 'updated_at', 'updated_by', 'via_agent')))) then
    return null;
  end if;
  if session_user = 'crm_approver' and new.xact = pg_current_xact_id() and exists (select from crm.drafts d
       where d.org_id = new.org_id and d.id = new.draft_id and d.state = 'approved' and d.executed_xact = new.xact and d.approver is not null) then
    return null;
  end if;
  raise exception 'unapproved % on %', new.op, new.tbl using errcode = '42501';
end $f$;
create constraint trigger guard after insert on crm.changes deferrable initially deferred for each row execute function crm.guard();

-- A draft is born pending, decided once, by somebody who may, in the transaction that executes it.
create function crm.decide() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal; m crm.memberships; spent numeric;
begin
  if tg_op = 'INSERT' then
    new.state := 'pending'; new.executed_xact := null; new.approver := null; new.decided_at := null;
    new.result := null; new.failures := 0; new.version := 1; new.created_at := clock_timestamp();
    return new;
  end if;
  if (new.org_id, new.id, new.tool, new.requester, new.agent, new.call_id)
     is distinct from (old.org_id, old.id, old.tool, old.requester, old.agent, old.call_id) then
    raise exception 'a held call does not change' using errcode = '42501';
  end if;
  -- whole, in a version of its own, by crm.revise
  if (new.version, new.args, new.clock, new.editors)
     is distinct from (old.version, old.args, old.clock, old.editors)
     and (current_user <> 'crm_definer' or new.version <> old.version + 1 or new.state <> 'pending') then
    raise exception 'a held call changes by an edit alone' using errcode = '42501';
  end if;
  if old.state <> 'pending' then raise exception 'draft % is %', old.id, old.state using errcode = '42501'; end if;
  if new.state = 'pending' then return new; end if;
  new.decided_at := clock_timestamp();
  new.executed_xact := null;
  if new.state in ('approved', 'rejected') then
    b := crm.bound();
    select * into m from crm.memberships where org_id = new.org_id and user_id = b.user_id and active;
    if session_user <> 'crm_approver' or b.org_id <> new.org_id or b.agent is not null or m.may_approve is distinct from true then
      raise exception 'not an approver' using errcode = '42501';
    end if;
    new.approver := b.user_id;
  end if;
  if new.state = 'approved' then
    if new.expires_at <= clock_timestamp() then raise exception 'draft % has expired', old.id using errcode = '42501'; end if;
    -- one approval at a time for a requester and a customer, else two at once would not see each other
    perform pg_advisory_xact_lock(hashtextextended(concat_ws('.', 'spent', new.org_id, new.requester, new.subject), 0));
    select coalesce(sum(greatest(amount, 0)), 0) into spent from crm.drafts d where d.org_id = new.org_id and d.requester = new.requester
       and d.subject = new.subject and d.state = 'approved' and d.decided_at > clock_timestamp() - interval '24 hours';
    -- whoever drafted it among them: what is above their own limit takes another person, since spent is never below zero
    if new.amount + spent > m.approval_limit then
      raise exception 'over the limit of the approver' using errcode = '42501';
    end if;
    new.executed_xact := pg_current_xact_id();
  end if;
  return new;
end $f$;
create trigger decide before insert or update on crm.drafts for each row execute function crm.decide();

create function crm.hold(held jsonb) returns table(draft bigint, joined boolean, expiry timestamptz)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal := crm.bound(); d crm.drafts; lifetime interval := interval '24 hours';
begin
  update crm.drafts x set state = 'expired' where x.org_id = b.org_id and x.requester = b.user_id and x.state = 'pending' and x.expires_at <= clock_timestamp();
  select * into d from crm.drafts x where x.org_id = b.org_id and x.requester = b.user_id and x.tool = held ->> 'tool'
     and x.args_key = held ->> 'args_key' and x.state = 'pending' for update;
  if d.id is not null then
    -- under a key of its own, a call is the same however it was edited since
    if d.effects_key = held ->> 'effects_key' or (d.version > 1 and (held ->> 'keyed')::boolean) then return query select d.id, true, d.expires_at; return; end if;
    update crm.drafts x set state = 'superseded', decision_reason = 'the same call would now do something else' where x.org_id = b.org_id and x.id = d.id;
  end if;
  return query insert into crm.drafts(org_id, tool, tool_version, args, args_key, effects_key, call_id, requester, agent, client, reason, confidence,
      changes, shown, summary, verdict, amount, subject, policy_version, clock, group_call, expires_at)
    values (b.org_id, held ->> 'tool', (held ->> 'tool_version')::int, held ->> 'args', held ->> 'args_key', held ->> 'effects_key',
      (held ->> 'call_id')::bigint, b.user_id, b.agent, held ->> 'client', held ->> 'reason', (held ->> 'confidence')::numeric,
      held ->> 'changes', held ->> 'shown', held ->> 'summary', held ->> 'verdict', (held ->> 'amount')::numeric, held ->> 'subject',
      (held ->> 'policy_version')::int, (held ->> 'clock')::timestamptz, (held ->> 'group_call')::bigint, clock_timestamp() + lifetime)
    returning drafts.id, false, drafts.expires_at;
end $f$;
create function crm.discard(draft bigint) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal := crm.bound(); done boolean;
begin
  update crm.drafts x set state = 'discarded', decision_reason = 'withdrawn by its requester'
   where x.org_id = b.org_id and x.id = draft and x.requester = b.user_id and x.state = 'pending' returning true into done;
  return coalesce(done, false);
end $f$;
create function crm.expire_drafts() returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare n bigint;
begin
  update crm.drafts x set state = 'expired' where x.org_id = nullif(current_setting('crm.org_id', true), '')::bigint
     and x.state = 'pending' and x.expires_at <= clock_timestamp();
  get diagnostics n = row_count;
  return n;
end $f$;

-- What a write that ran under an idempotency key answered, so that the same call again runs no second time.
create table crm.idempotency_keys(
  org_id bigint not null references crm.orgs on delete cascade, user_id bigint not null references crm.users,
  tool text not null, key text not null, asked text not null, call_id bigint not null, result text not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (org_id, user_id, tool, key));
create index idempotency_keys_age on crm.idempotency_keys(org_id, created_at);

-- What is older than crm.retention keeps it.
create function crm.forget_answers(most int default 10000) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; n bigint;
begin
  delete from crm.idempotency_keys k where k.org_id = o and (k.user_id, k.tool, k.key) in (
    select x.user_id, x.tool, x.key from crm.idempotency_keys x
     where x.org_id = o and x.created_at < clock_timestamp() - (select r.kept from crm.retention r where r.what = 'answers') order by x.created_at limit most);
  get diagnostics n = row_count;
  return n;
end $f$;

create table crm.audit_log(
  org_id bigint not null, id bigint generated always as identity, call_id bigint not null, parent_call bigint,
  phase text not null check (phase in ('begun', 'ended', 'refused')), at timestamptz not null,
  user_id bigint not null, agent text, client text, tool text not null, verdict text, outcome text, ms real, draft_id bigint,
  payload text, salt bytea not null, digest bytea not null,
  seq bigint, hash bytea,
  primary key (org_id, id));
create unique index audit_sealed on crm.audit_log(org_id, seq) where seq is not null;
create index audit_unsealed on crm.audit_log(org_id, id) where seq is null;
create index audit_call on crm.audit_log(org_id, call_id);
comment on column crm.audit_log.payload is 'Arguments or result as JSON text; may be blanked when a person is erased, since the chain covers its salted digest.';

create function crm.seal_on_arrival() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $f$
begin
  new.at := clock_timestamp(); new.seq := null; new.hash := null;
  new.salt := uuid_send(gen_random_uuid());
  new.digest := sha256(new.salt || convert_to(coalesce(new.payload, ''), 'UTF8'));
  return new;
end $f$;
create trigger arrival before insert on crm.audit_log for each row execute function crm.seal_on_arrival();

-- The link of one row in the chain: SHA-256 over the hash before it and every field but the payload.
create function crm.audit_link(previous bytea, r crm.audit_log) returns bytea language sql immutable set search_path = pg_catalog, pg_temp as $f$
  select sha256(previous || convert_to(jsonb_build_array(r.org_id, r.seq, r.id, r.call_id, r.parent_call, r.phase,
    extract(epoch from r.at)::text, r.user_id, r.agent, r.client, r.tool, r.verdict, r.outcome, r.ms::text, r.draft_id,
    encode(r.digest, 'hex'))::text, 'UTF8')) $f$;
create function crm.seal_audit(most int default 10000) returns table(sealed bigint, head bytea)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set extra_float_digits = 1 as $f$
declare o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; r crm.audit_log; n bigint := 0; s bigint; h bytea;
begin
  perform pg_advisory_xact_lock(726301000000000 + o);
  select a.seq, a.hash into s, h from crm.audit_log a where a.org_id = o and a.seq is not null order by a.seq desc limit 1;
  s := coalesce(s, 0); h := coalesce(h, sha256(convert_to('crm-mcp audit ' || o, 'UTF8')));
  for r in select * from crm.audit_log a where a.org_id = o and a.seq is null order by a.id limit most loop
    s := s + 1; r.seq := s; h := crm.audit_link(h, r);
    update crm.audit_log a set seq = s, hash = h where a.org_id = o and a.id = r.id;
    n := n + 1;
  end loop;
  return query select n, h;
end $f$;
create function crm.verify_audit(known_seq bigint, known_head bytea) returns table(problem text, seq bigint, id bigint)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set extra_float_digits = 1 as $f$
declare o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; r crm.audit_log; s bigint := 0;
  h bytea := sha256(convert_to('crm-mcp audit ' || o, 'UTF8'));
begin
  for r in select * from crm.audit_log a where a.org_id = o and a.seq is not null order by a.seq loop
    s := s + 1;
    if r.seq <> s then return query select 'rows are missing before this one', r.seq, r.id; s := r.seq; end if;
    if r.payload is not null and sha256(r.salt || convert_to(r.payload, 'UTF8')) <> r.digest then
      return query select 'the payload was edited', r.seq, r.id;
    end if;
    if crm.audit_link(h, r) is distinct from r.hash then return query select 'the row was edited or moved', r.seq, r.id; end if;
    h := r.hash;
    if r.seq = known_seq and r.hash is distinct from known_head then
      return query select 'the chain differs from the head that was kept outside', r.seq, r.id;
    end if;
  end loop;
  if known_seq > s then return query select 'the chain ends before the head that was kept outside', s, null::bigint; end if;
end $f$;

create table crm.reasoning(
  type text not null, table_name text not null, description text not null, schema_hint jsonb not null,
  roles text[] not null, aliases text[] not null default '{}',
  primary key (type, table_name));
comment on table crm.reasoning is 'The schema registry: what an agent may know of each table.';

-- `version` rises only when the row really differs, so that "nothing changed" can be said.
create function crm.stamp() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $f$
declare
  who bigint := nullif(current_setting('crm.user_id', true), '')::bigint;
  apart text[] := tg_argv[0]::text[] || array['version', 'created_at', 'created_by', 'updated_at', 'updated_by', 'via_agent'];
begin
  if tg_op = 'INSERT' then
    new.version := 1; new.created_at := clock_timestamp(); new.created_by := who;
  else
    new.version := old.version; new.created_at := old.created_at; new.created_by := old.created_by;
    new.updated_at := old.updated_at; new.updated_by := old.updated_by;
    if to_jsonb(new) - apart = to_jsonb(old) - apart then new.via_agent := old.via_agent; return new; end if;
    new.version := old.version + 1;
  end if;
  new.updated_at := clock_timestamp(); new.updated_by := who; new.via_agent := nullif(current_setting('crm.agent', true), '');
  return new;
end $f$;

-- Settles a lost COMMIT answer: whether a call's ended row arrived. The agent's login may not read the audit itself.
create function crm.call_ended(call bigint) returns boolean language sql stable security definer set search_path = pg_catalog, pg_temp as $f$
  select exists (select from crm.audit_log a where a.org_id = nullif(current_setting('crm.org_id', true), '')::bigint and a.call_id = call and a.phase = 'ended') $f$;
