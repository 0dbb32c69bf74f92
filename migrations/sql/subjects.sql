-- What a note, a task or an activity is about must exist in the same org. No foreign key can say so of a table that
-- is named by a column; that a subject still exists when it is deleted is the deleter's to see. What names a customer
-- alone is about the customer.
create function crm.name_subject() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $f$
begin
  if new.subject_type is null and new.customer_id is not null then
    new.subject_type := 'customers'; new.subject_id := new.customer_id;
  end if;
  return new;
end $f$;
create function crm.subject_exists() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $f$
declare there boolean;
begin
  if new.subject_type is null or new.subject_type = 'customers' and new.subject_id = new.customer_id then return null; end if;
  execute format('select exists (select from crm.%I where org_id = $1 and id = $2)', new.subject_type)
    into there using new.org_id, new.subject_id;
  if not there then raise exception 'no such subject' using errcode = '23503'; end if;
  return null;
end $f$;
revoke execute on function crm.name_subject(), crm.subject_exists() from public;
create trigger name_subject before insert on crm.notes for each row execute function crm.name_subject();
create trigger name_subject before insert on crm.tasks for each row execute function crm.name_subject();
create trigger name_subject before insert on crm.activities for each row execute function crm.name_subject();
create trigger subject after insert or update of subject_type, subject_id on crm.notes for each row execute function crm.subject_exists();
create trigger subject after insert or update of subject_type, subject_id on crm.tasks for each row execute function crm.subject_exists();
create trigger subject after insert or update of subject_type, subject_id on crm.activities for each row execute function crm.subject_exists();
