-- Search. One definer, because under RLS an index whose operator is not leakproof is not used: so every part names the org, is
-- confined to what the role may see before it is counted, and is capped before it is ranked. What is shown is judged once more by
-- the live record: what was archived, merged, erased or moved out of sight since it was indexed is not found.

-- How like the words of a query are those of a name, 0 to 1: a letter alone stands for a word that begins with it.
create function crm.likeness(said text, name text) returns real language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $f$
declare
  ours text[] := (string_to_array(left(said, 300), ' '))[:8]; theirs text[] := (string_to_array(left(name, 500), ' '))[:12];
  q text; n text; best real; one real; total real := 0; slips int;
begin
  foreach q in array ours loop
    best := 0;
    foreach n in array theirs loop
      slips := public.levenshtein(left(q, 60), left(n, 60));
      -- two letters that changed places are one slip
      if slips = 2 and length(q) = length(n) and translate(q, n, '') = '' and translate(n, q, '') = '' then slips := 1; end if;
      one := case when n = q then 1 when length(q) = 1 then case when starts_with(n, q) then 0.9 else 0 end
        when length(n) = 1 then case when starts_with(q, n) then 0.5 else 0 end
        when length(q) >= 3 and starts_with(n, q) then 0.92
        else 1 - slips::real / greatest(length(q), length(n)) end;
      if one > best then best := one; end if;
    end loop;
    total := total + best;
  end loop;
  return total / greatest(cardinality(ours), 1);
end $f$;

-- Records by what names them and nothing else: an id, a document number, an e-mail address, a phone number, a web domain. Of the live tables,
-- so that what was written a moment ago is found.
create function crm.search_exact(query text, kinds text[]) returns table(entity text, record_id bigint, place int)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $f$
#variable_conflict use_column
declare
  o bigint := nullif(current_setting('crm.org_id', true), '')::bigint;
  said text := left(query, 1000);
  tokens text[] := (select array_agg(distinct t.word) from (select btrim(w, '.,;:!?()[]<>"''#') as word
    from regexp_split_to_table(left(query, 1000), '\s+') w limit 40) t where t.word <> '');
  mails text[]; numbers text[]; hosts text[]; tel text := crm.digits(said); ending text := crm.phone_ending(said); shorter text[]; one text;
