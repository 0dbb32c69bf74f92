-- The audit searched by people: one row of the index a call, whichever of its rows came first.
create index audit_person on crm.audit_log(org_id, user_id, call_id) where phase <> 'ended';
create index audit_tool on crm.audit_log(org_id, tool, call_id) where phase <> 'ended';
create index audit_agent on crm.audit_log(org_id, agent, call_id) where phase <> 'ended' and agent is not null;
create index audit_verdict on crm.audit_log(org_id, verdict, call_id) where phase <> 'begun' and verdict <> 'run';
create index audit_draft on crm.audit_log(org_id, draft_id) where draft_id is not null;
-- The history, and what was asked to be undone.
create index drafts_past on crm.drafts(org_id, (coalesce(decided_at, expires_at)), id);
create index drafts_undoing on crm.drafts(org_id, id) where tool = 'undo_change';

-- Which calls changed a record. Under RLS the index by record would not be used; so a definer names the org itself.
create policy traced on crm.changes for select to crm_definer using (true);
create function crm.calls_on(record_table text, record bigint) returns setof bigint
language sql stable security definer set search_path = pg_catalog, pg_temp as $f$
  select distinct c.call_id from crm.changes c where c.org_id = (crm.bound()).org_id and c.tbl = record_table and (c.key ->> 'id')::bigint = record
   order by c.call_id desc limit 1000 $f$;
