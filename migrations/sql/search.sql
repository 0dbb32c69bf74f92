-- Names as they are compared: without case, accents, punctuation and legal suffixes. Shown names stay as written.
create function crm.name_key(name text) returns text language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $f$
  select btrim(regexp_replace(regexp_replace(
    lower(public.unaccent('public.unaccent'::regdictionary, normalize(left(name, 400), nfkc))),
    '[^[:alnum:]]+', ' ', 'g'),
    '( (gmbh|ag|kg|ohg|ug|mbh|co|inc|incorporated|llc|llp|ltd|limited|plc|corp|corporation|company|sa|sas|sarl|srl|spa|sl|bv|nv|ab|as|oy|aps|kft|pty|se|ev))+ ?$', '', 'g')) $f$;
create function crm.digits(phone text) returns text language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $f$
  select nullif(regexp_replace(left(phone, 60), '[^0-9]', '', 'g'), '') $f$;
