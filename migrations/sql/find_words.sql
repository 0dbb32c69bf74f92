-- The records of a kind that hold every word of a text, for find_records; none where there is no word, and one row without
-- an id where more than `most` do, or where they are so common that the list itself finds them sooner. A word of one or two
-- letters counts at the beginning of a word. A definer, because under RLS an index whose operator is not leakproof is
-- not used; so every part names the org. What the role may not see is not found, nor counted against `most`.
create function crm.word_patterns(query text) returns text[] language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $f$
  select array(select distinct case when w ~ '^[a-z0-9]{1,2}$' then '% ' || w || '%' else '%' || w || '%' end
    from unnest(string_to_array(crm.search_key(query), ' ')) w where w <> '') $f$;

create function crm.find_words(kind text, query text, role text, person bigint, live boolean, most int) returns table(record bigint, changed timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $f$
declare
  o bigint := nullif(current_setting('crm.org_id', true), '')::bigint;
  patterns text[] := crm.word_patterns(query);
  seen text[] := array(select r.table_name from crm.reasoning r where r.type = 'crm' and find_words.role = any (r.roles));
  holds text; shown text := 'true'; looked bigint; held bigint;
begin
  if o is null or cardinality(patterns) = 0 or kind <> all (seen) or kind <> all (array['organizations', 'individuals', 'contacts',
    'customers', 'deals', 'leads', 'projects', 'tasks', 'notes', 'documents', 'issues', 'products']) then return; end if;
  -- a pattern that begins with a space stands at the beginning of a key too; what is in a pattern is letters and digits alone
  holds := (select string_agg(case when p like '\% %' then format('(x.search_key like %L or x.search_key like %L)', p, substr(p, 3))
    else format('x.search_key like %L', p) end, ' and ') from unnest(patterns) p);
  if kind in ('tasks', 'notes', 'documents') then
    shown := format('(%s (x.subject_type is null or x.subject_type = any ($2) and (x.subject_type <> ''tasks''
      or not exists (with recursive up as (select x.subject_type as kind, x.subject_id as number
        union select k.subject_type, k.subject_id from up join crm.tasks k on k.org_id = $1 and up.kind = ''tasks''
         and k.id = up.number and k.subject_type is not null)
       select from up where up.kind <> all ($2)))))', case when kind = 'tasks' then 'x.assignee_id = $3 or' else '' end);
  end if;
  if live then shown := shown || ' and x.archived_at is null'; end if;
  execute format('select count(*), count(*) filter (where %s and %s) from (select * from crm.%I x where x.org_id = $1
     and x.archived_at is null order by x.updated_at desc, x.id desc limit 400) x', holds, shown, kind) into looked, held using o, seen, person;
  if looked = 400 and held >= 200 then return query select null::bigint, null::timestamptz; return; end if;
  return query execute format('select x.id, x.updated_at from crm.%I x where x.org_id = $1 and %s and %s limit $4', kind, holds, shown)
    using o, seen, person, most + 1;
end $f$;
