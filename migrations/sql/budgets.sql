-- Budgets of models: what may be spent in one request to a model and in a day (UTC), what is held for calls that run, what was spent.

insert into crm.retention(what, kept, reason) values
 ('reservations', '1 day', 'It is held for minutes, and may be settled late; then its figures stand in the usage.'),
 ('usage', '730 days', 'What models cost is compared with the same month of the year before.');

create table crm.budgets(
  org_id bigint not null references crm.orgs on delete cascade,
  scope text not null check (scope in ('request', 'user', 'org')), user_id bigint not null default 0,
  tokens bigint check (tokens >= 0), money numeric(19,4) check (money >= 0), warn_at numeric(3,2) check (warn_at > 0 and warn_at <= 1),
  primary key (org_id, scope, user_id), check (user_id = 0 or scope = 'user'));
comment on table crm.budgets is 'What an org may spend on models where it differs from the standard; written by the owner, recorded in access_log.';
comment on column crm.budgets.scope is 'request: one request to a model, its answer with it; user: a person in a day; org: everybody in a day.';
comment on column crm.budgets.user_id is 'Whose; 0: everybody''s.';
comment on column crm.budgets.tokens is 'In and out together; null: as for everybody, or the standard.';
comment on column crm.budgets.money is 'Base currency; null: as for everybody, or no limit.';
comment on column crm.budgets.warn_at is 'The share from which a warning is given; null: as for everybody, or 0.8.';

create table crm.budget_days(
  org_id bigint not null references crm.orgs on delete cascade, day date not null, user_id bigint not null default 0,
  tokens bigint not null default 0, money numeric(19,8) not null default 0,
  forgiven_tokens bigint not null default 0, forgiven_money numeric(19,8) not null default 0,
  primary key (org_id, day, user_id));
comment on table crm.budget_days is 'What counts against the budgets of a day: the org''s row, which also makes one wait for the other, and each person''s.';
comment on column crm.budget_days.day is 'UTC, by the database''s clock when the call was reserved.';
comment on column crm.budget_days.user_id is 'Whose; 0: the org''s.';
comment on column crm.budget_days.tokens is 'Spent, in and out together.';
comment on column crm.budget_days.money is 'Spent, base currency.';
comment on column crm.budget_days.forgiven_tokens is 'Of these, what an administrator''s reset no longer counts.';
comment on column crm.budget_days.forgiven_money is 'The same of the money.';

create table crm.token_reservations(
  org_id bigint not null references crm.orgs on delete cascade, id bigint generated always as identity,
  user_id bigint not null references crm.users, agent text, use_case text not null check (length(use_case) between 1 and 60),
  day date not null, tokens bigint not null check (tokens >= 0), money numeric(19,8) not null check (money >= 0),
  created_at timestamptz not null, expires_at timestamptz not null, settled_at timestamptz,
  primary key (org_id, id));
create index token_reservations_held on crm.token_reservations(org_id, expires_at) where settled_at is null;
create index token_reservations_age on crm.token_reservations(org_id, created_at);
comment on table crm.token_reservations is 'What is held for a model call, and, once settled, what it really used.';
comment on column crm.token_reservations.expires_at is 'Unsettled it is held no longer: its process has died.';

create table crm.model_usage(
  org_id bigint not null references crm.orgs on delete cascade, day date not null, user_id bigint not null references crm.users,
  agent text not null default '', use_case text not null, model text not null default '' check (length(model) <= 100),
  calls bigint not null, tokens_in bigint not null, tokens_out bigint not null, money numeric(19,8) not null,
  primary key (org_id, day, user_id, agent, use_case, model));
comment on table crm.model_usage is 'What models were used for, by day (UTC), person, agent, use case and model; no reset changes it.';
comment on column crm.model_usage.money is 'Base currency.';

-- The standard of every org; a test holds it equal to the program's.
create function crm.budget_standard() returns table(scope text, tokens bigint, warn_at numeric) language sql immutable set search_path = pg_catalog, pg_temp as $f$
  values ('request', 10000::bigint, 0.8), ('user', 500000, 0.8), ('org', 5000000, 0.8) $f$;

create function crm.budget_limits(org bigint, who bigint) returns table(scope text, tokens bigint, money numeric, warn_at numeric)
language sql stable set search_path = pg_catalog, pg_temp as $f$
  select s.scope, coalesce(own.tokens, every.tokens, s.tokens), coalesce(own.money, every.money), coalesce(own.warn_at, every.warn_at, s.warn_at)
   from crm.budget_standard() s
   left join crm.budgets own on own.org_id = org and own.scope = s.scope and own.user_id = who and s.scope = 'user'
   left join crm.budgets every on every.org_id = org and every.scope = s.scope and every.user_id = 0 $f$;

