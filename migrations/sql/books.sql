-- Nothing is posted into closed books, whoever asks. Arguments: the column of the date. The settings' row is locked
-- for share, so that books do not close between the look and the commit.
create function crm.books_are_open() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $f$
declare closed date; org bigint; old_day date; new_day date;
begin
  if tg_op <> 'INSERT' then org := old.org_id; old_day := (to_jsonb(old) ->> tg_argv[0])::date; end if;
  if tg_op <> 'DELETE' then org := new.org_id; new_day := (to_jsonb(new) ->> tg_argv[0])::date; end if;
  select books_closed_through into closed from crm.org_settings s where s.org_id = org for share;
  if least(old_day, new_day) <= closed then
    raise exception 'the books are closed through %', closed using errcode = 'CRM01';
  end if;
  if tg_op = 'DELETE' then return old; end if;
  return new;
end $f$;
revoke execute on function crm.books_are_open() from public;
create trigger books before insert or delete or update of issued_on, customer_id, currency, net_total, tax_total, gross_total, base_total, archived_at
  on crm.invoices for each row execute function crm.books_are_open('issued_on');
create trigger books before insert or delete or update of issued_on, customer_id, invoice_id, currency, net_total, tax_total, gross_total, base_total, archived_at
  on crm.credit_notes for each row execute function crm.books_are_open('issued_on');
create trigger books before insert or delete or update of received_on, customer_id, currency, amount, base_amount, archived_at
  on crm.payments for each row execute function crm.books_are_open('received_on');
