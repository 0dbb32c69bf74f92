-- Free-form SQL: what binds the login crm_query to one org, and stops a row that is too large to be handed on.

-- `query.org.user.backend pid.expiry.mac`: names the org and the person of one connection of crm_query for a minute. The
-- agent's login asks for it, which reads any org that it names; the first word keeps it from being taken for a principal's.
create function crm.mint_query(backend int, who bigint) returns text language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare
  body text := concat_ws('.', 'query', nullif(current_setting('crm.org_id', true), '')::bigint, who, backend,
    extract(epoch from clock_timestamp() + interval '1 minute')::bigint);
begin
  if nullif(current_setting('crm.org_id', true), '') is null then raise exception 'no org is bound' using errcode = '28000'; end if;
  return body || '.' || crm.sign(body);
end $f$;

create type crm.bound_query as (org_id bigint, user_id bigint);
create function crm.query_bound() returns crm.bound_query language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $f$
declare t text[] := string_to_array(current_setting('crm.query_token', true), '.'); b crm.bound_query;
begin
  if t is null or cardinality(t) <> 6 or t[1] <> 'query'
     or crm.sign(concat_ws('.', t[1], t[2], t[3], t[4], t[5])) is distinct from t[6]
     or t[4]::int <> pg_backend_pid() or t[5]::bigint < extract(epoch from clock_timestamp()) then
    raise exception 'no query is bound' using errcode = '28000';
  end if;
  b.org_id := t[2]::bigint; b.user_id := t[3]::bigint;
  return b;
end $f$;
create function crm.query_org() returns bigint language sql stable security definer set search_path = pg_catalog, pg_temp as $f$
  select (crm.query_bound()).org_id $f$;
create function crm.query_user() returns bigint language sql stable security definer set search_path = pg_catalog, pg_temp as $f$
  select (crm.query_bound()).user_id $f$;

-- Stops a result at a row too large to be handed to a client.
create function query.row_fits(size int) returns boolean language plpgsql immutable set search_path = pg_catalog, pg_temp as $f$
begin
  if size > 262144 then raise exception 'a row of the result is too large' using errcode = 'CRM20'; end if;
  return true;
end $f$;