-- Limits of a person at an instant, with what is spent and what is held for calls that run; of one request nothing is yet.
create function crm.budget_standing(org bigint, who bigint, at timestamptz)
 returns table(scope text, tokens_limit bigint, money_limit numeric, warn_at numeric, tokens_spent bigint, money_spent numeric,
  tokens_held bigint, money_held numeric, resets_at timestamptz)
language sql stable set search_path = pg_catalog, pg_temp as $f$
  select l.scope, l.tokens, l.money, l.warn_at,
    coalesce(d.tokens - d.forgiven_tokens, 0),
    coalesce(d.money - d.forgiven_money, 0),
    coalesce(h.tokens, 0), coalesce(h.money, 0),
    case when l.scope <> 'request' then (t.today + 1)::timestamp at time zone 'UTC' end
   from crm.budget_limits(org, who) l
   cross join (select (at at time zone 'UTC')::date as today) t
   left join crm.budget_days d on d.org_id = org and d.day = t.today and d.user_id = case l.scope when 'user' then who when 'org' then 0 end
   cross join lateral (select sum(x.tokens)::bigint as tokens, sum(x.money) as money from crm.token_reservations x
     where x.org_id = org and x.settled_at is null and x.expires_at > at
      and x.day = t.today and (l.scope = 'org' or l.scope = 'user' and x.user_id = who)) h
   order by array_position(array['request', 'user', 'org'], l.scope) $f$;

-- An amount in the base currency, at the rate of the day; null where none is stated.
create function crm.in_base(org bigint, amount numeric, currency text, day date) returns numeric
language sql stable security definer set search_path = pg_catalog, pg_temp as $f$
  select case when currency = (select o.base_currency from crm.orgs o where o.id = org) then amount else amount *
    (select r.rate from crm.exchange_rates r where r.org_id = org and r.currency = in_base.currency and r.valid_from <= day and r.archived_at is null
      order by r.valid_from desc limit 1) end $f$;

-- Adds to what was spent in a day. With nothing to add it still locks the row until the transaction ends.
create function crm.count_spent(org bigint, on_day date, who bigint, more_tokens bigint, more_money numeric) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp as $f$
  insert into crm.budget_days(org_id, day, user_id, tokens, money) values (org, on_day, who, more_tokens, more_money)
  on conflict (org_id, day, user_id) do update set tokens = budget_days.tokens + excluded.tokens, money = budget_days.money + excluded.money $f$;

-- Holds tokens and money for one model call, or says which limit has no room for it. One at a time in an org: its row of the
-- day is locked first, and what others hold is read by a later statement, whose snapshot is newer.
create function crm.reserve_tokens_at(b crm.bound_principal, use_case text, tokens bigint, money numeric, currency text, at timestamptz)
 returns jsonb language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare
  today date := (at at time zone 'UTC')::date; cost numeric := crm.in_base(b.org_id, money, currency, today);
  s record; held bigint;
begin
  if tokens is null or tokens < 0 or tokens > 1000000000 or money is null or money < 0 or money > 1000000000 then
    raise exception 'not an amount that can be reserved' using errcode = '22023';
  end if;
  perform crm.count_spent(b.org_id, today, 0, 0, 0);
  for s in select * from crm.budget_standing(b.org_id, b.user_id, at) loop
    if s.tokens_limit - s.tokens_spent - s.tokens_held < tokens then
      return jsonb_build_object('scope', s.scope, 'unit', 'tokens', 'limit', s.tokens_limit, 'spent', s.tokens_spent, 'held', s.tokens_held,
        'asked', tokens, 'resetsAt', s.resets_at);
    end if;
    if s.money_limit is not null and cost is null then
      return jsonb_build_object('scope', s.scope, 'unit', 'rate', 'currency', currency);
    end if;
    if s.money_limit is not null and s.money_limit - s.money_spent - s.money_held < cost then
      return jsonb_build_object('scope', s.scope, 'unit', 'money', 'limit', s.money_limit::text, 'spent', s.money_spent::text, 'held', s.money_held::text,
        'asked', cost::text, 'resetsAt', s.resets_at);
    end if;
  end loop;
  insert into crm.token_reservations(org_id, user_id, agent, use_case, day, tokens, money, created_at, expires_at)
   values (b.org_id, b.user_id, b.agent, use_case, today, tokens, coalesce(cost, 0), at, at + interval '15 minutes') returning id into held;
  return jsonb_build_object('id', held);
