-- The second half of the administrator's part, run inside the database itself.
create extension if not exists vector;   -- not a trusted extension, so the owner of a database may not create it
create extension if not exists pg_trgm;
create extension if not exists unaccent;
create extension if not exists fuzzystrmatch;
create extension if not exists btree_gin;
revoke create on schema public from public;
do $$ begin
  execute format('revoke temp, create on database %I from public', current_database());   -- no pg_temp to shadow types with
  execute format('grant create, connect on database %I to crm_owner', current_database());
  execute format('alter role crm_owner in database %I set search_path = crm, public', current_database());
  execute format('alter role crm_agent in database %I set search_path = crm, public', current_database());
  execute format('alter role crm_worker in database %I set search_path = crm, public', current_database());
  execute format('alter role crm_approver in database %I set search_path = crm, public', current_database());
  execute format('alter role crm_query in database %I set search_path = crm, public', current_database());
  execute format('alter role crm_agent in database %I set lock_timeout = ''500ms''', current_database());
  execute format('alter role crm_agent in database %I set statement_timeout = ''15s''', current_database());
  execute format('alter role crm_agent in database %I set idle_in_transaction_session_timeout = ''30s''', current_database());
  -- free-form SQL: read only, and bounded in time, memory and disk whatever it says
  execute format('alter role crm_query in database %I set default_transaction_read_only = on', current_database());
  execute format('alter role crm_query in database %I set statement_timeout = ''10s''', current_database());
  execute format('alter role crm_query in database %I set lock_timeout = ''500ms''', current_database());
  execute format('alter role crm_query in database %I set idle_in_transaction_session_timeout = ''15s''', current_database());
  execute format('alter role crm_query in database %I set temp_file_limit = ''128MB''', current_database());
  execute format('alter role crm_query in database %I set work_mem = ''16MB''', current_database());
  execute format('alter role crm_query in database %I set max_parallel_workers_per_gather = 0', current_database());
  execute format('alter role crm_query in database %I set jit = off', current_database());
  execute format('alter role crm_worker in database %I set lock_timeout = ''500ms''', current_database());
  execute format('alter role crm_approver in database %I set lock_timeout = ''5s''', current_database());
  execute format('alter role crm_approver in database %I set idle_in_transaction_session_timeout = ''60s''', current_database());
end $$;
-- What a query never needs is not for everybody in this database: signalling and watching other sessions, locks, waiting,
-- telling others, dynamic SQL. So crm_query is without it, whatever statement it is given; every other login keeps it.
do $$ declare f text; begin
  for f in select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'pg_catalog'::regnamespace and (p.proname = any (array[
      'pg_terminate_backend', 'pg_cancel_backend', 'pg_sleep', 'pg_sleep_for', 'pg_sleep_until', 'pg_notify', 'pg_export_snapshot',
      'pg_logical_emit_message', 'pg_stat_get_activity', 'pg_stat_get_backend_activity', 'pg_stat_get_backend_activity_start',
      'pg_stat_get_backend_client_addr', 'pg_lock_status', 'pg_current_xact_id', 'txid_current', 'query_to_xml', 'query_to_xmlschema',
      'query_to_xml_and_xmlschema', 'cursor_to_xml', 'cursor_to_xmlschema', 'ts_stat', 'lo_creat', 'lo_create', 'lo_from_bytea',
      'lo_open', 'lo_put', 'lo_unlink', 'lowrite']) or p.proname ~ '^pg_(try_)?advisory_|^(table|schema|database)_to_xml'
      or p.proname = 'ts_rewrite' and p.pronargs = 2)
  loop
    execute format('revoke execute on function %s from public', f);
    execute format('grant execute on function %s to crm_owner, crm_agent, crm_worker, crm_approver, crm_definer, crm_signin, pg_monitor', f);
  end loop;
end $$;
