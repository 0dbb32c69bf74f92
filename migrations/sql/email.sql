-- An e-mail's Message-ID is drawn when a person approves: a keyed hash of org and draft, so that every run of the
-- approval, and every try of the delivery, has the same one and nobody can foretell it.
create function crm.draw_message_id() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $f$
declare draft text := nullif(current_setting('crm.draft_id', true), '');
begin
  new.message_id := null;
  if session_user = 'crm_approver' and draft is not null then
    new.message_id := '<' || left(crm.sign(concat_ws('.', 'message', new.org_id, draft)), 40) || '@' || substring(new.from_address from '[^@]+$') || '>';
  end if;
  return new;
end $f$;
create trigger draw_message_id before insert on crm.emails for each row execute function crm.draw_message_id();

-- No e-mail is made, readdressed or reworded but by an approver who may send e-mail.
create function crm.may_send() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal;
begin
  if session_user = 'crm_approver' then b := crm.bound(); end if;
  if b.org_id is distinct from new.org_id or b.agent is not null or not exists (select from crm.memberships m
       where m.org_id = new.org_id and m.user_id = b.user_id and m.active and m.may_approve and m.may_send_email) then
    raise exception 'may not send e-mail' using errcode = '42501';
  end if;
  return null;
end $f$;
create constraint trigger may_send after insert or update of from_name, from_address, to_recipients, cc_recipients, bcc_recipients, subject, body, message_id, in_reply_to
  on crm.emails deferrable initially deferred for each row execute function crm.may_send();

-- The steps of a delivery. The worker takes them; what stayed unsent or failed is taken up again by a person who
-- might have approved it. Whatever was sent stays sent.
create function crm.step_outbox() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal;
begin
  if tg_op = 'INSERT' then
    new.state := 'queued'; new.attempts := 0; new.unclear := 0; new.next_attempt_at := null; new.last_error := null; new.sent_at := null;
    new.accepted := '[]'; new.refused := '{}';
    return new;
  end if;
  if session_user = 'crm_worker' and (old.state, new.state) in (('queued', 'queued'), ('queued', 'sending'), ('queued', 'sent'), ('queued', 'failed'), ('queued', 'unsent'),
       ('sending', 'sending'), ('sending', 'sent'), ('sending', 'queued'), ('sending', 'failed'), ('sending', 'unsent')) then
    return new;
  end if;
  if session_user = 'crm_approver' and new.state = 'queued' and old.state in ('unsent', 'failed') then
    b := crm.bound();
    if b.org_id = new.org_id and b.agent is null and exists (select from crm.memberships m
         where m.org_id = new.org_id and m.user_id = b.user_id and m.active and m.may_approve and m.may_send_email) then
      new.attempts := 0; new.unclear := 0; new.next_attempt_at := null; new.last_error := null;
      return new;
    end if;
  end if;
  raise exception 'not a step of a delivery' using errcode = '42501';
end $f$;
create trigger step before insert or update on crm.outbox for each row execute function crm.step_outbox();

-- The one way in for jobs: known kinds, of the bound org. A job is there exactly when the transaction commits.
create function crm.enqueue(kind text, args jsonb) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare job bigint; org bigint := nullif(current_setting('crm.org_id', true), '')::bigint;
begin
  if kind is null or kind <> all (array['deliver_email']) then raise exception 'no such kind of job' using errcode = '42501'; end if;
  if (args ->> 'org')::bigint is distinct from org or (args ->> 'email')::bigint is null or args - array['org', 'email'] <> '{}' then
    raise exception 'not the arguments of such a job' using errcode = '42501';
  end if;
  insert into jobs.procrastinate_jobs(queue_name, task_name, args)
    values ('mail', kind, args) returning id into job;
  return job;
end $f$;
create function crm.defer_delivery() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $f$
begin
  if session_user = 'crm_approver' and new.state = 'queued' then
    perform crm.enqueue('deliver_email', jsonb_build_object('org', new.org_id, 'email', new.email_id));
  end if;
  return null;
end $f$;
create trigger defer_delivery after insert or update of state on crm.outbox for each row execute function crm.defer_delivery();
revoke execute on function crm.may_send(), crm.step_outbox() from public;
