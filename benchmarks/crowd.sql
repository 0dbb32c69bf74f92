-- Records of many orgs of very different size, made from chance that is the same every time. Takes, as settings of the
-- session: crowd.customers, crowd.lines, crowd.tenants. Everything belongs to a customer of its org; the n-th org has
-- about 1/n of the first one's, and a few customers have most of the orders.
select setseed(0.42);

create temp table tenant as
  with made as (insert into crm.orgs(slug, name, base_currency, timezone)
      select 'crowd-' || n, 'Crowd ' || n, 'EUR', 'Europe/Berlin' from generate_series(1, current_setting('crowd.tenants')::int) n
      returning id, split_part(slug, '-', 2)::int as n)
  select id, n, sum(1.0 / n) over (order by n) / sum(1.0 / n) over () as upto from made;
with made as (insert into crm.users(email, name)
    select r.role || '@crowd-' || t.n || '.example', initcap(r.role) || ' ' || t.n
      from tenant t, (values ('admin'), ('sales'), ('operations'), ('finance'), ('support')) r(role) returning id, email)
  insert into crm.memberships(org_id, user_id, role, may_approve, approval_limit)
  select t.id, m.id, split_part(m.email, '@', 1), true, 1000000 from made m join tenant t on m.email like '%@crowd-' || t.n || '.example';
select crm.default_pipelines(id) from tenant;

create temp table place as select n::int as n, name from unnest(array['Berlin', 'Hamburg', 'Köln', 'München', 'Bonn', 'Wien', 'Zürich', 'Graz',
  'Paris', 'Lyon', 'Lille', 'Milano', 'Torino', 'Madrid', 'Bilbao', 'Porto', 'Lisboa', 'London', 'Leeds', 'Bristol', 'Dublin', 'Oslo', 'Bergen',
  'Malmö', 'Aarhus', 'Gdańsk', 'Praha', 'Brno', 'Boston', 'Denver']) with ordinality x(name, n);
create temp table trade as select n::int as n, name from unnest(array['Logistics', 'Metall', 'Papier', 'Foods', 'Motors', 'Textil', 'Pharma',
  'Software', 'Energy', 'Optik', 'Möbel', 'Druck', 'Chemie', 'Marine', 'Bau', 'Glas', 'Medizintechnik', 'Elektronik', 'Spedition', 'Agrar'])
  with ordinality x(name, n);
create function pg_temp.stem() returns text language sql volatile as $f$
  select initcap(a[1 + floor(random() * 24)::int] || b[1 + floor(random() * 24)::int] || c[1 + floor(random() * 24)::int])
    from (select string_to_array('ba bo bre da do dra fa fi flo ga gre ha jo ka ko la lu ma ne pa ro sa tu va', ' ') as a,
      string_to_array('lan ber mer din vol ker nes tal gan lis mon rig sto pel hus wen dor bak fen lom cas vir zet qui', ' ') as b,
      string_to_array('a o er son mann berg ini ov ek stein ard ley ton wood ie sen ke lund elli ez field ic us ner', ' ') as c) x $f$;

create temp table crowd as
  select g as id, t.id as org_id, t.n as tenant, pg_temp.stem() as stem, pg_temp.stem() as family, 1 + floor(random() * 30)::int as place,
    1 + floor(random() * 20)::int as trade, now() - random() * interval '700 days' as at, random() as chance,
    (select min(u.id) from crm.users u where u.email = 'admin@crowd-' || t.n || '.example') + floor(random() * 5)::int as person
  from (select g, random() as r from generate_series(1, current_setting('crowd.customers')::bigint) g) x
    join tenant t on x.r <= t.upto and x.r > t.upto - 1.0 / t.n / (select sum(1.0 / n) from tenant);
create unique index on crowd(id);
analyze crowd;

insert into crm.organizations(org_id, id, name, domain, industry, employees, email, phone, city, country, technologies, owner_id, created_at, updated_at, archived_at, custom_fields)
  select c.org_id, c.id, c.stem || ' ' || t.name || case when chance < 0.4 then ' GmbH' when chance < 0.6 then ' AG' when chance < 0.8 then ' Ltd' else '' end,
    lower(c.stem) || c.id || '.example', t.name, (chance * 5000)::int, 'info@' || lower(c.stem) || c.id || '.example', '+49 30 ' || (1000000 + c.id), p.name, 'DE',
    '["postgres"]', case when chance < 0.9 then person end, at, at, case when chance < 0.03 then now() end, jsonb_build_object('tier', (chance * 3)::int)
  from crowd c join place p on p.n = c.place join trade t on t.n = c.trade;