end $f$;

-- Puts what a model call really used in the place of what was held for it, and says where the budgets stand then. It counts on the
-- day it was reserved, once, however often and however late it is settled.
create function crm.settle_tokens_at(b crm.bound_principal, reservation bigint, tokens_in bigint, tokens_out bigint, money numeric, currency text, model text,
  at timestamptz) returns jsonb language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare r crm.token_reservations; cost numeric;
begin
  if tokens_in is null or tokens_out is null or least(tokens_in, tokens_out) < 0 or greatest(tokens_in, tokens_out) > 1000000000
     or money is null or money < 0 or money > 1000000000 then
    raise exception 'not an amount that can be spent' using errcode = '22023';
  end if;
  select * into r from crm.token_reservations x where x.org_id = b.org_id and x.id = reservation and x.user_id = b.user_id
   and x.agent is not distinct from b.agent;
  if r.id is null then raise exception 'no such reservation' using errcode = '42501'; end if;
  cost := crm.in_base(b.org_id, money, currency, r.day);
  perform crm.count_spent(b.org_id, r.day, 0, 0, 0);
  update crm.token_reservations x set tokens = tokens_in + tokens_out, money = coalesce(cost, 0), settled_at = at
   where x.org_id = b.org_id and x.id = reservation and x.settled_at is null;
  if found then
    perform crm.count_spent(b.org_id, r.day, 0, tokens_in + tokens_out, coalesce(cost, 0));
    perform crm.count_spent(b.org_id, r.day, b.user_id, tokens_in + tokens_out, coalesce(cost, 0));
    insert into crm.model_usage(org_id, day, user_id, agent, use_case, model, calls, tokens_in, tokens_out, money)
     values (b.org_id, r.day, b.user_id, coalesce(b.agent, ''), r.use_case, settle_tokens_at.model, (tokens_in + tokens_out > 0)::int, settle_tokens_at.tokens_in,
       settle_tokens_at.tokens_out, coalesce(cost, 0))
     on conflict on constraint model_usage_pkey do update set calls = model_usage.calls + excluded.calls,
       tokens_in = model_usage.tokens_in + excluded.tokens_in, tokens_out = model_usage.tokens_out + excluded.tokens_out,
       money = model_usage.money + excluded.money;
  end if;
  return jsonb_build_object('isPriced', cost is not null, 'standing', (select jsonb_agg(jsonb_build_object('scope', s.scope, 'warnAt', s.warn_at::text,
     'tokensLimit', s.tokens_limit, 'tokensSpent', s.tokens_spent, 'moneyLimit', s.money_limit::text, 'moneySpent', s.money_spent::text,
     'resetsAt', s.resets_at)) from crm.budget_standing(b.org_id, b.user_id, at) s where s.scope <> 'request'));
end $f$;

create function crm.reserve_tokens(use_case text, tokens bigint, money numeric, currency text) returns jsonb
language sql volatile security definer set search_path = pg_catalog, pg_temp as $f$
  select crm.reserve_tokens_at(crm.bound(), use_case, tokens, money, currency, clock_timestamp()) $f$;
create function crm.settle_tokens(reservation bigint, tokens_in bigint, tokens_out bigint, money numeric, currency text, model text) returns jsonb
language sql volatile security definer set search_path = pg_catalog, pg_temp as $f$
  select crm.settle_tokens_at(crm.bound(), reservation, tokens_in, tokens_out, money, currency, model, clock_timestamp()) $f$;

create function crm.forget_usage(most int default 10000) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare
  o bigint := nullif(current_setting('crm.org_id', true), '')::bigint; gone bigint; n bigint;
  runs timestamptz := clock_timestamp() - (select r.kept from crm.retention r where r.what = 'reservations');
  days date := (clock_timestamp() - (select r.kept from crm.retention r where r.what = 'usage'))::date;
begin
  delete from crm.token_reservations t where t.org_id = o and t.id in (
    select x.id from crm.token_reservations x where x.org_id = o and x.created_at < runs order by x.created_at limit most);
  get diagnostics gone = row_count;
  delete from crm.budget_days d where d.org_id = o and d.day < days;
  get diagnostics n = row_count;
  gone := gone + n;
  delete from crm.model_usage u where u.org_id = o and u.day < days;
  get diagnostics n = row_count;
  return gone + n;
end $f$;
