-- Names as they are compared: without case, accents, punctuation and legal suffixes. Shown names stay as written.
create function crm.name_key(name text) returns text language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $f$
  select btrim(regexp_replace(regexp_replace(
    lower(public.unaccent('public.unaccent'::regdictionary, normalize(left(name, 400), nfkc))),
    '[^[:alnum:]]+', ' ', 'g'),
    '( (gmbh|ag|kg|ohg|ug|mbh|co|inc|incorporated|llc|llp|ltd|limited|plc|corp|corporation|company|sa|sas|sarl|srl|spa|sl|bv|nv|ab|as|oy|aps|kft|pty|se|ev))+ ?$', '', 'g')) $f$;
create function crm.digits(phone text) returns text language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $f$
  select nullif(regexp_replace(left(phone, 60), '[^0-9]', '', 'g'), '') $f$;
-- A phone number from its last digit on, without + or 00, trunk 0 and (0): written with a country code or without,
-- one of a number's endings begins the other.
create function crm.phone_ending(phone text) returns text language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $f$
  select nullif(reverse(regexp_replace(regexp_replace(replace(left(phone, 60), '(0)', ''), '[^0-9]', '', 'g'), '^00?', '')), '') $f$;

-- ISO 4217 minor units, and an amount as tools show it. Plain SQL bodies, so that the planner inlines them.
create function crm.minor_units(currency text) returns int language sql immutable parallel safe
  return case when currency in ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') then 0
              when currency in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 3 else 2 end;
create function crm.money(amount numeric, currency text) returns jsonb language sql immutable parallel safe
  return jsonb_build_object('amount', round(amount, crm.minor_units(currency))::text, 'currency', currency);
