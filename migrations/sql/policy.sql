-- What a policy change needs, and what the guard lets run by an approved policy.

-- The policy of an org that has changed nothing; a test holds it equal to the program's own.
create function crm.policy_standard() returns jsonb language sql immutable set search_path = pg_catalog, pg_temp as $f$
  select '{"learning_mode": false, "hold_below_confidence": "0.85", "deny_agents_above": "50000", "approval_limit": "5000",
    "passkeys": "never", "solo": false,
    "run_tables": {"customers": "hold", "contacts": "hold", "issues": "hold", "notes": "run", "tasks": "run", "activities": "run",
      "preferences": "run"},
    "agents": {"triage": "normal", "customer": "normal", "order": "normal", "analytics": "normal", "support": "normal",
      "settings": "normal", "sales": "normal", "research": "normal"},
    "stage_moves": {"max_value": "10000", "pipelines": {}, "stages": {}}}'::jsonb $f$;

-- The document before an edition.
create function crm.policy_before(org bigint, edition int) returns jsonb language sql stable set search_path = pg_catalog, pg_temp as $f$
  select coalesce((select p.document from crm.policies p where p.org_id = org and p.edition < policy_before.edition order by p.edition desc limit 1),
    (select crm.policy_standard() || jsonb_build_object('solo', o.solo) from crm.orgs o where o.id = org)) $f$;

-- How free a setting's value leaves agents; the larger, the looser. Null: it has no order, and any change counts as loosening.
create function crm.policy_freedom(setting text, value jsonb) returns numeric language sql immutable set search_path = pg_catalog, pg_temp as $f$
  select case
    when setting = 'learning_mode' then case value when 'false' then 1 else 0 end
    when setting = 'solo' then case value when 'true' then 1 else 0 end
    when setting = 'hold_below_confidence' then -(value #>> '{}')::numeric
    when setting in ('deny_agents_above', 'approval_limit', 'stage_moves.max_value') then (value #>> '{}')::numeric
    when setting = 'passkeys' then case value when '"never"' then 2 when '"over_limit"' then 1 else 0 end
    when setting like 'run\_tables.%' then case value when '"run"' then 1 else 0 end
    when setting like 'agents.%' then case coalesce(value, '"normal"') when '"normal"' then 2 when '"hold"' then 1 else 0 end
    when setting like 'stage\_moves.pipelines.%' then case coalesce(value, '"normal"') when '"normal"' then 1 else 0 end
    when setting like 'stage\_moves.stages.%' then case coalesce(value, 'null') when 'true' then 2 when 'null' then 1 else 0 end
  end $f$;

create function crm.policy_settings(document jsonb) returns table(setting text, value jsonb) language sql immutable set search_path = pg_catalog, pg_temp as $f$
  with recursive part(path, value) as (
    select key, value from jsonb_each(document)
    union all select part.path || '.' || inner_part.key, inner_part.value from part, jsonb_each(part.value) inner_part where jsonb_typeof(part.value) = 'object')
  select path, value from part where jsonb_typeof(value) <> 'object' $f$;

-- The settings whose change lets more happen without a person, or with fewer.
create function crm.policy_loosened(before jsonb, after jsonb) returns text[] language sql immutable set search_path = pg_catalog, pg_temp as $f$
  select coalesce(array_agg(setting order by setting), '{}')
   from (select * from crm.policy_settings(before)) b(setting, old) full join (select * from crm.policy_settings(after)) a(setting, new) using (setting)
   where old is distinct from new
     and coalesce(crm.policy_freedom(setting, new) > crm.policy_freedom(setting, old), true) $f$;

-- Why somebody may not approve a change of the policy; null where they may. Whoever edits a draft is a drafter too.
create function crm.policy_objection(org bigint, edition int, document jsonb, approver bigint, drafters bigint[]) returns text
language sql stable set search_path = pg_catalog, pg_temp as $f$
  select case
    when not exists (select from crm.memberships m where m.org_id = org and m.user_id = approver and m.active and m.role = 'admin')
      then 'only an administrator may approve a change of the policy'
    when approver = any (drafters)
      and crm.policy_loosened(crm.policy_before(org, edition), document) <> '{}'
      and not (select o.solo from crm.orgs o where o.id = org)
      and (select count(*) from crm.memberships m where m.org_id = org and m.active) > 1
      then 'it loosens the policy, so another administrator than who proposed it must approve it'
  end $f$;

-- The tables an org may let run: where Postgres guards them, their guard rows follow.
create function crm.policy_tables() returns table(tbl text, is_guarded boolean) language sql immutable set search_path = pg_catalog, pg_temp as $f$
  values ('customers', true), ('contacts', true), ('issues', true),
    ('notes', false), ('tasks', false), ('activities', false), ('preferences', false) $f$;

-- Rows that belong to a record of such a table, and are let run with it.
create function crm.policy_parts() returns table(tbl text, part text) language sql immutable set search_path = pg_catalog, pg_temp as $f$
  values ('customers', 'customer_parties'), ('leads', 'jobs'), ('leads', 'opportunities'), ('leads', 'partnerships') $f$;

-- Beside crm.decide, and after it by name: it has settled who approves, and the effects are there already.
create function crm.decide_policy() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $f$
declare objection text;
begin
  select crm.policy_objection(new.org_id, (c.after ->> 'edition')::int, c.after -> 'document', new.approver, new.requester || new.editors) into objection
   from crm.changes c where c.org_id = new.org_id and c.draft_id = new.id and c.xact = pg_current_xact_id() and c.tbl = 'policies'
   order by 1 limit 1;
  if objection is not null then raise exception '%', objection using errcode = '42501'; end if;
  return new;
end $f$;
create trigger decide_policy before update of state on crm.drafts for each row when (new.state = 'approved' and old.state = 'pending')
  execute function crm.decide_policy();

-- A policy comes into force at the end of the transaction that approved it, and only so: what the guard lets run by it follows.
create function crm.apply_policy() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $f$
declare never text;
begin
  if session_user not in ('crm_approver', 'crm_owner') then raise exception 'a policy that nobody approved' using errcode = '42501'; end if;
  if new.edition <> 1 + coalesce((select max(p.edition) from crm.policies p where p.org_id = new.org_id and p.id <> new.id), 1) then
    raise exception 'not the next edition of the policy' using errcode = '23514';
  end if;
  select string_agg(t.key, ', ') into never from jsonb_each_text(new.document -> 'run_tables') t
   where t.value <> 'hold' and t.key not in (select p.tbl from crm.policy_tables() p);
  if never is not null then raise exception 'never without a person: %', never using errcode = '42501'; end if;
  delete from crm.free_writes f where f.org_id = new.org_id and f.tbl in (select p.tbl from crm.policy_tables() p where p.is_guarded union select p.part from crm.policy_parts() p);
  insert into crm.free_writes(org_id, tbl, op)
    select new.org_id, f.tbl, o.op from crm.policy_tables() p
     cross join lateral (select p.tbl union select x.part from crm.policy_parts() x where x.tbl = p.tbl) f(tbl), (values ('I'::"char"), ('U'::"char")) o(op)
     where p.is_guarded and new.document -> 'run_tables' ->> p.tbl = 'run';
  update crm.orgs o set solo = (new.document ->> 'solo')::boolean where o.id = new.org_id;
  return null;
end $f$;
create constraint trigger apply after insert on crm.policies deferrable initially deferred for each row execute function crm.apply_policy();
