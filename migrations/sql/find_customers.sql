-- Customers by what somebody knows of them. Exact first (id is answered by the tool itself): e-mail, phone, domain,
-- of the customer or of a contact; a phone number that ends alike comes after the same one. Then names, despite typos, accents and legal suffixes.
-- A definer, because under RLS an index whose operator is not leakproof is not used; so every part names the org.
create index customers_name on crm.customers using gin (org_id, name_key public.gin_trgm_ops);
create index customers_email on crm.customers(org_id, email_norm);
create index customers_phone on crm.customers(org_id, phone_digits);
create index customers_phone_ending on crm.customers(org_id, phone_ending pg_catalog.text_pattern_ops);
create index customers_domain on crm.customers(org_id, domain);
create index contacts_name on crm.contacts using gin (org_id, name_key public.gin_trgm_ops);
create index contacts_email on crm.contacts(org_id, email_norm);
create index contacts_phone on crm.contacts(org_id, phone_digits);
create index contacts_phone_ending on crm.contacts(org_id, phone_ending pg_catalog.text_pattern_ops);
create policy searched on crm.customers for select to crm_definer using (true);
create policy searched on crm.contacts for select to crm_definer using (true);

create function crm.find_customers(query text, most int) returns table(customer_id bigint, score real, reason text)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set pg_trgm.word_similarity_threshold = 0.45 as $f$
declare
  o bigint := nullif(current_setting('crm.org_id', true), '')::bigint;
  mail text := lower(btrim(query)); tel text := crm.digits(query); k text := crm.name_key(query);
  ending text := crm.phone_ending(query); shorter text[];
  host text := regexp_replace(lower(btrim(query)), '^(https?://)?(www\.)?', '');
begin
  if o is null then return; end if;
  if position('@' in mail) > 1 then
    return query select distinct on (x.c) x.c, 1::real, x.r from (
      select c.id as c, 'same e-mail'::text as r from crm.customers c where c.org_id = o and c.email_norm = mail and c.archived_at is null
      union all select t.customer_id, 'e-mail of contact ' || t.name from crm.contacts t where t.org_id = o and t.email_norm = mail and t.archived_at is null and t.customer_id is not null) x
      order by x.c limit most;
    if found then return; end if;
    host := split_part(mail, '@', 2);
  end if;
  if length(tel) >= 6 and query !~ '[[:alpha:]]{3,}' then
    -- fewer than seven digits in common are no number; a number has twenty digits at most
    if length(ending) < 7 then ending := null; end if;
    shorter := array(select left(ending, n) from generate_series(7, least(length(ending), 20)) n);
    return query
      with same as (
        select c.id as c, 1::real as s, 'same phone'::text as r from crm.customers c
          where c.org_id = o and c.archived_at is null and c.phone_digits in (tel, ltrim(tel, '0'))
        union all select t.customer_id, 1, 'phone of contact ' || t.name from crm.contacts t
          where t.org_id = o and t.archived_at is null and t.customer_id is not null and t.phone_digits in (tel, ltrim(tel, '0'))),
      alike as (
        (select c.id as c, c.phone_ending as e, 'phone ends alike'::text as r from crm.customers c
          where c.org_id = o and c.archived_at is null
            and (c.phone_ending ~>=~ ending and c.phone_ending ~<~ (ending || ':') or c.phone_ending = any (shorter)) limit 2000)
        union all
        (select t.customer_id, t.phone_ending, 'phone ends like that of contact ' || t.name from crm.contacts t
          where t.org_id = o and t.archived_at is null and t.customer_id is not null
            and (t.phone_ending ~>=~ ending and t.phone_ending ~<~ (ending || ':') or t.phone_ending = any (shorter)) limit 2000)),
      -- the more of the longer number the shorter one is, the better
      ranked as (
        select x.c, x.s, x.r from same x
        union all select y.c, 0.8 + 0.1 * least(length(y.e), length(ending)) / greatest(length(y.e), length(ending)), y.r from alike y),
      best as (select distinct on (z.c) z.c, z.s, z.r from ranked z order by z.c, z.s desc, z.r desc)
      select b.c, b.s::real, b.r from best b order by b.s desc, b.c limit most;
    if found then return; end if;
  end if;
  if host ~ '^[^ ]+\.[a-z]{2,}$' then
    return query select c.id, 0.95::real, 'same domain'::text from crm.customers c where c.org_id = o and c.domain = host and c.archived_at is null order by c.id limit most;
    if found then return; end if;
  end if;
  if k = '' then return; end if;
  -- two routes: the whole name is alike, or the query is a part of it; candidates are capped before they are ranked
  return query
    with candidates as (
      (select c.id as c, c.name_key as n, null::text as contact from crm.customers c
        where c.org_id = o and c.archived_at is null and k operator(public.<%) c.name_key limit 2000)
      union all
      (select t.customer_id, t.name_key, t.name from crm.contacts t
        where t.org_id = o and t.archived_at is null and t.customer_id is not null and k operator(public.<%) t.name_key limit 2000)),
    ranked as (
      select x.c, x.contact,
        (case when x.n = k then 1 else greatest(public.similarity(x.n, k), 0.9 * public.word_similarity(k, x.n)) end
         - case when x.contact is null then 0 else 0.05 end)::real as s, x.n
      from candidates x),
    best as (select distinct on (r.c) r.* from ranked r order by r.c, r.s desc)
    select b.c, b.s,
      case when b.contact is not null then 'contact ' || b.contact
           when b.n = k then 'same name' when b.n like k || '%' then 'name begins so' else 'similar name' end
    from best b order by b.s desc, b.c limit most;
end $f$;
