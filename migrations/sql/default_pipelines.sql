-- The pipelines an org begins with. The owner alone calls this; once the org has any pipeline it does nothing.
create function crm.default_pipelines(beginner bigint) returns void language plpgsql set search_path = pg_catalog, pg_temp as $f$
declare way jsonb; made bigint;
begin
  if exists (select from crm.pipelines p where p.org_id = beginner) then return; end if;
  perform set_config('crm.org_id', beginner::text, true);
  -- a call of its own, as the server makes their ids: of time and chance
  perform set_config('crm.call_id', (((extract(epoch from clock_timestamp()) * 1000)::bigint << 21) | floor(random() * 2097152)::bigint)::text, true);
  insert into crm.free_writes(org_id, tbl, op, columns) values (beginner, 'pipelines', 'I', null), (beginner, 'pipeline_stages', 'I', null);
  for way in select * from jsonb_array_elements('[
   {"name": "Sales", "kind": "sales", "description": "From the first interest to the signed order.", "assistant": "sales", "stages": [
     {"name": "Lead", "probability": 10, "max_days": 14, "automation": true, "exit_criteria": [{"name": "company_identified"}]},
     {"name": "Qualified", "probability": 25, "max_days": 14, "automation": true,
      "exit_criteria": [{"name": "has_budget_confirmed"}, {"name": "has_decision_maker_contact"}, {"name": "timeline_defined"}],
      "required_fields": ["value"]},
     {"name": "Demo", "probability": 45, "max_days": 21, "automation": true, "exit_criteria": [{"name": "demo_held"}]},
     {"name": "Proposal", "probability": 65, "max_days": 21, "exit_criteria": [{"name": "terms_agreed"}]},
     {"name": "Customer", "kind": "won", "probability": 100}, {"name": "Lost", "kind": "lost", "probability": 0}]},
   {"name": "Support", "kind": "support", "description": "From the request to its solution.", "assistant": "support", "stages": [
     {"name": "New", "max_days": 1, "automation": true}, {"name": "Triaged", "max_days": 2, "automation": true},
     {"name": "In Progress", "max_days": 10, "automation": true},
     {"name": "Resolved", "kind": "won", "probability": 100}, {"name": "Cancelled", "kind": "lost", "probability": 0}]},
   {"name": "Onboarding", "kind": "onboarding", "description": "From the contract to everyday use.", "stages": [
     {"name": "Kick-off", "max_days": 7, "automation": true}, {"name": "Setup", "max_days": 21, "automation": true},
     {"name": "Training", "max_days": 14, "automation": true},
     {"name": "Live", "kind": "won", "probability": 100}, {"name": "Stopped", "kind": "lost", "probability": 0}]},
   {"name": "Partner", "kind": "partner", "description": "From the application to a partner at work.", "stages": [
     {"name": "Application", "max_days": 14, "automation": true, "exit_criteria": [{"name": "application_reviewed"}]},
     {"name": "Review", "max_days": 30, "exit_criteria": [{"name": "contract_signed"}]}, {"name": "Training", "max_days": 30},
     {"name": "Active", "kind": "won", "probability": 100}, {"name": "Declined", "kind": "lost", "probability": 0}]}]')
  loop
    insert into crm.pipelines(org_id, name, kind, description, is_default, assistant)
    values (beginner, way ->> 'name', way ->> 'kind', way ->> 'description', true, way ->> 'assistant') returning id into made;
    insert into crm.pipeline_stages(org_id, pipeline_id, name, position, kind, probability, max_days, exit_criteria, required_fields, automation)
    select beginner, made, s ->> 'name', n, coalesce(s ->> 'kind', 'active'), (s ->> 'probability')::numeric, (s ->> 'max_days')::int,
      coalesce(s -> 'exit_criteria', '[]'), coalesce(s -> 'required_fields', '[]'), coalesce((s ->> 'automation')::boolean, false)
    from jsonb_array_elements(way -> 'stages') with ordinality as x(s, n) order by n;
  end loop;
  set constraints all immediate;   -- the guard judges them now, while these tables are free to this org
  delete from crm.free_writes f where f.org_id = beginner and f.tbl in ('pipelines', 'pipeline_stages') and f.op = 'I';
end $f$;
revoke execute on function crm.default_pipelines(bigint) from public;
select crm.default_pipelines(o.id) from crm.orgs o order by o.id;
