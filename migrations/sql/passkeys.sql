-- Passkeys, what they were asked to sign, and what they signed. Postgres cannot check the signatures themselves: the
-- approver's program does, and `crm-mcp audit signatures --verify` does again. All else is held here.

-- A passkey belongs to a person in one org: who signs in by it is in no doubt about the org, an org's administrator
-- revokes nothing of another's, and an org moves whole.
create table crm.passkeys(
  org_id bigint not null references crm.orgs on delete cascade, id bigint generated always as identity, user_id bigint not null,
  credential bytea not null unique check (length(credential) between 1 and 1023), public_key bytea not null,
  sign_count bigint not null check (sign_count >= 0), transports text[] not null default '{}',
  handle bytea not null check (length(handle) between 16 and 64),
  name text not null check (name <> '' and length(name) <= 60),
  created_at timestamptz not null default clock_timestamp(), last_used_at timestamptz,
  revoked_at timestamptz, revoked_by bigint references crm.users,
  primary key (org_id, id),
  foreign key (org_id, user_id) references crm.memberships(org_id, user_id) on delete cascade);
create index passkeys_of on crm.passkeys(org_id, user_id) where revoked_at is null;
comment on column crm.passkeys.handle is 'What an authenticator knows its person by: chance, the same for all passkeys of a person in an org.';

-- Good once, for five minutes, for the session and the purpose it was made for. A sign-in has no session yet, and no org.
create table crm.passkey_challenges(
  challenge bytea primary key check (length(challenge) = 32), nonce bytea unique check (length(nonce) = 32),
  purpose text not null check (purpose in ('enrol', 'sign-in', 'decide', 'decide-all')),
  org_id bigint references crm.orgs on delete cascade, user_id bigint references crm.users on delete cascade, session bytea,
  draft_id bigint, hash text, decision text check (decision in ('approved', 'rejected')), handle bytea,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null default clock_timestamp() + interval '5 minutes',
  used_at timestamptz, used_xact xid8, passkey_id bigint, counted bigint,
  check ((purpose = 'decide-all') = (nonce is null)),
  check ((purpose = 'sign-in') = (session is null) and (session is null) = (org_id is null) and (org_id is null) = (user_id is null)),
  check ((purpose = 'decide') = (draft_id is not null) and (draft_id is null) = (hash is null) and (hash is null) = (decision is null)),
  check ((purpose = 'enrol') = (handle is not null)));
create index passkey_challenges_age on crm.passkey_challenges(org_id, expires_at);
comment on column crm.passkey_challenges.counted is 'The counter of the answer to a list of decisions, once one of them kept it: an answer counts once.';

-- What is asked with one challenge of several decisions: each has chance of its own, and is good once.
create table crm.passkey_challenge_items(
  challenge bytea not null references crm.passkey_challenges on delete cascade, draft_id bigint not null, hash text not null,
  nonce bytea not null unique check (length(nonce) = 32), decision text not null check (decision in ('approved', 'rejected')),
  used_at timestamptz, used_xact xid8, primary key (challenge, draft_id));

-- What a decision was signed with: enough to verify it again, without anything of this program.
create table crm.signatures(
  org_id bigint not null, id bigint generated always as identity, draft_id bigint not null, version int not null,
  decision text not null check (decision in ('approved', 'rejected')), approver bigint not null references crm.users,
  hash text not null, nonce bytea not null unique, origin text not null, passkey_id bigint not null,
  among jsonb check (jsonb_typeof(among) = 'array'), authenticator_data bytea not null, client_data bytea not null, signature bytea not null,
  call_id bigint not null, xact xid8 not null default pg_current_xact_id(), signed_at timestamptz not null default clock_timestamp(),
  primary key (org_id, id),
  foreign key (org_id, draft_id) references crm.drafts(org_id, id) on delete cascade,
  foreign key (org_id, passkey_id) references crm.passkeys(org_id, id) on delete cascade);
create index signatures_of on crm.signatures(org_id, draft_id);
comment on column crm.signatures.among is 'Every decision of the list that was signed, where it was signed with others; null: alone.';

alter table crm.web_sessions add column passkey bigint;
comment on column crm.web_sessions.passkey is 'The passkey it began with; null: a link.';

-- Whether a session is younger than ten minutes: so long ago its person proved who they are.
create function crm.session_is_fresh(asking bytea) returns boolean language sql stable security definer set search_path = pg_catalog, pg_temp as $f$
  select exists (select from crm.web_sessions s where s.digest = asking and s.expires_at > clock_timestamp()
    and s.created_at > clock_timestamp() - interval '10 minutes') $f$;

