-- The stamp as before; what it sets apart matters to an update alone.
create or replace function crm.stamp() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $f$
declare
  who bigint := nullif(current_setting('crm.user_id', true), '')::bigint;
  apart text[];
begin
  if tg_op = 'INSERT' then
    new.version := 1; new.created_at := clock_timestamp(); new.created_by := who;
  else
    apart := tg_argv[0]::text[] || array['version', 'created_at', 'created_by', 'updated_at', 'updated_by', 'via_agent'];
    new.version := old.version; new.created_at := old.created_at; new.created_by := old.created_by;
    new.updated_at := old.updated_at; new.updated_by := old.updated_by;
    if to_jsonb(new) - apart = to_jsonb(old) - apart then new.via_agent := old.via_agent; return new; end if;
    new.version := old.version + 1;
  end if;
  new.updated_at := clock_timestamp(); new.updated_by := who; new.via_agent := nullif(current_setting('crm.agent', true), '');
  return new;
end $f$;
