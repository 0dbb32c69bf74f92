-- The recorder as before, asking its questions in the order of their price.
create or replace function crm.record() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp set timezone = 'UTC' set bytea_output = 'hex' set intervalstyle = 'iso_8601' set extra_float_digits = 1 as $f$
declare
  o pg_catalog.jsonb; n pg_catalog.jsonb;
  call pg_catalog.int8 := nullif(current_setting('crm.call_id', true), '')::pg_catalog.int8;
  draft pg_catalog.int8 := nullif(current_setting('crm.draft_id', true), '')::pg_catalog.int8;
  derived pg_catalog.text[] := tg_argv[1]::pg_catalog.text[];
  row_org pg_catalog.int8; row_id pg_catalog.int8;
begin
  if call is null then raise exception 'write outside a call' using errcode = '42501'; end if;
  if tg_op = 'DELETE' then row_org := old.org_id; row_id := old.id; else row_org := new.org_id; row_id := new.id; end if;
  if tg_op <> 'INSERT' then o := to_jsonb(old) - derived; end if;
  if tg_op <> 'DELETE' then n := to_jsonb(new) - derived; end if;
  if tg_op = 'UPDATE' then
    select jsonb_object_agg(key, value), jsonb_object_agg(key, n -> key) into o, n from jsonb_each(o) where value is distinct from n -> key;
    if o is null then return null; end if;
  end if;
  -- transaction ids restart after a dump and restore, so a spent draft must not match again by its id alone
  if draft is not null then   -- a pending draft is asked for first: nearly every row has one, and it is found by its key
    if not exists (select from crm.drafts d where d.org_id = row_org and d.id = draft and d.state = 'pending') then
      if not exists (select from crm.free_writes f where f.org_id in (0, row_org) and f.tbl = tg_argv[0] and f.op = left(tg_op, 1)::pg_catalog."char"
                     and (f.columns is null or not exists (select from jsonb_object_keys(n) k
                          where k <> all (f.columns) and k not in ('version', 'updated_at', 'updated_by', 'via_agent')))) then
        raise exception 'draft is not pending' using errcode = '42501';
      end if;
    end if;
  end if;
  insert into crm.changes(org_id, call_id, draft_id, tbl, key, op, before, after)
  values (row_org, call, draft, tg_argv[0], jsonb_build_object('id', row_id), left(tg_op, 1)::pg_catalog."char", o, n);
  return null;
end $f$;
