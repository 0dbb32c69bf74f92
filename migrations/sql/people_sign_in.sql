-- As crm_signin: signing in by a key, and by a link or an invitation, which is taken up with it.
create or replace function crm.sign_in_key(key_digest bytea, wanted text) returns setof crm.signed_in
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare k crm.api_keys; email text; slug text; s crm.signed_in;
begin
  select * into k from crm.api_keys a where a.digest = sha256(key_digest) and a.revoked_at is null and a.expires_at > clock_timestamp();
  if k.id is null or (k.agent is not null and wanted is not null and k.agent <> wanted) then return; end if;
  if wanted is not null and wanted !~ '^[a-z]{1,30}$' then return; end if;
  select u.email_norm, o.slug into email, slug from crm.users u, crm.orgs o where u.id = k.user_id and o.id = k.org_id;
  select * into s from crm.sign_in_as(email, slug, coalesce(k.agent, wanted));
  if s.org_id is null then return; end if;
  s.token := crm.mint(s.org_id, s.user_id, s.agent, k.id);
  -- at most once a minute, and nobody waits for it
  update crm.api_keys a set last_used_at = clock_timestamp() where a.id = (select x.id from crm.api_keys x
    where x.id = k.id and (x.last_used_at is null or x.last_used_at < clock_timestamp() - interval '1 minute') for update skip locked);
  return next s;
end $f$;
create or replace function crm.use_login_link(link bytea, session bytea) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare o bigint; who bigint;
begin
  update crm.login_links set used_at = clock_timestamp()
   where login_links.digest = link and used_at is null and expires_at > clock_timestamp() returning org_id, user_id into o, who;
  if o is null then
    update crm.invitations set used_at = clock_timestamp()
     where invitations.digest = link and used_at is null and ended_at is null and expires_at > clock_timestamp() returning org_id, user_id into o, who;
    if o is null then return false; end if;
    update crm.memberships m set active = true where m.org_id = o and m.user_id = who;
  end if;
  insert into crm.web_sessions(digest, org_id, user_id, expires_at) values (session, o, who, clock_timestamp() + interval '12 hours');
  return true;
end $f$;
