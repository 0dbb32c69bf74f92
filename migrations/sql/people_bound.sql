-- As crm_definer: a token that was minted for a key binds only while that key lives.
create or replace function crm.bound() returns crm.bound_principal language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $f$
declare t text[] := string_to_array(current_setting('crm.token', true), '.'); b crm.bound_principal;
begin
  if t is null or cardinality(t) <> 7
     or crm.sign(concat_ws('.', t[1], t[2], t[3], t[4], t[5], t[6])) is distinct from t[7]
     or t[4]::int <> pg_backend_pid() or t[5]::bigint < extract(epoch from clock_timestamp())
     or t[1]::bigint is distinct from nullif(current_setting('crm.org_id', true), '')::bigint then
    raise exception 'no principal is bound' using errcode = '28000';
  end if;
  if t[6] <> '' then
    if not exists (select from crm.api_keys k where k.id = t[6]::bigint and k.revoked_at is null and k.expires_at > clock_timestamp()) then
      raise exception 'no principal is bound' using errcode = '28000';
    end if;
  end if;
  b.org_id := t[1]::bigint; b.user_id := t[2]::bigint; b.agent := nullif(t[3], '');
  return b;
end $f$;
