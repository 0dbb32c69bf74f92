-- How long what is spent is kept, in one place: the worker's functions ask here, and only the owner of the database changes it.
-- Kept for ever, by design: audit_log, changes, drafts, draft_versions, signatures, passkeys, api_keys and access_log are the record.
create table crm.retention(
  what text primary key, kept interval not null check (kept >= interval '1 day'), reason text not null check (reason <> ''));
insert into crm.retention(what, kept, reason) values
 ('answers', '7 days', 'A client repeats a call whose answer it lost, at the latest when a job of last week is run again.'),
 ('sign-ins', '1 day', 'A link or session that ended explains for a day why it opens nothing; access_log has the rest.'),
 ('challenges', '1 day', 'What a passkey was asked is good for five minutes; what it signed is kept with the signature.'),
 ('invitations', '30 days', 'Who asks why an invitation opens nothing does so within weeks; that it was made and ended is in access_log.'),
 ('notices', '30 days', 'Whether somebody was told is asked while a decision is fresh; doctor looks back seven days.');
comment on table crm.retention is 'How long what is spent is kept after its end, with the reason.';

create index notices_age on crm.notices(org_id, created_at);

-- Invitations that were taken up, ended or ran out. No RLS for this owner: each statement names the org.
create function crm.forget_invitations(most int default 10000) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare
  o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; n bigint;
  before timestamptz := clock_timestamp() - (select r.kept from crm.retention r where r.what = 'invitations');
begin
  delete from crm.invitations i where i.org_id = o and i.digest in (
    select x.digest from crm.invitations x where x.org_id = o and least(x.used_at, x.ended_at, x.expires_at) < before
    order by x.expires_at limit most);
  get diagnostics n = row_count;
  return n;
end $f$;

-- Notices that came to an end, of drafts that did: of a draft that waits they say that its approvers have been told.
create function crm.forget_notices(most int default 10000) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare
  o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; gone bigint;
  before timestamptz := clock_timestamp() - (select r.kept from crm.retention r where r.what = 'notices');
begin
  delete from crm.notices n where n.org_id = o and n.id in (
    select x.id from crm.notices x join crm.drafts d on d.org_id = x.org_id and d.id = x.draft_id
     where x.org_id = o and x.created_at < before and x.state not in ('queued', 'sending') and coalesce(x.sent_at, x.created_at) < before
       and d.state <> 'pending' and coalesce(d.decided_at, d.expires_at) < before
    order by x.created_at limit most);
  get diagnostics gone = row_count;
  return gone;
end $f$;
