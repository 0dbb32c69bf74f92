-- Notices of runs that are over, beside those of drafts.
alter table crm.notices alter column draft_id drop not null, alter column draft_version drop not null,
  add column run_id bigint, add column run_ended_at timestamptz,
  add foreign key (org_id, run_id) references crm.agent_runs on delete cascade,
  drop constraint notices_occasion_check, add constraint notices_occasion_check check (occasion in ('waiting', 'revised', 'reminder', 'decided', 'run')),
  drop constraint notices_org_id_draft_id_occasion_channel_person_key,
  add constraint notices_once unique nulls not distinct (org_id, draft_id, run_id, run_ended_at, occasion, channel, person),
  add check ((draft_id is null) = (occasion = 'run')), add check ((run_id is null) = (draft_id is not null)),
  add check ((draft_version is null) = (draft_id is null)), add check ((run_ended_at is null) = (run_id is null));
comment on column crm.notices.run_id is 'The run that is over, where it is told of one.';
comment on column crm.notices.run_ended_at is 'When it ended: a run that was taken up again ends twice, and is told of twice.';

-- Runs in the background that ended in the last hour and that nobody was told of; or the one that a notice is about, as it is now.
create function crm.ended_runs(which bigint) returns table(run bigint, person bigint, state text, agent text, ended_at timestamptz, waiting int)
language sql volatile security definer set search_path = pg_catalog, pg_temp as $f$
  select r.id, r.user_id, r.state, r.current_agent, r.ended_at, jsonb_array_length(r.drafts) from crm.agent_runs r
   where r.org_id = nullif(current_setting('crm.org_id', true), '')::bigint and r.ended_at is not null
     and (r.id = which or which is null and r.is_background and r.state in ('finished', 'failed') and r.ended_at > clock_timestamp() - interval '1 hour'
       and not exists (select from crm.notices n where n.org_id = r.org_id and n.run_id = r.id and n.run_ended_at = r.ended_at))
   order by r.id $f$;

set role crm_definer;
-- Posts what is new among notices of the bound org, of drafts or of runs, with one job for each message of them.
create or replace function crm.post_notices(posted jsonb) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; messages bigint[]; one bigint;
begin
  with made as (insert into crm.notices(org_id, message, draft_id, draft_version, run_id, run_ended_at, person, channel, occasion, to_admins)
      select o, x.message, x.draft, x.version, x.run, x.ended_at, x.person, x.channel, x.occasion, coalesce(x.to_admins, false)
        from jsonb_to_recordset(posted) x(message bigint, draft bigint, version int, run bigint, ended_at timestamptz, person bigint, channel text, occasion text, to_admins boolean)
      on conflict do nothing returning message)
    select coalesce(array_agg(distinct m.message), '{}') into messages from made m;
  foreach one in array messages loop
    perform crm.enqueue('send_notice', jsonb_build_object('org', o, 'message', one));
  end loop;
  return cardinality(messages);
end $f$;
reset role;
