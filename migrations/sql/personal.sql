-- As crm_signin: a session of the approvals page shows times in the person's own zone, where they set one.
create or replace function crm.resume(session bytea) returns setof crm.signed_in
language sql volatile security definer set search_path = pg_catalog, pg_temp as $f$
  select o.id, o.slug, o.name, o.base_currency, coalesce(p.timezone, o.timezone), u.id, u.name, u.email, null::text, m.role, m.may_approve,
         m.approval_limit, m.may_send_email, m.version, crm.mint(o.id, u.id, null), s.revision, s.oldest_client
  from crm.web_sessions w join crm.users u on u.id = w.user_id
  join crm.memberships m on m.user_id = u.id and m.org_id = w.org_id and m.active join crm.orgs o on o.id = m.org_id
  left join crm.personal_settings p on p.org_id = m.org_id and p.user_id = m.user_id and p.archived_at is null, crm.schema_state s
  where w.digest = session and w.expires_at > clock_timestamp() $f$;
