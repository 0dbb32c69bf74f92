-- A held call with other arguments stays the same draft in a new version: what it was is kept, and who edited it.
create table crm.draft_versions(
  org_id bigint not null, draft_id bigint not null, version int not null,
  args text not null, shown text not null, summary text not null, amount numeric(19,4),
  edited_by bigint not null references crm.users, agent text, reason text not null,
  call_id bigint not null, edited_at timestamptz not null default clock_timestamp(),
  primary key (org_id, draft_id, version),
  foreign key (org_id, draft_id) references crm.drafts on delete cascade);
comment on table crm.draft_versions is 'What a draft was before each edit, by the version that the edit ended.';

-- No row: it is decided, expired, in another version than was seen, or not this principal's to edit.
create function crm.revise(draft bigint, held jsonb) returns table(revised int, expiry timestamptz)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal := crm.bound(); d crm.drafts;
begin
  select * into d from crm.drafts x where x.org_id = b.org_id and x.id = draft for update;
  if d.id is null or d.state <> 'pending' or d.expires_at <= clock_timestamp() or d.version <> (held ->> 'version')::int then return; end if;
  if d.requester = b.user_id then
    if b.agent is distinct from d.agent and b.agent is not null then return; end if;
  elsif session_user <> 'crm_approver' or b.agent is not null or not exists (
      select from crm.memberships m where m.org_id = b.org_id and m.user_id = b.user_id and m.active and m.may_approve) then
    return;
  end if;
  insert into crm.draft_versions(org_id, draft_id, version, args, shown, summary, amount, edited_by, agent, reason, call_id)
    values (d.org_id, d.id, d.version, d.args, d.shown, d.summary, d.amount, b.user_id, b.agent, held ->> 'why', (held ->> 'call_id')::bigint);
  return query update crm.drafts x set version = x.version + 1, args = held ->> 'args', args_key = held ->> 'args_key',
      effects_key = held ->> 'effects_key', tool_version = (held ->> 'tool_version')::int, changes = held ->> 'changes', shown = held ->> 'shown',
      summary = held ->> 'summary', verdict = held ->> 'verdict', amount = (held ->> 'amount')::numeric, subject = held ->> 'subject',
      policy_version = (held ->> 'policy_version')::int, clock = (held ->> 'clock')::timestamptz, failures = 0,
      expires_at = clock_timestamp() + interval '24 hours',
      editors = case when b.agent is null and b.user_id <> all (x.editors) then x.editors || b.user_id else x.editors end
    where x.org_id = d.org_id and x.id = d.id returning x.version, x.expires_at;
end $f$;

-- News for whoever listens: which draft of which org was made, edited or decided. Ids alone, since any login may listen.
create function crm.tell() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $f$
begin perform pg_notify('crm_drafts', new.org_id || '.' || new.id); return null; end $f$;
create trigger tell_new after insert on crm.drafts for each row execute function crm.tell();
create trigger tell after update on crm.drafts for each row
  when (old.state is distinct from new.state or old.version is distinct from new.version) execute function crm.tell();