begin
  if o is null or tokens is null then return; end if;
  return query select k.kind, left(t.named[2], 18)::bigint, 1 from (select regexp_match(lower(w), '^([a-z]{2,5})_([1-9][0-9]{0,17})$') as named from unnest(tokens) w) t
    join (values ('cust', 'customers'), ('org', 'organizations'), ('ind', 'individuals'), ('cont', 'contacts'), ('deal', 'deals'), ('lead', 'leads'),
      ('proj', 'projects'), ('task', 'tasks'), ('note', 'notes'), ('act', 'activities'), ('iss', 'issues'), ('email', 'emails'), ('doc', 'documents'),
      ('art', 'articles'), ('ord', 'orders'), ('quo', 'quotes'), ('inv', 'invoices'), ('cn', 'credit_notes')) k(prefix, kind) on k.prefix = t.named[1]
    where k.kind = any (kinds) limit 40;
  numbers := array(select distinct n from unnest(tokens) w, unnest(array[w, upper(w)]) n where w ~ '[0-9]' and length(w) <= 200);
  foreach one in array array['orders', 'quotes', 'invoices', 'credit_notes'] loop
    if one = any (kinds) and numbers <> '{}' then
      return query execute format('select %L::text, x.id, 1 from crm.%I x where x.org_id = $1 and x.number = any ($2) and x.archived_at is null limit 20', one, one)
        using o, numbers;
    end if;
  end loop;
  mails := array(select distinct lower(w) from unnest(tokens) w where w ~ '^[^@[:space:]]+@[^@[:space:]]+$');
  hosts := array(select distinct regexp_replace(lower(w), '^(https?://)?(www\.)?([^/@]+).*$', '\3') from unnest(tokens) w
    where w ~* '^(https?://)?[[:alnum:]-]+(\.[[:alnum:]-]+)*\.[[:alpha:]]{2,}(/.*)?$');
  if length(tel) < 6 or length(ending) < 7 or said ~ '[[:alpha:]]{3,}' then tel := null; ending := null; end if;
  shorter := array(select left(ending, n) from generate_series(7, least(length(ending), 20)) n);
  foreach one in array array['customers', 'contacts', 'organizations', 'individuals'] loop
    if one <> all (kinds) then continue; end if;
    if mails <> '{}' then
      return query execute format('select %L::text, x.id, 1 from crm.%I x where x.org_id = $1 and x.email_norm = any ($2) and x.archived_at is null limit 20', one, one)
        using o, mails;
    end if;
    if ending is not null then
      return query execute format('(select %1$L::text, x.id, 1 from crm.%1$I x where x.org_id = $1 and x.phone_digits = any ($2) and x.archived_at is null limit 20)
        union all (select %1$L::text, x.id, 2 from crm.%1$I x where x.org_id = $1 and x.archived_at is null
          and (x.phone_ending ~>=~ $3 and x.phone_ending ~<~ ($3 || '':'') or x.phone_ending = any ($4)) limit 20)', one)
        using o, array[tel, ltrim(tel, '0')], ending, shorter;
    end if;
    if hosts <> '{}' and one in ('customers', 'organizations') then
      return query execute format('select %L::text, x.id, 2 from crm.%I x where x.org_id = $1 and x.domain = any ($2) and x.archived_at is null limit 20', one, one)
        using o, hosts;
    end if;
  end loop;
end $f$;

create function crm.search(query text, role text, person bigint, entities text[], labels text[], skipped int, most int,
  model text default null, vector text default null) returns table(
  entity text, record_id bigint, part int, parts int, score numeric, kinds text[], title text, section text, passage text, tags text[],
  subject_type text, subject_id bigint, changed_at timestamptz, is_stale boolean)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
  set pg_trgm.word_similarity_threshold = 0.4 as $f$
#variable_conflict use_column
declare
  o bigint := nullif(current_setting('crm.org_id', true), '')::bigint;
  q text := left(search.query, 1000); who text := search.role; me bigint := search.person; tagged text[] := search.labels;
  visible text[] := array(select r.table_name from crm.reasoning r where r.type = 'crm' and search.role = any (r.roles));
  wanted text[] := array(select v from unnest(visible) v where search.entities is null or v = any (search.entities));
  plain text := lower(public.unaccent('public.unaccent'::regdictionary, normalize(q, nfkc)));
  said text[] := (array(select w from unnest(string_to_array(crm.search_key(q), ' ')) with ordinality u(w, at) where w <> '' group by w order by min(at)))[:16];
  named text; titled tsquery; singles tsquery[]; exact_kinds text[]; exact_numbers bigint[]; exact_places int[];
  whole tsquery; either tsquery; useful text[]; s crm.search_state;
  avoided tsquery := websearch_to_tsquery('pg_catalog.simple', (select string_agg('-' || x[1], ' ') from regexp_matches(plain, '(?:^|\s)-("[^"]*"|[[:alnum:]]+)', 'g') x));
begin
  if o is null or q is null or search.most <= 0 then return; end if;
  select * into s from crm.search_state x where x.org_id = o;
  -- of all signs only quotes count, and a dash before a word: a row of dashes would be more than the parser of queries bears
  whole := websearch_to_tsquery('pg_catalog.simple', replace(regexp_replace(regexp_replace(plain, '(^|\s)-(?=[[:alnum:]"])', '\1' || chr(1), 'g'),
    '[^[:alnum:]"[:space:]' || chr(1) || ']+', ' ', 'g'), chr(1), '-'));
  -- words that say nothing are left out where some words of the query are enough
  useful := array(select w from unnest(said) w where length(w) > 1 and not exists (select from unnest(array['english_stem', 'german_stem',
    'french_stem', 'spanish_stem', 'italian_stem', 'dutch_stem', 'portuguese_stem']) d where ts_lexize(('pg_catalog.' || d)::regdictionary, w) = '{}'));
  if useful = '{}' then useful := said; end if;
  select array_agg(x.entity order by x.place, x.entity, x.record_id), array_agg(x.record_id order by x.place, x.entity, x.record_id), array_agg(x.place order by x.place, x.entity, x.record_id)
    into exact_kinds, exact_numbers, exact_places
    from (select y.entity, y.record_id, min(y.place) as place from crm.search_exact(q, wanted) y where tagged is null group by 1, 2 order by 3, 1, 2 limit 50) x;
  -- of an address or a site what many have in common says nothing: the mailbox is looked for, else the host without its last part
  named := crm.name_key(case when q ~ '^\s*[^@[:space:]]+@[^@[:space:]]*\s*$' then case when exact_kinds is null then split_part(btrim(q), '@', 1) end
    when q ~* '^\s*(@|(https?://)?www\.)?[[:alnum:]-]+(\.[[:alnum:]-]+)*\.[[:alpha:]]{2,}/?\s*$'
      then regexp_replace(regexp_replace(btrim(q), '^(@|(https?://)?(www\.)?)', '', 'i'), '\.[[:alpha:]]+/?$', '')
    else q end);
  if named is distinct from crm.name_key(q) then useful := array(select w from unnest(string_to_array(crm.search_key(named), ' ')) w where w <> ''); end if;
  singles := array(select (e'\'' || w || e'\'' || case when length(w) >= 4 then ':*' else '' end)::tsquery from unnest(useful) w);
  either := (select string_agg(x::text, ' | ') from unnest(singles) x)::tsquery;
  -- where some record's name holds all words as they are, it is no slip: names are then looked for by words, which is far less work
  titled := (select string_agg(e'\'' || w || e'\':A', ' & ') from unnest((string_to_array(named, ' '))[:16]) w where w <> '')::tsquery;
  return query
  with mine as not materialized (   -- what the role may see, by the index
    select c.* from crm.search_chunks c where c.org_id = o and c.entity = any (wanted) and (c.roles is null or who = any (c.roles))
     and (c.subject_type is null or c.subject_type = any (visible) or c.assignee_id = me) and (tagged is null or c.tags @> tagged)
     and (avoided is null or c.words @@ avoided)),
  exact as (select x.entity, x.record_id, null::int as part, row_number() over (order by x.place, x.entity, x.record_id) as place
    from unnest(exact_kinds, exact_numbers, exact_places) x(entity, record_id, place)),
  -- what an id names is read passage by passage
  read as (select m.entity, m.record_id, m.part, row_number() over (order by m.part) as place from exact e join mine m on m.entity = e.entity and m.record_id = e.record_id
    where q ~ '^\s*[A-Za-z]{2,5}_[0-9]{1,18}\s*$' limit 1000),
  words as (select x.entity, x.record_id, x.part, row_number() over (order by x.s desc, x.id) as place from (
    select c.*, ts_rank_cd(c.words, whole) as s from (select m.id, m.entity, m.record_id, m.part, m.words from mine m where m.words @@ whole limit 1000) c
    order by s desc, c.id limit 50) x),
  partly as (select x.entity, x.record_id, x.part, row_number() over (order by x.n desc, x.s desc, x.id) as place, power(x.n::numeric / cardinality(useful), 2) as sure from (
    select c.*, ts_rank(c.words, either) as s, (select count(*) from unnest(singles) w where c.words @@ w) as n
    from (select m.id, m.entity, m.record_id, m.part, m.words from mine m where m.words @@ either and (select count(*) from words) < 25 limit 1000) c
    order by n desc, s desc, c.id limit 50) x),
  by_words as materialized (select m.id, m.entity, m.record_id, m.part, m.names, m.title_key from mine m where m.names is not null and m.words @@ titled limit 500),
  names as (select x.entity, x.record_id, x.part, row_number() over (order by x.s desc, x.id) as place, power(least(x.s, 1), 3)::numeric as sure from (
    select c.*, crm.likeness(named, c.names) + 0.5 * greatest(public.similarity(coalesce(c.title_key, ''), named),
       public.similarity(substr(c.names, coalesce(length(c.title_key) + 2, 1)), named)) as s from (
      select d.* from (
        select * from by_words
        union all (select m.id, m.entity, m.record_id, m.part, m.names, m.title_key from mine m
          where not exists (select from by_words) and m.names is not null and m.names operator(public.%>) named and named <> '' limit 1000)) d
      order by public.word_similarity(named, d.names) desc, length(d.names), d.id limit 50) c
    order by s desc, c.id limit 50) x),
  -- what was changed since the index was: written a moment ago, or while the indexer is away
  fresh as materialized (select f.entity, f.record_id, crm.search_key(concat_ws(' ', f.title, f.handles, f.body)) as key, f.tags, f.roles, f.subject_type, f.assignee_id
    from (select array_agg(y.tbl) as k, array_agg(y.record) as n from (select z.tbl, (z.key ->> 'id')::bigint as record from (select c.tbl, c.key from crm.changes c
       where s.org_id is not null and c.org_id = o and (c.xact, c.id) > (s.xact, s.change_id) order by c.xact desc, c.id desc limit 500) z
       where z.tbl = any (wanted) group by z.tbl, z.key ->> 'id' limit 200) y) t, crm.search_source(t.k, t.n) f),
  news as (select f.entity, f.record_id, null::int as part, row_number() over (order by f.entity, f.record_id desc) as place from fresh f
    where said <> '{}' and not exists (select from unnest(said) w where f.key not like '%' || w || '%') and (f.roles is null or who = any (f.roles))
     and (f.subject_type is null or f.subject_type = any (visible) or f.assignee_id = me) and (tagged is null or f.tags @> tagged) limit 50),
  -- passages alike in meaning, or in spelling where the model knows no meanings: by the model that is live, and a vector of that one
  alike as (select n.entity, n.record_id, n.part, l.is_semantic, row_number() over (order by n.distance, n.entity, n.record_id, n.part) as place
    from crm.embedding_models l, crm.nearest(l.name, search.vector, who, me, wanted, tagged, 50) n
    join mine m on m.entity = n.entity and m.record_id = n.record_id and m.part = n.part
    where l.state = 'live' and l.name = search.model),
  -- each leg gives its best 50 passages in order; another leg is one more `union all`
  legs as (
    select 'exact' as kind, e.entity, e.record_id, e.part, e.place, 20.0 as weight from exact e
    union all select 'exact', r.entity, r.record_id, r.part, r.place, 20.0 from read r
    union all select 'all words', w.entity, w.record_id, w.part, w.place, 1.0 from words w
    union all select 'some words', w.entity, w.record_id, w.part, w.place, w.sure from partly w
    union all select 'similar name', n.entity, n.record_id, n.part, n.place, 1.5 * n.sure from names n
    union all select case when a.is_semantic then 'similar meaning' else 'similar spelling' end, a.entity, a.record_id, a.part, a.place,
      case when a.is_semantic then 1.0 else 0.4 end from alike a
    union all select 'just written', n.entity, n.record_id, n.part, n.place, 1.0 from news n),
  -- reciprocal rank fusion (Cormack, Clarke, Büttcher, 2009), a record by its best passage in each leg
  best as (select distinct on (l.kind, l.entity, l.record_id, r.part) l.kind, l.entity, l.record_id, coalesce(r.part, -1) as shown, l.part, l.weight / (60 + l.place) as s
    from legs l left join read r on r.entity = l.entity and r.record_id = l.record_id and r.part = l.part
    order by l.kind, l.entity, l.record_id, r.part, l.place),
  fused as (select b.entity, b.record_id, b.shown, sum(b.s) as s, array_agg(distinct b.kind) as kinds,
     (array_agg(b.part order by b.kind = 'similar name', b.s desc) filter (where b.part is not null))[1] as part
    from best b where b.shown >= 0 or not exists (select from read r where r.entity = b.entity and r.record_id = b.record_id)
    group by b.entity, b.record_id, b.shown order by s desc, b.entity, b.record_id, b.shown
    limit least(300, greatest(skipped, 0) + least(search.most, 300) + 40)),
  live as materialized (select f.* from (select array_agg(u.entity) as k, array_agg(u.record_id) as n from (select distinct entity, record_id from fused) u) t, crm.search_source(t.k, t.n) f),
  told as (select f.*, v.title as live_title, v.body as live_body, v.tags as live_tags, v.subject_type, v.subject_id, v.changed_at, v.version as live_version
    from fused f join live v on v.entity = f.entity and v.record_id = f.record_id
    where f.entity = any (wanted) and (v.roles is null or who = any (v.roles)) and (tagged is null or v.tags @> tagged)
     and (v.subject_type is null or f.entity = 'tasks' and v.assignee_id = me or v.subject_type = any (visible) and (v.subject_type <> 'tasks'
      or not exists (with recursive up as (select v.subject_type as kind, v.subject_id as number
         union select k.subject_type, k.subject_id from up join crm.tasks k on k.org_id = o and up.kind = 'tasks' and k.id = up.number and k.subject_type is not null)
       select from up where up.kind <> all (visible)))))
  select t.entity, t.record_id, c.part, c.parts, round(t.s::numeric, 5), t.kinds, coalesce(c.title, t.live_title), c.section, coalesce(c.body, left(t.live_body, 1200)), t.live_tags,
    t.subject_type, t.subject_id, t.changed_at, coalesce(c.version <> t.live_version, true)
   from told t left join crm.search_chunks c on c.org_id = o and c.entity = t.entity and c.record_id = t.record_id and c.part = coalesce(t.part, 0)
   order by t.s desc, t.entity, t.record_id, t.shown offset greatest(skipped, 0) limit least(search.most, 300);
end $f$;