insert into crm.customers(org_id, id, name, kind, email, phone, domain, segment, city, country, owner_id, created_at, updated_at, archived_at, custom_fields)
  select c.org_id, c.id, c.stem || ' ' || t.name || case when chance < 0.4 then ' GmbH' when chance < 0.6 then ' AG' when chance < 0.8 then ' Ltd' else '' end,
    case when chance < 0.9 then 'organization' else 'person' end, 'office@' || lower(c.stem) || c.id || '.example', '+49 30 ' || (1000000 + c.id),
    lower(c.stem) || c.id || '.example', t.name, p.name, 'DE', case when chance < 0.9 then person end, at, at,
    case when chance < 0.03 then now() end, jsonb_build_object('tier', (chance * 3)::int)
  from crowd c join place p on p.n = c.place join trade t on t.n = c.trade;
insert into crm.individuals(org_id, id, name, title, email, city, owner_id, created_at, updated_at)
  select c.org_id, c.id, c.family || ' ' || c.stem, 'Head of ' || t.name, lower(c.family) || c.id || '@mail.example', p.name, person, at, at
  from crowd c join place p on p.n = c.place join trade t on t.n = c.trade where c.id % 2 = 0;
insert into crm.contacts(org_id, id, customer_id, organization_id, individual_id, name, title, email, phone, created_at, updated_at)
  select c.org_id, c.id, c.id, c.id, case when c.id % 2 = 0 then c.id end, c.family || ' ' || c.stem, 'Buyer', lower(c.family) || '@' || lower(c.stem) || c.id || '.example',
    '+49 170 ' || (1000000 + c.id), at, at
  from crowd c;
insert into crm.products(org_id, id, sku, name, category, unit_price, currency, created_at, updated_at)
  select c.org_id, c.id, 'SKU-' || c.id, c.family || ' ' || t.name, t.name, 1 + (chance * 900)::int, 'EUR', at, at
  from crowd c join trade t on t.n = c.trade where c.id % 50 = 0 or c.id <= 400;
insert into crm.stock_movements(org_id, product_id, quantity, kind, created_at) select p.org_id, p.id, 50 + x, 'receipt', now() from crm.products p join tenant t on t.id = p.org_id, generate_series(1, 10) x;
insert into crm.deals(org_id, id, name, status, amount, currency, base_amount, expected_close_on, closed_at, customer_id, organization_id, owner_id, created_at, updated_at)
  select c.org_id, c.id, t.name || ' for ' || c.stem, (array['open', 'won', 'lost'])[1 + c.id % 3], (chance * 90000)::int, 'EUR', (chance * 90000)::int,
    current_date + (chance * 200)::int - 100, case when c.id % 3 > 0 then at end, c.id, c.id, person, at, at from crowd c join trade t on t.n = c.trade where c.id % 2 = 0;
insert into crm.leads(org_id, id, kind, name, status, source, organization_id, owner_id, created_at, updated_at)
  select c.org_id, c.id, (array['job', 'opportunity', 'partnership'])[1 + c.id / 4 % 3], t.name || ' at ' || c.stem,
    (array['new', 'contacted', 'qualified', 'lost'])[1 + (chance * 4)::int % 4], 'fair', c.id, person, at, at from crowd c join trade t on t.n = c.trade where c.id % 4 = 0;
insert into crm.jobs(org_id, lead_id, role, salary_min, currency) select l.org_id, l.id, 'Engineer', 50000, 'EUR' from crm.leads l join tenant t on t.id = l.org_id where l.kind = 'job';
insert into crm.opportunities(org_id, lead_id, amount, currency) select l.org_id, l.id, 9000, 'EUR' from crm.leads l join tenant t on t.id = l.org_id where l.kind = 'opportunity';
insert into crm.projects(org_id, id, name, status, customer_id, owner_id, created_at, updated_at)
  select c.org_id, c.id, 'Rollout ' || c.stem, (array['planned', 'active', 'done'])[1 + c.id % 3], c.id, person, at, at from crowd c where c.id % 10 = 0;
insert into crm.issues(org_id, id, customer_id, title, description, type, status, priority, opened_at, respond_by, resolve_by, assignee_id, created_at, updated_at)
  select c.org_id, c.id, c.id, (array['Late delivery', 'Broken part', 'Wrong invoice', 'Question'])[1 + c.id / 2 % 4] || ' of ' || c.family, 'About the ' || t.name || ' of ' || c.stem,
    (array['problem', 'question', 'return'])[1 + c.id / 2 % 3], (array['open', 'waiting', 'resolved', 'closed', 'closed', 'closed'])[1 + c.id / 2 % 6],
    (array['low', 'normal', 'high', 'urgent'])[1 + c.id / 2 % 4], at, at + interval '1 day', at + interval '5 days', person, at, at
  from crowd c join trade t on t.n = c.trade where c.id % 2 = 0;
