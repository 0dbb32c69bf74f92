-- How many calls a principal may still make, whichever process serves them. Lost in a crash, and then full again.
create unlogged table crm.call_rates(
  org_id bigint not null references crm.orgs on delete cascade, user_id bigint not null references crm.users, agent text not null default '',
  remaining numeric not null, at timestamptz not null,
  primary key (org_id, user_id, agent));
comment on table crm.call_rates is 'Calls that a principal may still make: leased by serving processes a batch at a time, and refilled by the clock.';
comment on column crm.call_rates.remaining is 'At `at`; below zero where processes lent calls before they could ask.';

-- Takes up to `wanted` calls for a process, and the `used` ones that it lent before; says how many, and with none in how many seconds.
create function crm.lease_calls_at(org bigint, who bigint, acting text, used int, wanted int, per_minute int, now_at timestamptz)
 returns table(granted int, wait int) language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare r crm.call_rates; has numeric;
begin
  if org is distinct from nullif(current_setting('crm.org_id', true), '')::bigint then
    raise exception 'not the bound org' using errcode = '42501';
  end if;
  if used is null or wanted is null or per_minute is null or least(used, wanted) < 0 or per_minute < 1 then
    raise exception 'not a number of calls' using errcode = '22023';
  end if;
  insert into crm.call_rates(org_id, user_id, agent, remaining, at) values (org, who, acting, per_minute, now_at) on conflict do nothing;
  select * into r from crm.call_rates c where c.org_id = org and c.user_id = who and c.agent = acting for update;
  has := least(per_minute, r.remaining + greatest(0, extract(epoch from now_at - r.at)) * per_minute / 60) - used;
  granted := greatest(0, least(wanted, floor(has)));
  has := greatest(has - granted, -per_minute);
  update crm.call_rates c set remaining = has, at = greatest(r.at, now_at) where c.org_id = org and c.user_id = who and c.agent = acting;
  wait := case when granted > 0 then 0 else ceil((1 - has) * 60 / per_minute) end;
  return next;
end $f$;
create function crm.lease_calls(org bigint, who bigint, acting text, used int, wanted int, per_minute int)
 returns table(granted int, wait int) language sql volatile security definer set search_path = pg_catalog, pg_temp as $f$
  select * from crm.lease_calls_at(org, who, acting, used, wanted, per_minute, clock_timestamp()) $f$;
