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