-- Lets a passkey be asked for something. False: no such session, or for an enrolment none that is fresh.
create function crm.ask_passkey(aim text, asking bytea, chance bytea, said bytea, of_draft bigint, shown text, deciding text, known_as bytea) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare w crm.web_sessions;
begin
  if aim = 'sign-in' then   -- anybody may ask, so what was asked in vain goes with the next
    delete from crm.passkey_challenges c where c.org_id is null and c.challenge in (select x.challenge from crm.passkey_challenges x
      where x.org_id is null and x.expires_at < clock_timestamp() order by x.expires_at limit 20);
    insert into crm.passkey_challenges(challenge, nonce, purpose) values (said, chance, aim);
    return true;
  end if;
  select s.* into w from crm.web_sessions s join crm.memberships m on m.org_id = s.org_id and m.user_id = s.user_id and m.active
   where s.digest = asking and s.expires_at > clock_timestamp();
  if w.digest is null or (aim = 'enrol' and not crm.session_is_fresh(asking)) then return false; end if;
  insert into crm.passkey_challenges(challenge, nonce, purpose, org_id, user_id, session, draft_id, hash, decision, handle)
  values (said, chance, aim, w.org_id, w.user_id, w.digest, of_draft, shown, deciding, known_as);
  return true;
end $f$;

-- Uses a challenge up, within the transaction of what it was made for; nothing where it is spent, or somebody else's.
create function crm.take_challenge(said bytea, aim text, asking bytea) returns setof crm.passkey_challenges
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal := crm.bound();
begin
  return query update crm.passkey_challenges c set used_at = clock_timestamp(), used_xact = pg_current_xact_id()
   where c.challenge = said and c.purpose = aim and c.session = asking and c.org_id = b.org_id and c.user_id = b.user_id
     and c.used_at is null and c.expires_at > clock_timestamp() returning c.*;
end $f$;

create function crm.enrol_passkey(said bytea, asking bytea, known_by bytea, key bytea, signs bigint, ways text[], called text) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare c crm.passkey_challenges; made bigint;
begin
  select * into c from crm.take_challenge(said, 'enrol', asking);
  if c.challenge is null or (select count(*) from crm.passkeys p where p.org_id = c.org_id and p.user_id = c.user_id and p.revoked_at is null) >= 20 then
    return null;
  end if;
  insert into crm.passkeys(org_id, user_id, credential, public_key, sign_count, transports, handle, name)
  values (c.org_id, c.user_id, known_by, key, signs, ways, c.handle, called) on conflict (credential) do nothing returning id into made;
  return made;
end $f$;

