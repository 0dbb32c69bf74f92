-- One answer of a passkey for several decisions: what is signed is the list of them, and each is kept with its own decision, in
-- its own transaction, so that one that fails stops no other.

-- Lets a passkey be asked for a list of decisions. False: no such session, or not a list of one to twenty.
create function crm.ask_passkey_for_all(asking bytea, said bytea, items jsonb) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare w crm.web_sessions;
begin
  select s.* into w from crm.web_sessions s join crm.memberships m on m.org_id = s.org_id and m.user_id = s.user_id and m.active
   where s.digest = asking and s.expires_at > clock_timestamp();
  if w.digest is null or jsonb_array_length(items) not between 1 and 20 then return false; end if;
  insert into crm.passkey_challenges(challenge, purpose, org_id, user_id, session) values (said, 'decide-all', w.org_id, w.user_id, w.digest);
  insert into crm.passkey_challenge_items(challenge, draft_id, hash, nonce, decision)
  select said, x.draft, x.hash, decode(x.nonce, 'hex'), x.decision from jsonb_to_recordset(items) x(draft bigint, hash text, nonce text, decision text);
  return true;
end $f$;

-- The canonical list: in the order of the drafts' numbers.
create function crm.passkey_items(said bytea) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $f$
  select jsonb_agg(jsonb_build_object('draft', i.draft_id, 'hash', i.hash, 'nonce', encode(i.nonce, 'hex'), 'decision', i.decision)
    order by i.draft_id) from crm.passkey_challenge_items i where i.challenge = said $f$;

-- Uses one decision of a list up, within its transaction; returns the list. Null where it is spent, not in it, or somebody else's.
create function crm.take_item(said bytea, of_draft bigint, asking bytea) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal := crm.bound();
begin
  update crm.passkey_challenge_items i set used_at = clock_timestamp(), used_xact = pg_current_xact_id() from crm.passkey_challenges c
   where i.challenge = said and i.draft_id = of_draft and c.challenge = i.challenge and c.session = asking and c.org_id = b.org_id
     and c.user_id = b.user_id and i.used_at is null and c.expires_at > clock_timestamp();
  if not found then return null; end if;
  return crm.passkey_items(said);
end $f$;

-- Keeps what one decision of a list was signed with, as crm.sign_decision does of one that was signed alone.
create function crm.sign_item(said bytea, of_draft bigint, of_version int, shown text, deciding text, at_origin text, known_by bytea,
  says bigint, authenticator bytea, client bytea, signed bytea) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal := crm.bound(); k crm.passkeys; c crm.passkey_challenges; i crm.passkey_challenge_items;
begin
  select * into c from crm.passkey_challenges x where x.challenge = said and x.org_id = b.org_id and x.user_id = b.user_id for update;
  select * into i from crm.passkey_challenge_items x where x.challenge = c.challenge and x.draft_id = of_draft and x.hash = shown
     and x.decision = deciding and x.used_xact = pg_current_xact_id();
  select * into k from crm.passkeys p where p.org_id = b.org_id and p.credential = known_by and p.user_id = b.user_id and p.revoked_at is null
     for update;
  if i.challenge is null or k.id is null then return false; end if;
  if c.passkey_id is null then
    perform crm.count_passkey(k.sign_count, says);
    update crm.passkeys p set sign_count = says, last_used_at = clock_timestamp() where p.org_id = k.org_id and p.id = k.id;
    update crm.passkey_challenges x set passkey_id = k.id, counted = says where x.challenge = said;
  elsif c.passkey_id <> k.id or c.counted <> says then   -- another answer to the same list
    return false;
  end if;
  insert into crm.signatures(org_id, draft_id, version, decision, approver, hash, nonce, origin, passkey_id, among, authenticator_data,
    client_data, signature, call_id)
  values (b.org_id, of_draft, of_version, deciding, b.user_id, shown, i.nonce, at_origin, k.id, crm.passkey_items(said), authenticator,
    client, signed, nullif(current_setting('crm.call_id', true), '')::bigint);
  return true;
end $f$;