insert into crm.tasks(org_id, id, title, status, priority, due_on, assignee_id, customer_id, subject_type, subject_id, created_at, updated_at)
  select c.org_id, c.id, 'Call ' || c.family || ' about ' || t.name, (array['open', 'done'])[1 + c.id / 2 % 2], 'normal', current_date + (chance * 60)::int - 30, person, c.id,
    (array['customers', 'deals'])[1 + (c.id / 4 % 2)], c.id, at, at from crowd c join trade t on t.n = c.trade where c.id % 2 = 0;
insert into crm.notes(org_id, id, body, customer_id, subject_type, subject_id, written_at, created_at, updated_at)
  select c.org_id, c.id, c.family || ' asked for the ' || t.name || ' list and ' || c.stem || ' will call back on monday', c.id, (array['customers', 'deals'])[1 + c.id % 4 / 2 % 2], c.id, at, at, at
  from crowd c join trade t on t.n = c.trade;
insert into crm.documents(org_id, id, title, description, url, customer_id, subject_type, subject_id, created_at, updated_at)
  select c.org_id, c.id, 'Offer ' || c.stem, t.name, 'https://files.example/' || c.id, c.id, 'customers', c.id, at, at from crowd c join trade t on t.n = c.trade where c.id % 10 = 0;
insert into crm.activities(org_id, customer_id, kind, subject, happened_at, subject_type, subject_id, created_at)
  select c.org_id, c.id, 'call', 'Talk with ' || c.family, at, 'customers', c.id, at from crowd c;

create temp table sale as
  select g as id, 1 + floor(current_setting('crowd.customers')::bigint * power(random(), 1.5))::bigint as customer_id,
    now() - random() * interval '1100 days' as at, 1 + floor(random() * 20)::int as units, random() as chance
  from generate_series(1, current_setting('crowd.lines')::bigint / 3) g;
create temp table goods as
  select org_id, array_agg(id order by id) as ids from crm.products where org_id in (select id from tenant) group by 1;
insert into crm.orders(org_id, id, number, customer_id, status, currency, net_total, tax_total, gross_total, base_total, placed_at, created_at, updated_at)
  select c.org_id, s.id, 'O-' || s.id, c.id, (array['confirmed', 'shipped', 'completed', 'completed', 'completed', 'cancelled'])[1 + (s.chance * 5.99)::int % 6],
    'EUR', s.units * 300, s.units * 57, s.units * 357, s.units * 357, s.at, s.at, s.at from sale s join crowd c on c.id = s.customer_id;
insert into crm.order_lines(org_id, order_id, product_id, position, description, quantity, unit_price, net_amount, tax_amount, created_at, updated_at)
  select o.org_id, o.id, g.ids[1 + (o.id * 7 + n * 13) % cardinality(g.ids)], n, 'Part ' || n, 1 + o.id % 20, 100, 100 * (1 + o.id % 20), 19 * (1 + o.id % 20), o.placed_at, o.placed_at
  from crm.orders o join goods g on g.org_id = o.org_id, generate_series(1, 3) n;
insert into crm.invoices(org_id, id, number, customer_id, order_id, currency, net_total, tax_total, gross_total, base_total, paid_total, issued_on, due_on, created_at, updated_at)
  select o.org_id, o.id, 'I-' || o.id, o.customer_id, o.id, 'EUR', o.net_total, o.tax_total, o.gross_total, o.base_total,
    case when o.id % 20 < 17 then o.gross_total else 0 end, o.placed_at::date, o.placed_at::date + 30, o.placed_at, o.placed_at
  from crm.orders o join tenant t on t.id = o.org_id where o.id % 2 = 0 and o.status <> 'cancelled';
insert into crm.payments(org_id, id, customer_id, currency, amount, base_amount, allocated_total, received_on, method, created_at, updated_at)
  select i.org_id, i.id, i.customer_id, 'EUR', i.paid_total, i.paid_total, i.paid_total, i.issued_on + 20, 'transfer', i.created_at, i.created_at
  from crm.invoices i join tenant t on t.id = i.org_id where i.paid_total > 0;
insert into crm.payment_allocations(org_id, payment_id, invoice_id, amount)
  select p.org_id, p.id, p.id, p.amount from crm.payments p join tenant t on t.id = p.org_id;
