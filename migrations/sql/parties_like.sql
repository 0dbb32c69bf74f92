-- Records that a new party may be another of, for a closer look: the same mailbox, number or domain, a name that is alike or begins alike.
-- A definer, because under RLS an index whose operator is not leakproof is not used; so every part names the org, and is capped.
create policy likened on crm.organizations for select to crm_definer using (true);
create policy likened on crm.individuals for select to crm_definer using (true);

create function crm.parties_like(party text, record bigint, most int) returns table(id bigint)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set pg_trgm.similarity_threshold = 0.5 as $f$
declare
  o bigint := nullif(current_setting('crm.org_id', true), '')::bigint;
  k text; mail text; tel text; host text; first text; sites text[];
begin
  if o is null or party not in ('organizations', 'individuals', 'contacts', 'customers') then return; end if;
  execute format('select t.name_key, t.email_norm, t.phone_digits, %s from crm.%I t where t.org_id = $1 and t.id = $2',
    case when party in ('organizations', 'customers') then 't.domain' else 'null::text' end, party)
    into k, mail, tel, host using o, record;
  if party in ('organizations', 'customers') then
    sites := array_remove(array[nullif(host, ''), nullif(split_part(mail, '@', 2), '')], null);
  end if;
  first := split_part(k, ' ', 1);
  return query execute format(
    'select x.id from (
      (select t.id, 3::real as s from crm.%1$I t where t.org_id = $1 and t.email_norm = $3 and $3 <> '''' and t.archived_at is null limit 50)
      union all (select t.id, 3 from crm.%1$I t where t.org_id = $1 and t.phone_digits = $4 and length($4) >= 7 and t.archived_at is null limit 50)
      union all (select t.id, 2 from crm.%1$I t where t.org_id = $1 and %2$s and t.archived_at is null limit 50)
      union all (select t.id, public.similarity(t.name_key, $6) from crm.%1$I t
        where t.org_id = $1 and t.name_key operator(public.%%) $6 and length($6) >= 3 and t.archived_at is null limit 1000)
      union all (select t.id, 0.3 from crm.%1$I t
        where t.org_id = $1 and t.name_key operator(pg_catalog.~~) ($7 || '' %%'') and length($7) >= 4 and t.archived_at is null limit 100)
     ) x where x.id <> $2 group by x.id order by max(x.s) desc, x.id limit $8',
    party, case when party in ('organizations', 'customers') then 't.domain = any ($5)' else 'false' end)
    using o, record, mail, tel, sites, k, first, least(most, 200);
end $f$;
