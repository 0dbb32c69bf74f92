-- The files of exports, in parts: filled by the call that made the export, read by its maker on the page, gone when they end.

insert into crm.retention(what, kept, reason) values
 ('exports', '1 day', 'A file of records is taken within a day of being asked for, and then lies about; it is made again in seconds.');

create table crm.export_parts(
  org_id bigint not null, export_id bigint not null, position int not null check (position > 0),
  content bytea not null check (octet_length(content) between 1 and 1048576),
  primary key (org_id, export_id, position),
  foreign key (org_id, export_id) references crm.exports (org_id, id) on delete cascade);
alter table crm.export_parts alter column content set storage external;   -- compressed already
comment on table crm.export_parts is 'The bytes of exports in their order; definer functions alone touch them.';

-- Adds a part to an export that this very call is making.
create function crm.put_export_part(export bigint, at int, piece bytea) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal := crm.bound();
begin
  if not crm.is_being_made(b.org_id, export) then raise exception 'not an export of this call' using errcode = '42501'; end if;
  insert into crm.export_parts(org_id, export_id, position, content) values (b.org_id, export, at, piece);
end $f$;

-- Whether an export was made by the call that is bound, in this transaction, and is not finished.
create function crm.is_being_made(org bigint, export bigint) returns boolean
language sql volatile security definer set search_path = pg_catalog, pg_temp as $f$
  select exists (select from crm.exports e where e.org_id = org and e.id = export and e.sha256 is null)
    and exists (select from crm.changes c where c.org_id = org and c.call_id = nullif(current_setting('crm.call_id', true), '')::bigint
      and c.xact = pg_current_xact_id() and c.tbl = 'exports' and c.op = 'I' and (c.key ->> 'id')::bigint = export) $f$;

-- Says that an export has all its parts; from now on it can be fetched, until it expires. Refused above 25 MB, and where the org has 1 GB.
create function crm.finish_export(export bigint, row_count int, digest text) returns table(bytes int, expiry timestamptz)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal := crm.bound(); size bigint; parts bigint; last int;
begin
  if not crm.is_being_made(b.org_id, export) then raise exception 'not an export of this call' using errcode = '42501'; end if;
  select coalesce(sum(octet_length(p.content)), 0), count(*), max(p.position) into size, parts, last
   from crm.export_parts p where p.org_id = b.org_id and p.export_id = export;
  if parts = 0 or parts <> last then raise exception 'a part is missing' using errcode = '23514'; end if;
  if size > 25 * 1048576 then raise exception 'larger than an export may be' using errcode = 'CRM11'; end if;
  -- one at a time in an org, so that two do not each find room for one
  perform pg_advisory_xact_lock(hashtextextended(concat_ws('.', 'exports', b.org_id), 0));
  if size + (select coalesce(sum(e.bytes), 0) from crm.exports e where e.org_id = b.org_id and e.expires_at > clock_timestamp()) > 1024 * 1048576::bigint then
    raise exception 'the exports of the org are full' using errcode = 'CRM12';
  end if;
  return query update crm.exports e set rows = row_count, bytes = size::int, sha256 = digest,
     expires_at = clock_timestamp() + (select r.kept from crm.retention r where r.what = 'exports')
    where e.org_id = b.org_id and e.id = export returning e.bytes, e.expires_at;
end $f$;

-- Whether a person may have an export: its maker, or an administrator, while it lasts. An agent never.
create function crm.may_fetch(b crm.bound_principal, export bigint) returns boolean
language sql volatile security definer set search_path = pg_catalog, pg_temp as $f$
  select b.agent is null and exists (select from crm.exports e
    join crm.memberships m on m.org_id = e.org_id and m.user_id = b.user_id and m.active
   where e.org_id = b.org_id and e.id = export and e.expires_at > clock_timestamp() and (e.created_by = b.user_id or m.role = 'admin')) $f$;

-- One part, from 1; null where there is none, or not for this person.
create function crm.export_part(export bigint, at int) returns bytea
language sql volatile security definer set search_path = pg_catalog, pg_temp as $f$
  select p.content from crm.bound() b, crm.export_parts p
   where crm.may_fetch(b, export) and p.org_id = b.org_id and p.export_id = export and p.position = at $f$;

-- Ends an export before its time; false where it is not this person's, or over.
create function crm.end_export(export bigint) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare b crm.bound_principal := crm.bound();
begin
  if not crm.may_fetch(b, export) then return false; end if;
  update crm.exports e set expires_at = clock_timestamp() where e.org_id = b.org_id and e.id = export;
  delete from crm.export_parts p where p.org_id = b.org_id and p.export_id = export;
  return true;
end $f$;

-- The bytes of what has expired. That it was made, by whom and of what, stays in crm.exports.
create function crm.forget_exports(most int default 10000) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; n bigint;
begin
  with ended as (select distinct p.export_id from crm.export_parts p join crm.exports e on e.org_id = p.org_id and e.id = p.export_id
      where p.org_id = o and e.expires_at <= clock_timestamp() order by p.export_id limit most),
    gone as (delete from crm.export_parts p using ended where p.org_id = o and p.export_id = ended.export_id)
  select count(*) into n from ended;
  return n;
end $f$;
