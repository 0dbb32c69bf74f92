-- What an administrator runs once, as a superuser, before crm-mcp may use a database. The embedded launcher
-- runs it too; `crm-mcp doctor --admin-sql` prints it with passwords to fill in. Running it again is harmless.
do $$
declare r text;
begin
  foreach r in array array['crm_owner', 'crm_agent', 'crm_worker', 'crm_approver', 'crm_query'] loop
    if not exists (select from pg_roles where rolname = r) then execute format('create role %I login', r); end if;
  end loop;
  foreach r in array array['crm_definer', 'crm_signin'] loop
    if not exists (select from pg_roles where rolname = r) then execute format('create role %I nologin', r); end if;
  end loop;
end $$;
alter role crm_owner bypassrls;          -- migrations and restores only; nobody serves with it
alter role crm_signin bypassrls;         -- owns sign-in alone: it reads memberships before an org is known
alter role crm_definer nobypassrls;
grant crm_definer, crm_signin to crm_owner with inherit false, set true;
