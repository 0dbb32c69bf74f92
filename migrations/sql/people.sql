-- People and their keys: invitations, keys that end where they are used, and the record of who was given what.
alter table crm.api_keys add column last_used_at timestamptz;
create index api_keys_of on crm.api_keys(org_id, user_id);

-- An invited person is a member who is not active yet; their one-time link makes them active and signs them in.
create table crm.invitations(
  digest bytea primary key, org_id bigint not null references crm.orgs on delete cascade,
  user_id bigint not null references crm.users on delete cascade,
  created_at timestamptz not null default now(), expires_at timestamptz not null, used_at timestamptz, ended_at timestamptz,
  foreign key (org_id, user_id) references crm.memberships(org_id, user_id) on delete cascade);
create index invitations_of on crm.invitations(org_id, user_id);

-- What has no recorder of changes is recorded here. No key to orgs: what was given outlives the org.
create table crm.access_log(
  org_id bigint not null, id bigint generated always as identity, at timestamptz not null default clock_timestamp(),
  login text not null default session_user, what text not null, person bigint, record bigint, before jsonb, after jsonb,
  primary key (org_id, id));
create function crm.keep_access_log() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $f$
begin raise exception 'the record of access does not change' using errcode = '42501'; end $f$;
create trigger kept before update or delete or truncate on crm.access_log for each statement execute function crm.keep_access_log();

-- Arguments: what a row is called, and the column that holds its org.
create function crm.record_access() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $f$
declare
  apart text[] := array['digest', 'last_used_at', 'version', 'created_at', 'credential', 'public_key', 'sign_count', 'handle', 'transports'];
  o jsonb; n jsonb; here jsonb; done text := case tg_op when 'INSERT' then 'made' when 'UPDATE' then 'changed' else 'removed' end;
begin
  if tg_op <> 'INSERT' then here := to_jsonb(old); o := here - apart; end if;
  if tg_op <> 'DELETE' then here := to_jsonb(new); n := here - apart; end if;
  if tg_op = 'UPDATE' then
    select jsonb_object_agg(key, value), jsonb_object_agg(key, n -> key) into o, n from jsonb_each(o) where value is distinct from n -> key;
    if o is null then return null; end if;
  end if;
  insert into crm.access_log(org_id, what, person, record, before, after)
  values ((here ->> tg_argv[1])::bigint, tg_argv[0] || ' ' || done, (here ->> 'user_id')::bigint, (here ->> 'id')::bigint, o, n);
  return null;
end $f$;
create trigger record_access after insert or update or delete on crm.orgs for each row execute function crm.record_access('org', 'id');
create trigger record_access after insert or update or delete on crm.memberships for each row execute function crm.record_access('membership', 'org_id');
create trigger record_access after insert or update or delete on crm.api_keys for each row execute function crm.record_access('key', 'org_id');
create trigger record_access after insert or update on crm.invitations for each row execute function crm.record_access('invitation', 'org_id');
create trigger record_end after delete on crm.invitations for each row
  when (old.used_at is null and old.ended_at is null and old.expires_at > clock_timestamp())
  execute function crm.record_access('invitation', 'org_id');
-- Signing in and out of the page; a session that ran out by itself was ended by nobody.
create trigger record_access after insert on crm.web_sessions for each row execute function crm.record_access('session', 'org_id');
create trigger record_end after delete on crm.web_sessions for each row when (old.expires_at > clock_timestamp())
  execute function crm.record_access('session', 'org_id');

-- A token names the key it was minted for, if any: `org.user.agent.backend pid.expiry.key.mac`.
drop function crm.mint(bigint, bigint, text);
create function crm.mint(org bigint, who bigint, agent text, key bigint default null) returns text
language sql volatile set search_path = pg_catalog, pg_temp as $f$
  select body || '.' || crm.sign(body) from (select concat_ws('.', org, who, coalesce(agent, ''), pg_backend_pid(),
    extract(epoch from clock_timestamp() + interval '1 hour')::bigint, coalesce(key::text, '')) as body) x $f$;
-- Whether the key that a running client came with is still good: asked with every call, by who may not read the keys.
create function crm.key_lives(key_digest bytea) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $f$
begin
  return exists (select from crm.api_keys a where a.digest = sha256(key_digest) and a.revoked_at is null and a.expires_at > clock_timestamp());
end $f$;

-- One link for each org that an address is an active member of, good for a quarter of an hour: mail takes its time.
create function crm.mail_login_links(who text, digests bytea[]) returns table(org_id bigint, org_name text, address text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
begin
  return query with mine as (
    select o.id, o.name, u.id as whose, u.email, row_number() over (order by o.id) as place
    from crm.users u join crm.memberships m on m.user_id = u.id and m.active join crm.orgs o on o.id = m.org_id
    where u.email_norm = lower(who) order by o.id limit cardinality(digests)),
  made as (
    insert into crm.login_links(digest, org_id, user_id, expires_at)
    select digests[x.place], x.id, x.whose, clock_timestamp() + interval '15 minutes' from mine x)
  select x.id, x.name, x.email from mine x order by x.place;
end $f$;
