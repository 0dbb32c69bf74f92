-- Working memory: what a person looked at and did lately. Ids and names of tools; a crash of Postgres may empty it.

insert into crm.retention(what, kept, reason) values
 ('working memory', '1 day', 'A page is told for eight hours and an action for one; what nobody added to since yesterday is over.');

create unlogged table crm.working_memory(
  org_id bigint not null references crm.orgs on delete cascade, user_id bigint not null references crm.users on delete cascade,
  agent text not null check (agent ~ '^[a-z]{0,30}$'),
  page jsonb check (page ->> 'id' ~ '^[a-z]{2,5}_[1-9][0-9]{0,17}$' and page ->> 'tool' ~ '^[a-z_]{1,60}$' and page - array['id', 'tool', 'call', 'at'] = '{}'),
  customer jsonb check (customer ->> 'id' ~ '^cust_[1-9][0-9]{0,17}$' and customer ->> 'tool' ~ '^[a-z_]{1,60}$' and customer - array['id', 'tool', 'call', 'at'] = '{}'),
  acts jsonb not null default '[]', used_at timestamptz not null default clock_timestamp(),
  primary key (org_id, user_id, agent)) with (fillfactor = 50);
comment on table crm.working_memory is 'What a person, or an agent that acts for them, looked at and did lately: ids and names of tools.';
comment on column crm.working_memory.user_id is 'Whose.';
comment on column crm.working_memory.agent is 'The agent that acted for them; empty: themselves.';
comment on column crm.working_memory.page is 'The record they read last: id, tool, call, time.';
comment on column crm.working_memory.customer is 'The customer they were about last: id, tool, call, time.';
comment on column crm.working_memory.acts is 'The last calls, ten that read and ten that wrote: tool, ids, call, time.';
comment on column crm.working_memory.used_at is 'When it was last added to.';
create index working_memory_age on crm.working_memory(org_id, used_at);

-- What was said of a place, at a time by this clock; null where nothing was, or what is no id.
create function crm.remembered_place(said jsonb) returns jsonb
language sql volatile set search_path = pg_catalog, pg_temp as $f$
  select jsonb_build_object('id', said ->> 'id', 'tool', said ->> 'tool', 'call', (said ->> 'call')::bigint,
     'at', clock_timestamp() - make_interval(secs => greatest((said ->> 'ago')::float8, 0)))
   where said ->> 'id' ~ '^[a-z]{2,5}_[1-9][0-9]{0,17}$' and said ->> 'tool' ~ '^[a-z_]{1,60}$' $f$;

-- The later of two places.
create function crm.later_place(one jsonb, other jsonb) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $f$
  select case when other is null then one when one is null or (other ->> 'at')::timestamptz >= (one ->> 'at')::timestamptz then other
    else one end $f$;

-- Acts that are not over, ten that read and ten that wrote, in the order of their times.
create function crm.last_acts(acts jsonb) returns jsonb
language sql volatile set search_path = pg_catalog, pg_temp as $f$
  select coalesce(jsonb_agg(x.act order by (x.act ->> 'at')::timestamptz), '[]') from (
    select a.act, row_number() over (partition by a.act -> 'writes' order by (a.act ->> 'at')::timestamptz desc) as n
     from jsonb_array_elements(acts) a(act) where (a.act ->> 'at')::timestamptz > clock_timestamp() - interval '1 hour') x
   where x.n <= 10 $f$;

-- Adds what somebody looked at and did: `said` is {page, customer: {id, tool, call, ago}, acts: [{tool, ids, call, ago, writes}]},
-- where `ago` is in seconds. Rides with the audit's rows, so what does not fit is left out and nothing is raised.
create function crm.remember(org bigint, whose bigint, by_agent text, said jsonb) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp as $f$
  insert into crm.working_memory as w (org_id, user_id, agent, page, customer, acts)
  select m.org_id, m.user_id, by_agent, crm.remembered_place(said -> 'page'),
    (select p from crm.remembered_place(said -> 'customer') p where p ->> 'id' like 'cust\_%'),
    crm.last_acts((select coalesce(jsonb_agg(jsonb_build_object('tool', a.act ->> 'tool', 'call', (a.act ->> 'call')::bigint,
       'writes', coalesce((a.act ->> 'writes')::boolean, false), 'at', clock_timestamp() - make_interval(secs => greatest((a.act ->> 'ago')::float8, 0)),
       'ids', (select coalesce(jsonb_agg(i.id), '[]') from (select e.id from jsonb_array_elements_text(a.act -> 'ids') e(id)
          where e.id ~ '^[a-z]{2,5}_[1-9][0-9]{0,17}$' limit 5) i))), '[]')
      from jsonb_array_elements(said -> 'acts') a(act) where a.act ->> 'tool' ~ '^[a-z_]{1,60}$'))
  from crm.memberships m where m.org_id = org and m.org_id = nullif(current_setting('crm.org_id', true), '')::bigint
   and m.user_id = whose and m.active and by_agent ~ '^[a-z]{0,30}$'
  on conflict (org_id, user_id, agent) do update set page = crm.later_place(w.page, excluded.page),
    customer = crm.later_place(w.customer, excluded.customer), acts = crm.last_acts(w.acts || excluded.acts), used_at = clock_timestamp() $f$;

create function crm.forget_working(most int default 10000) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare
  o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; n bigint;
  before timestamptz := clock_timestamp() - (select r.kept from crm.retention r where r.what = 'working memory');
begin
  delete from crm.working_memory w where w.org_id = o and (w.user_id, w.agent) in (
    select x.user_id, x.agent from crm.working_memory x where x.org_id = o and x.used_at < before order by x.used_at limit most);
  get diagnostics n = row_count;
  return n;
end $f$;
