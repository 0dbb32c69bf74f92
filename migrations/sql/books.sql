-- Nothing is posted into closed books, whoever asks. Arguments: the column of the date. Postings hold a lock that
-- closing takes alone, so that books do not close between the look and the commit, the first time either.
create function crm.books_are_open() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $f$
declare closed date; org bigint; old_day date; new_day date;
begin
  if tg_op <> 'INSERT' then org := old.org_id; old_day := (to_jsonb(old) ->> tg_argv[0])::date; end if;
  if tg_op <> 'DELETE' then org := new.org_id; new_day := (to_jsonb(new) ->> tg_argv[0])::date; end if;
  perform pg_advisory_xact_lock_shared(726302000000000 + org);
  select books_closed_through into closed from crm.org_settings s where s.org_id = org;
  if least(old_day, new_day) <= closed then
    raise exception 'the books are closed through %', closed using errcode = 'CRM01';
  end if;
  if tg_op = 'DELETE' then return old; end if;
  return new;
end $f$;
create function crm.books_move() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $f$
begin perform pg_advisory_xact_lock(726302000000000 + new.org_id); return new; end $f$;
create trigger books before insert or update of books_closed_through on crm.org_settings for each row execute function crm.books_move();
revoke execute on function crm.books_are_open(), crm.books_move() from public;
create trigger books before insert or delete or update of issued_on, customer_id, currency, net_total, tax_total, gross_total, base_total, archived_at
  on crm.invoices for each row execute function crm.books_are_open('issued_on');
create trigger books before insert or delete or update of issued_on, customer_id, invoice_id, currency, net_total, tax_total, gross_total, base_total, archived_at
  on crm.credit_notes for each row execute function crm.books_are_open('issued_on');
create trigger books before insert or delete or update of received_on, customer_id, currency, amount, base_amount, archived_at
  on crm.payments for each row execute function crm.books_are_open('received_on');