-- One's own passkeys, the revoked ones too; for an administrator also those of others that are good.
create function crm.list_passkeys() returns table(id bigint, person bigint, credential bytea, transports text[], handle bytea, name text,
  created_at timestamptz, last_used_at timestamptz, revoked_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal := crm.bound();
begin
  return query select p.id, p.user_id, p.credential, p.transports, p.handle, p.name, p.created_at, p.last_used_at, p.revoked_at
   from crm.passkeys p where p.org_id = b.org_id and (p.user_id = b.user_id or (p.revoked_at is null and exists (
     select from crm.memberships m where m.org_id = b.org_id and m.user_id = b.user_id and m.active and m.role = 'admin' and b.agent is null)))
   order by p.id;
end $f$;
create function crm.rename_passkey(which bigint, called text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal := crm.bound(); done boolean;
begin
  update crm.passkeys p set name = called where p.org_id = b.org_id and p.id = which and p.user_id = b.user_id and p.revoked_at is null
   returning true into done;
  return coalesce(done, false);
end $f$;
create function crm.revoke_passkey(which bigint) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal := crm.bound(); done boolean;
begin
  update crm.passkeys p set revoked_at = clock_timestamp(), revoked_by = b.user_id
   where p.org_id = b.org_id and p.id = which and p.revoked_at is null and b.agent is null and (p.user_id = b.user_id or exists (
     select from crm.memberships m where m.org_id = b.org_id and m.user_id = b.user_id and m.active and m.role = 'admin'))
   returning true into done;
  return coalesce(done, false);
end $f$;
-- What a revoked passkey opened is closed.
create function crm.end_passkey_sessions() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
begin
  delete from crm.web_sessions w where w.org_id = new.org_id and w.passkey = new.id;
  return null;
end $f$;
create trigger revoked after update of revoked_at on crm.passkeys for each row when (new.revoked_at is not null)
  execute function crm.end_passkey_sessions();

-- The key to verify a signature with; whose it is, and whether it is still good, is judged where it is used.
create function crm.passkey_key(known_by bytea) returns bytea language sql stable security definer set search_path = pg_catalog, pg_temp as $f$
  select p.public_key from crm.passkeys p where p.credential = known_by $f$;

-- A counter that does not rise means that two authenticators hold the key; those without a counter always say 0.
create function crm.count_passkey(was bigint, says bigint) returns void language plpgsql immutable set search_path = pg_catalog, pg_temp as $f$
begin
  if (was > 0 or says > 0) and says <= was then raise exception 'the counter of a passkey went backwards' using errcode = 'CRM09'; end if;
end $f$;

-- Signs in by a passkey: uses the challenge up and begins a session, as a link would.
create function crm.enter_by_passkey(said bytea, known_by bytea, says bigint, session bytea) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare k crm.passkeys;
begin
  select * into k from crm.passkeys p where p.credential = known_by and p.revoked_at is null for update;
  if k.id is null then return false; end if;
  update crm.passkey_challenges c set used_at = clock_timestamp(), used_xact = pg_current_xact_id()
   where c.challenge = said and c.purpose = 'sign-in' and c.used_at is null and c.expires_at > clock_timestamp();
  if not found then return false; end if;
  perform crm.count_passkey(k.sign_count, says);
  update crm.passkeys p set sign_count = says, last_used_at = clock_timestamp() where p.org_id = k.org_id and p.id = k.id;
  insert into crm.web_sessions(digest, org_id, user_id, expires_at, passkey)
  values (session, k.org_id, k.user_id, clock_timestamp() + interval '12 hours', k.id);
  return true;
end $f$;

-- Keeps what a decision was signed with. False: the passkey is another's or revoked, or the challenge was not taken for this in
-- this transaction.
create function crm.sign_decision(said bytea, of_draft bigint, of_version int, shown text, deciding text, at_origin text, known_by bytea,
  says bigint, authenticator bytea, client bytea, signed bytea) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal := crm.bound(); k crm.passkeys; c crm.passkey_challenges;
begin
  select * into c from crm.passkey_challenges x where x.challenge = said and x.purpose = 'decide' and x.used_xact = pg_current_xact_id()
     and x.org_id = b.org_id and x.user_id = b.user_id and x.draft_id = of_draft and x.hash = shown and x.decision = deciding;
  select * into k from crm.passkeys p where p.org_id = b.org_id and p.credential = known_by and p.user_id = b.user_id and p.revoked_at is null
     for update;
  if c.challenge is null or k.id is null then return false; end if;
  perform crm.count_passkey(k.sign_count, says);
  update crm.passkeys p set sign_count = says, last_used_at = clock_timestamp() where p.org_id = b.org_id and p.id = k.id;
  insert into crm.signatures(org_id, draft_id, version, decision, approver, hash, nonce, origin, passkey_id, authenticator_data, client_data, signature, call_id)
  values (b.org_id, of_draft, of_version, deciding, b.user_id, shown, c.nonce, at_origin, k.id, authenticator, client, signed,
    nullif(current_setting('crm.call_id', true), '')::bigint);
  return true;
end $f$;

-- Why an approval by the bound person needs a passkey; null where it does not. Read of the policy document: `passkeys`
-- (never by default) and `approval_limit` (5,000 by default). What was approved for the customer in a day counts, against splitting.
create function crm.needs_passkey(of_draft bigint, worth numeric, about text, unknown_worth boolean) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $f$
declare
  b crm.bound_principal := crm.bound(); d crm.drafts; said jsonb; rule text; standard numeric; spent numeric := 0; above boolean;
begin
  select document into said from crm.policies p where p.org_id = b.org_id order by p.edition desc limit 1;
  rule := coalesce(said ->> 'passkeys', 'never');
  standard := coalesce((said ->> 'approval_limit')::numeric, 5000);
  if rule not in ('never', 'over_limit') then return 'your org signs every approval with a passkey'; end if;
  select * into d from crm.drafts x where x.org_id = b.org_id and x.id = of_draft;
  if worth is not null then
    select coalesce(sum(greatest(x.amount, 0)), 0) into spent from crm.drafts x where x.org_id = b.org_id and x.requester = d.requester
       and x.subject = about and x.state = 'approved' and x.decided_at > clock_timestamp() - interval '24 hours';
  end if;
  above := coalesce(unknown_worth, false) or coalesce(worth, 0) + spent > standard;
  if above and rule = 'over_limit' then
    return case when unknown_worth then 'its amount is unknown for want of an exchange rate'
      else 'it is over ' || (select o.base_currency from crm.orgs o where o.id = b.org_id) || ' ' || to_char(standard, 'FM999,999,999,990.00') end;
  end if;
  if above and (d.requester = b.user_id or b.user_id = any (d.editors)) and exists (select from crm.orgs o where o.id = b.org_id and o.solo)
     and exists (select from crm.passkeys p where p.org_id = b.org_id and p.user_id = b.user_id and p.revoked_at is null) then
    return 'you drafted it yourself, and your passkey stands for a second person';
  end if;
  return null;
end $f$;

-- Postgres is the last authority: an approval that needs a signature and has none of this transaction does not commit,
-- whatever amount it states: what was recorded counts.
create function crm.require_signature() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare worth numeric; no_rate boolean; reason text;
begin
  select sum(v.amount), coalesce(bool_or(v.amount is null), false) into worth, no_rate from (
    select (c.after ->> m.col)::numeric as amount from crm.changes c
    join (values ('orders', 'base_total'), ('quotes', 'base_total'), ('invoices', 'base_total'), ('credit_notes', 'base_total'),
      ('payments', 'base_amount')) m(tbl, col) on m.tbl = c.tbl
    where c.org_id = new.org_id and c.draft_id = new.id and c.xact = pg_current_xact_id() and c.op <> 'D' and c.after ? m.col) v;
  reason := crm.needs_passkey(new.id, greatest(worth, new.amount), new.subject, no_rate);
  if reason is not null and not exists (select from crm.signatures s where s.org_id = new.org_id and s.draft_id = new.id
       and s.version = new.version and s.decision = 'approved' and s.approver = new.approver
       and s.xact = pg_current_xact_id() and s.signed_at >= now()) then
    raise exception 'unsigned: %', reason using errcode = 'CRM08';
  end if;
  return new;
end $f$;
-- after `decide`, by its name: the approver is known
create trigger signed before update on crm.drafts for each row when (old.state = 'pending' and new.state = 'approved')
  execute function crm.require_signature();

-- The evidence of the bound org, a page at a time, with what it is to be verified against.
create function crm.show_signatures(beyond bigint, most int default 200) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $f$
  select coalesce(jsonb_agg(jsonb_build_object('id', x.id, 'draft', x.draft_id, 'version', x.version, 'decision', x.decision,
    'approver', x.approver, 'hash', x.hash, 'among', x.among, 'nonce', encode(x.nonce, 'hex'), 'origin', x.origin, 'passkey', x.passkey_id, 'org', x.org_id,
    'authenticator', encode(x.authenticator_data, 'hex'), 'client', encode(x.client_data, 'hex'), 'signature', encode(x.signature, 'hex'),
    'at', x.signed_at, 'key', encode(x.public_key, 'hex'), 'owner', x.owner, 'decided', x.decided, 'audited', x.audited) order by x.id), '[]')
  from (select s.*, p.public_key, p.user_id as owner,
      d.state = s.decision and d.approver = s.approver and d.version = s.version and d.decided_call = s.call_id as decided,
      exists (select from crm.audit_log a where a.org_id = s.org_id and a.call_id = s.call_id and a.phase = 'ended' and (a.payload is null
        or a.payload like '{"signature": "' || encode(sha256(s.authenticator_data || s.client_data || s.signature), 'hex') || '"%')) as audited
    from crm.signatures s join crm.passkeys p on p.org_id = s.org_id and p.id = s.passkey_id
    join crm.drafts d on d.org_id = s.org_id and d.id = s.draft_id
    where s.org_id = nullif(current_setting('crm.org_id', true), '')::bigint and s.id > beyond order by s.id limit most) x $f$;
-- Decisions that the audit says were signed, and whose evidence is gone.
create function crm.lost_signatures() returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $f$
  select coalesce(jsonb_agg(a.draft_id order by a.id), '[]') from crm.audit_log a
   where a.org_id = nullif(current_setting('crm.org_id', true), '')::bigint and a.tool in ('approve', 'reject') and a.phase = 'ended'
     and a.payload like '{"signature": "%' and not exists (select from crm.signatures s where s.org_id = a.org_id and s.call_id = a.call_id) $f$;

-- Challenges, as long after their end as crm.retention says. No RLS for this owner: each statement names the org.
create function crm.forget_challenges(most int default 10000) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; n bigint;
begin
  delete from crm.passkey_challenges c where (c.org_id = o or (c.org_id is null and o is not null)) and c.challenge in (
    select x.challenge from crm.passkey_challenges x where (x.org_id = o or x.org_id is null)
       and x.expires_at < clock_timestamp() - (select r.kept from crm.retention r where r.what = 'challenges') order by x.expires_at limit most);
  get diagnostics n = row_count;
  return n;
end $f$;
