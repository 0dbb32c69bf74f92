-- How many customers are there?
select count(*) from customers

-- How many customers has each country?
select country, count(*) as many from customers group by country order by many desc, country

-- Which segments have more than one customer?
select segment, count(*) from customers group by segment having count(*) > 1

-- What share of all customers has each country?
select country, count(*), round(100.0 * count(*) / sum(count(*)) over (), 1) as percent from customers group by country

-- Who are the five customers with the largest credit limit?
select name, credit_limit from customers order by credit_limit desc nulls last limit 5

-- Which customers have no e-mail address?
select id, name from customers where email is null or btrim(email) = ''

-- Which domains do the addresses of customers have?
select lower(split_part(email, '@', 2)) as domain, count(*) from customers where email is not null group by 1 order by 2 desc

-- Which customers came this year?
select name, created_at from customers where created_at >= date_trunc('year', now())

-- How many customers came in each month?
select date_trunc('month', created_at)::date as month, count(*) from customers group by 1 order by 1

-- Which customers pay within 30 days or less?
select name, payment_terms_days from customers where coalesce(payment_terms_days, 0) <= 30

-- Which customers have a name like a company's?
select name from customers where name ilike '%gmbh%' or name ~* '\m(inc|ltd|llc)\M'

-- Which initials do customers have?
select upper(left(name, 1)) as initial, count(*) from customers group by 1 order by 1

-- Which customers have the same postal code?
select a.name, b.name from customers a join customers b on a.postal_code = b.postal_code and a.id < b.id

-- How long are names?
select min(length(name)), max(length(name)), avg(length(name))::numeric(6,2) from customers

-- Which customers have never ordered?
select c.id, c.name from customers c where not exists (select from orders o where o.customer_id = c.id)

-- Which customers have never ordered, written as a join?
select c.id, c.name from customers c left join orders o on o.customer_id = c.id where o.id is null

-- Who has ordered most often?
select c.name, count(o.id) as orders from customers c join orders o on o.customer_id = c.id group by c.id, c.name order by orders desc limit 10

-- What did each customer bring?
select c.name, sum(o.base_total) as revenue from customers c join orders o on o.customer_id = c.id where o.status <> 'cancelled' group by c.name order by revenue desc

-- What is the mean order of each customer beside the mean of all?
select c.name, avg(o.gross_total) as mean, (select avg(gross_total) from orders) as mean_of_all from customers c join orders o on o.customer_id = c.id group by c.name

-- Which customers are above the mean?
with spent as (select customer_id, sum(base_total) as total from orders group by customer_id) select c.name, s.total from spent s join customers c on c.id = s.customer_id where s.total > (select avg(total) from spent)

-- Who are the customers that make up 80 per cent of revenue?
with spent as (select customer_id, sum(base_total) as total from orders group by 1), ranked as (select *, sum(total) over (order by total desc, customer_id) / nullif(sum(total) over (), 0) as share from spent) select c.name, r.total, round(r.share, 3) from ranked r join customers c on c.id = r.customer_id where r.share <= 0.8

-- In which quartile is each customer?
select customer_id, ntile(4) over (order by sum(base_total) desc) as quartile from orders group by customer_id

-- When did each customer order first and last?
select customer_id, min(placed_at)::date as first, max(placed_at)::date as last, max(placed_at) - min(placed_at) as span from orders group by customer_id

-- How many days lie between the orders of a customer?
select customer_id, placed_at, extract(day from placed_at - lag(placed_at) over (partition by customer_id order by placed_at)) as days from orders

-- Which customers have not ordered for 90 days?
select c.name, max(o.placed_at) as last from customers c join orders o on o.customer_id = c.id group by c.name having max(o.placed_at) < now() - interval '90 days'

-- How recent, how often, how much is each customer?
select customer_id, ntile(3) over (order by max(placed_at)) as recency, ntile(3) over (order by count(*)) as frequency, ntile(3) over (order by sum(base_total)) as money from orders group by customer_id

-- How many customers ordered twice and more?
select count(*) filter (where orders > 1) as again, count(*) as all_of_them from (select customer_id, count(*) as orders from orders group by 1) x

-- In which month did a cohort of customers come back?
with first as (select customer_id, date_trunc('month', min(placed_at)) as cohort from orders group by 1) select f.cohort::date, extract(year from age(date_trunc('month', o.placed_at), f.cohort)) * 12 + extract(month from age(date_trunc('month', o.placed_at), f.cohort)) as month, count(distinct o.customer_id) from first f join orders o using (customer_id) group by 1, 2 order by 1, 2

-- What was the last order of each customer?
select distinct on (customer_id) customer_id, number, placed_at, gross_total from orders order by customer_id, placed_at desc

-- What were the last three orders of each customer?
select c.name, o.number, o.placed_at from customers c cross join lateral (select number, placed_at from orders where customer_id = c.id order by placed_at desc limit 3) o

-- What is the revenue of each month?
select date_trunc('month', placed_at)::date as month, sum(base_total) from orders where status <> 'cancelled' group by 1 order by 1

-- How did each month's revenue change from the one before?
with months as (select date_trunc('month', placed_at) as month, sum(base_total) as revenue from orders group by 1) select month::date, revenue, revenue - lag(revenue) over (order by month) as change, round(100 * (revenue / nullif(lag(revenue) over (order by month), 0) - 1), 1) as percent from months order by month

-- What is the running total of the year?
select placed_at::date as day, sum(sum(base_total)) over (partition by extract(year from placed_at::date) order by placed_at::date) from orders group by placed_at::date

-- What is the moving mean of seven orders?
select number, avg(base_total) over (order by placed_at rows between 6 preceding and current row) as mean from orders

-- What is the moving sum over 30 days?
select number, sum(base_total) over (order by placed_at range between interval '30 days' preceding and current row) from orders

-- On which weekday do orders come?
select extract(isodow from placed_at) as weekday, to_char(placed_at, 'Dy') as name, count(*) from orders group by 1, 2 order by 1

-- At which hour do orders come?
select date_part('hour', placed_at) as hour, count(*) from orders group by 1 order by 1

-- What is the revenue of each quarter?
select extract(year from placed_at) as year, extract(quarter from placed_at) as quarter, sum(base_total) from orders group by 1, 2 order by 1, 2

-- How does a quarter compare to that of the year before?
with q as (select date_trunc('quarter', placed_at) as quarter, sum(base_total) as revenue from orders group by 1) select a.quarter::date, a.revenue, b.revenue as year_before from q a left join q b on b.quarter = a.quarter - interval '1 year'

-- Which days of the last four weeks had no order?
select day::date from generate_series(current_date - interval '28 days', current_date, interval '1 day') as day where not exists (select from orders where placed_at::date = day::date)

-- What is the revenue of each week, with the weeks without any?
select week::date, coalesce(sum(o.base_total), 0) from generate_series(date_trunc('week', now()) - interval '12 weeks', date_trunc('week', now()), interval '1 week') week left join orders o on date_trunc('week', o.placed_at) = week group by week order by week

-- How many orders are in each state?
select status, count(*), sum(gross_total) from orders group by status

-- How many orders of each state are there a month, side by side?
select date_trunc('month', placed_at)::date as month, count(*) filter (where status = 'draft') as draft, count(*) filter (where status = 'cancelled') as cancelled, count(*) filter (where status not in ('draft', 'cancelled')) as others from orders group by 1

-- How long does it take to ship?
select avg(shipped_at - placed_at) as mean, percentile_cont(0.5) within group (order by extract(epoch from shipped_at - placed_at) / 86400) as median_days from orders where shipped_at is not null

-- Which orders wait to be shipped for more than a week?
select number, now() - placed_at as waiting from orders where shipped_at is null and cancelled_at is null and placed_at < now() - interval '7 days' order by placed_at

-- What are the quartiles of orders?
select percentile_cont(array[0.25, 0.5, 0.75]) within group (order by gross_total) from orders

-- What is the largest tenth worth?
select percentile_disc(0.9) within group (order by gross_total) from orders

-- Which order value is most frequent?
select mode() within group (order by round(gross_total, -2)) from orders

-- How are orders spread over sizes?
select width_bucket(gross_total, 0, 10000, 10) as bucket, count(*), min(gross_total), max(gross_total) from orders group by 1 order by 1

-- How much do order values vary?
select stddev(gross_total), variance(gross_total), stddev_pop(gross_total) / nullif(avg(gross_total), 0) as coefficient from orders

-- Which salesperson sold what?
select coalesce(salesperson, 'nobody') as salesperson, count(*), sum(base_total) from orders group by 1 order by 3 desc nulls last

-- Which salesperson leads each month?
select * from (select date_trunc('month', placed_at)::date as month, salesperson, sum(base_total) as revenue, rank() over (partition by date_trunc('month', placed_at) order by sum(base_total) desc) as place from orders group by date_trunc('month', placed_at), salesperson) x where place = 1

-- What is sold by country and month, with subtotals?
select c.country, extract(month from o.placed_at) as month, sum(o.base_total) from orders o join customers c on c.id = o.customer_id group by rollup (c.country, extract(month from o.placed_at))

-- What is sold by country and state of the order, every way summed?
select c.country, o.status, grouping(c.country, o.status) as level, count(*) from orders o join customers c on c.id = o.customer_id group by cube (c.country, o.status)

-- What is sold by country, and apart from that by state?
select c.country, o.status, sum(o.gross_total) from orders o join customers c on c.id = o.customer_id group by grouping sets ((c.country), (o.status), ())

-- Which discounts were given?
select discount_percent, count(*) from orders where discount_percent > 0 group by 1 order by 1 desc

-- What did discounts cost?
select sum(quantity * unit_price * coalesce(discount_percent, 0) / 100) from order_lines

-- Which currencies are ordered in?
select currency, count(*), sum(gross_total), sum(base_total) from orders group by currency

-- At which rate was each currency booked?
select currency, round(avg(base_total / nullif(gross_total, 0)), 4) from orders group by currency

-- Which orders have a comment about delivery?
select number, comment from orders where comment ~* 'deliver|ship'

-- Which orders were made from quotes?
select o.number, q.number from orders o join quotes q on q.id = o.quote_id

-- Which orders came of an issue?
select o.number, i.title from orders o join issues i on i.id = o.issue_id

-- Why are orders cancelled?
select coalesce(nullif(btrim(cancel_reason), ''), 'no reason') as reason, count(*) from orders where cancelled_at is not null group by 1

-- Do the lines of each order sum up to it?
select o.number, o.net_total, sum(l.net_amount) as lines from orders o join order_lines l on l.order_id = o.id group by o.id, o.number, o.net_total, o.discount_percent having abs(o.net_total - sum(l.net_amount)) > 0.01 * count(*) + o.net_total * o.discount_percent / 100

-- How many lines does an order have?
select lines, count(*) as orders from (select order_id, count(*) as lines from order_lines group by 1) x group by 1 order by 1

-- Which products are sold most?
select p.name, sum(l.quantity) as sold, sum(l.net_amount) as revenue from order_lines l join products p on p.id = l.product_id group by p.id, p.name order by revenue desc limit 10

-- Which products were never sold?
select sku, name from products p where not exists (select 1 from order_lines l where l.product_id = p.id)

-- Which products have never been sold, as a difference of sets?
select id from products except select product_id from order_lines

-- Which products are both ordered and quoted?
select product_id from order_lines intersect select product_id from quote_lines

-- Which products are ordered or quoted, each counted?
select product_id, count(*) from (select product_id from order_lines union all select product_id from quote_lines) x group by 1

-- Which products are bought together?
select a.product_id, b.product_id, count(*) as together from order_lines a join order_lines b on a.order_id = b.order_id and a.product_id < b.product_id group by 1, 2 order by 3 desc limit 10

-- What does each category bring?
select coalesce(p.category, 'none') as category, sum(l.net_amount) from order_lines l left join products p on p.id = l.product_id group by 1

-- Which product leads its category?
select category, name, revenue from (select p.category, p.name, sum(l.net_amount) as revenue, row_number() over (partition by p.category order by sum(l.net_amount) desc, p.id) as place from order_lines l join products p on p.id = l.product_id group by p.id, p.category, p.name) x where place <= 2

-- Which products are dearer than the mean of their category?
select name, unit_price, avg(unit_price) over w as mean from products window w as (partition by category) order by unit_price - avg(unit_price) over w desc

-- How do prices rank, in three ways?
select name, row_number() over w, rank() over w, dense_rank() over w, percent_rank() over w, cume_dist() over w from products window w as (order by unit_price)

-- What are the first and last names of each category?
select distinct category, first_value(name) over w, last_value(name) over w, nth_value(name, 2) over w from products window w as (partition by category order by name rows between unbounded preceding and unbounded following)

-- Which products are sold below their price?
select p.name, p.unit_price, l.unit_price from order_lines l join products p on p.id = l.product_id where l.unit_price < p.unit_price

-- Which products are discontinued?
select sku, name from products where discontinued is true

-- What do the letters of a SKU say?
select substring(sku from '^[A-Za-z]+') as letters, count(*) from products group by 1

-- Which numbers are in a SKU?
select sku, regexp_replace(sku, '\D', '', 'g') as digits, regexp_count(sku, '\d') from products

-- Which words are in product names?
select word, count(*) from products, regexp_split_to_table(lower(name), '\s+') as word group by word order by 2 desc limit 20

-- Which words do product names have, counted by position?
select position, count(*) from products, unnest(string_to_array(name, ' ')) with ordinality as w(word, position) group by position order by position

-- What are all products of a category in one text?
select category, string_agg(name, ', ' order by name) from products group by category

-- What are all products of a category as a list?
select category, array_agg(distinct sku order by sku) from products group by category

-- What does each tax class hold?
select tax_class, min(tax_rate), max(tax_rate), count(*) from products group by tax_class

-- What is the warranty of products?
select warranty_months, case when warranty_months = 0 then 'none' when warranty_months < 24 then 'short' else 'long' end as kind, count(*) from products group by 1, 2

-- What is in stock?
select product_id, sum(quantity) as stock from stock_movements group by 1

-- What can be sold now?
select p.name, coalesce(m.stock, 0) - coalesce(r.held, 0) as free from products p left join (select product_id, sum(quantity) as stock from stock_movements group by 1) m on m.product_id = p.id left join (select product_id, sum(quantity) as held from stock_reservations where released_at is null group by 1) r on r.product_id = p.id

-- What must be ordered again?
select p.name, p.reorder_level, s.stock from products p join lateral (select coalesce(sum(quantity), 0) as stock from stock_movements where product_id = p.id) s on s.stock < p.reorder_level

-- How did stock go over time?
select product_id, created_at, quantity, sum(quantity) over (partition by product_id order by created_at, id) as stock from stock_movements

-- Which kinds of movement are there?
select kind, count(*), sum(quantity) from stock_movements group by kind

-- Which reservations are open?
select order_id, product_id, quantity, age(now(), created_at) from stock_reservations where released_at is null

-- How many invoices are open, and over how much?
select count(*), sum(gross_total - paid_total - credited_total) from invoices where gross_total > paid_total + credited_total

-- Which invoices are overdue, by how many days?
select number, due_on, current_date - due_on as days from invoices where due_on < current_date and gross_total > paid_total + credited_total order by days desc

-- How old are the receivables?
select case when due_on >= current_date then 'not due' when current_date - due_on <= 30 then '1-30' when current_date - due_on <= 60 then '31-60' else 'over 60' end as age, count(*), sum(gross_total - paid_total - credited_total) from invoices group by 1

-- Who owes most?
select c.name, sum(i.gross_total - i.paid_total - i.credited_total) as due from invoices i join customers c on c.id = i.customer_id group by c.name order by due desc limit 10

-- Who owes more than their credit limit?
select c.name, c.credit_limit, sum(i.gross_total - i.paid_total) as due from customers c join invoices i on i.customer_id = c.id group by c.id, c.name, c.credit_limit having sum(i.gross_total - i.paid_total) > c.credit_limit

-- How long do customers take to pay?
select p.customer_id, avg(p.received_on - i.issued_on) as days from payment_allocations a join payments p on p.id = a.payment_id join invoices i on i.id = a.invoice_id group by 1

-- What was invoiced and paid each month?
select coalesce(i.month, p.month)::date as month, invoiced, paid from (select date_trunc('month', issued_on) as month, sum(base_total) as invoiced from invoices group by 1) i full join (select date_trunc('month', received_on) as month, sum(base_amount) as paid from payments group by 1) p on p.month = i.month order by 1

-- How is money received?
select method, count(*), sum(amount) from payments group by method

-- Which payments are not yet allocated?
select id, amount - allocated_total as left_over from payments where amount > allocated_total

-- Which payments pay several invoices?
select payment_id, count(*), array_agg(invoice_id order by invoice_id) from payment_allocations group by 1 having count(*) > 1

-- Do allocations sum up to what is paid of an invoice?
select i.number, i.paid_total, coalesce(sum(a.amount), 0) from invoices i left join payment_allocations a on a.invoice_id = i.id group by i.id, i.number, i.paid_total having i.paid_total <> coalesce(sum(a.amount), 0)

-- Which payments have a reference that names an invoice?
select p.id, p.reference, i.number from payments p join invoices i on position(i.number in p.reference) > 0

-- What was credited, and why?
select explanation, count(*), sum(gross_total) from credit_notes group by explanation

-- What share of an invoice is tax?
select number, round(100 * tax_total / nullif(net_total, 0), 2) as percent from invoices

-- What tax is due a quarter?
select date_trunc('quarter', issued_on)::date, sum(tax_total) from invoices group by 1

-- What tax is due by rate?
select tax_rate, sum(net_amount), sum(tax_amount) from invoice_lines group by tax_rate order by tax_rate

-- Which invoice lines differ from the order's?
select il.id, il.unit_price, ol.unit_price from invoice_lines il join order_lines ol on ol.id = il.order_line_id where il.unit_price is distinct from ol.unit_price

-- Which orders are not invoiced?
select number from orders o where status <> 'cancelled' and id not in (select order_id from invoices where order_id is not null)

-- Which rates are valid today?
select distinct on (currency) currency, rate, valid_from from exchange_rates where valid_from <= current_date order by currency, valid_from desc

-- From when to when was a rate valid?
select currency, rate, daterange(valid_from, lead(valid_from) over (partition by currency order by valid_from)) as valid from exchange_rates

-- Which tax rates are there?
select zone, tax_class, rate, valid_from from tax_rates order by zone, tax_class, valid_from desc

-- How many quotes were won?
select status, count(*), round(100.0 * count(*) / nullif(sum(count(*)) over (), 0), 1) from quotes group by status

-- Which quotes run out within two weeks?
select number, valid_until from quotes where valid_until between current_date and current_date + 14

-- How long until a quote is decided?
select avg(decided_at - quoted_at), max(decided_at - quoted_at) from quotes where decided_at is not null

-- Why are quotes lost?
select lost_reason, count(*) from quotes where lost_reason is not null group by 1 order by 2 desc

-- What is a quote's largest line?
select q.number, l.description, l.net_amount from quotes q join lateral (select * from quote_lines where quote_id = q.id order by net_amount desc limit 1) l on true

-- Do quotes with a discount win more often?
select discount_percent > 0 as discounted, count(*), count(*) filter (where status = 'accepted') as won from quotes group by 1

-- How many leads are in each state?
select status, count(*) from leads group by status

-- Where do leads come from?
select coalesce(source, 'unknown'), count(*), count(converted_at) as converted from leads group by 1

-- How long does it take to convert a lead?
select percentile_cont(0.5) within group (order by converted_at - created_at) from leads where converted_at is not null

-- Which leads nobody has contacted?
select name, created_at from leads where contacted_at is null and status not in ('lost') order by created_at

-- Which leads belong to nobody?
select l.name from leads l left join people p on p.id = l.owner_id where p.id is null

-- Who owns how many leads?
select p.name, count(l.id) from people p left join leads l on l.owner_id = p.id group by p.name order by 2 desc

-- What do opportunities sum up to?
select currency, sum(amount), count(*) filter (where budget_confirmed) as sure from opportunities group by currency

-- What do jobs pay?
select seniority, avg((salary_min + salary_max) / 2), count(*) filter (where is_remote) as remote from jobs group by seniority

-- Which jobs close soon?
select role, location, closes_on from jobs where closes_on < current_date + interval '1 month'

-- Which partnerships are running?
select type, scope, daterange(starts_on, ends_on, '[]') @> current_date as runs from partnerships

-- What is the pipeline of deals worth?
select status, count(*), sum(amount), sum(base_amount * coalesce(probability, 0) / 100) as weighted from deals group by status

-- Which deals are late?
select name, expected_close_on from deals where closed_at is null and expected_close_on < current_date

-- How many deals close in each month?
select to_char(expected_close_on, 'YYYY-MM') as month, count(*), sum(base_amount) from deals group by 1 order by 1

-- Why are deals lost?
select lost_reason, count(*), sum(base_amount) from deals where lost_reason is not null group by 1

-- How large is the median deal of each source?
select source, percentile_cont(0.5) within group (order by base_amount) from deals group by source

-- Which organizations have deals?
select o.name, count(d.id), sum(d.base_amount) from organizations o join deals d on d.organization_id = o.id group by o.id, o.name

-- Which deals have a contact with an e-mail address?
select d.name, c.name, c.email from deals d join contacts c on c.id = d.contact_id where c.email like '%@%'

-- Which projects are late?
select name, due_on from projects where completed_at is null and due_on < current_date

-- How long do projects take?
select avg(completed_at::date - starts_on) from projects where completed_at is not null

-- Which projects came of which deal?
select p.name, d.name, d.signed_on from projects p left join deals d on d.id = p.deal_id

-- How many contacts has each customer?
select c.name, count(k.id) from customers c left join contacts k on k.customer_id = c.id group by c.id, c.name order by 2 desc

-- Which contacts lead their house?
select name, title from contacts where title ~* '\m(ceo|cto|cfo|chief|director|head)\M'

-- Which phone numbers have which country code?
select substring(regexp_replace(phone, '[^+0-9]', '', 'g') from 1 for 3) as code, count(*) from contacts where phone is not null group by 1

-- Which contacts share an address?
select lower(email), count(*), array_agg(id) from contacts where email is not null group by 1 having count(*) > 1

-- Which persons are contacts of more than one customer?
select individual_id, count(distinct customer_id) from contacts where individual_id is not null group by 1 having count(distinct customer_id) > 1

-- Which contacts were merged?
select a.name, b.name as into_whom from contacts a join contacts b on b.id = a.merged_into

-- Which individuals have the same last name?
select last_name, count(*), string_agg(first_name, ', ' order by first_name) from individuals group by 1 having count(*) > 1

-- Which persons have a LinkedIn page?
select first_name || ' ' || last_name as name, linkedin_url from individuals where linkedin_url is not null

-- Which industries are there?
select industry, count(*), sum(employees) from organizations group by industry

-- Which organizations are large?
select name, employees, rank() over (order by employees desc nulls last) from organizations

-- Which technologies do organizations use?
select jsonb_typeof(to_jsonb(technologies)), count(*) from organizations group by 1

-- Which parts do parties have in customers?
select part, count(*), count(organization_id) as organizations, count(individual_id) as individuals from customer_parties group by part

-- Which organizations are customers?
select o.name, c.name from customer_parties cp join organizations o on o.id = cp.organization_id join customers c on c.id = cp.customer_id

-- How many issues are open, by priority?
select priority, count(*) filter (where closed_at is null) as open, count(*) as all_of_them from issues group by priority

-- How long does it take to resolve an issue?
select type, avg(resolved_at - opened_at) as mean, max(resolved_at - opened_at) as longest from issues where resolved_at is not null group by type

-- Which issues are late?
select title, resolve_by, now() - resolve_by as late from issues where resolved_at is null and resolve_by < now()

-- How often is the first answer in time?
select count(*) filter (where responded_at <= respond_by)::numeric / nullif(count(*) filter (where responded_at is not null), 0) as share from issues

-- How long did issues wait for the customer?
select id, make_interval(secs => waited_seconds) as waited from issues where waited_seconds > 0

-- Which products make trouble?
select p.name, count(i.id) from issues i join products p on p.id = i.product_id group by p.name order by 2 desc

-- Which customers have open issues and open invoices?
select c.name from customers c where exists (select from issues i where i.customer_id = c.id and i.closed_at is null) and exists (select from invoices v where v.customer_id = c.id and v.gross_total > v.paid_total)

-- Who resolves how many issues?
select p.name, count(i.id) as issues, count(i.resolved_at) as resolved from issues i join people p on p.id = i.assignee_id group by p.name

-- How many issues were opened and closed each week?
select week::date, count(*) filter (where what = 'opened') as opened, count(*) filter (where what = 'closed') as closed from (select date_trunc('week', opened_at) as week, 'opened' as what from issues union all select date_trunc('week', closed_at), 'closed' from issues where closed_at is not null) x group by week order by week

-- Which issues are still within warranty?
select title, warranty_until from issues where warranty_until >= current_date

-- Which warranties end this year?
select serial, ends_on from warranties where extract(year from ends_on) = extract(year from current_date)

-- How long do warranties run?
select w.product_id, avg(w.ends_on - w.starts_on) from warranties w group by 1

-- How many tasks are open, and whose?
select coalesce(p.name, 'nobody') as who, count(*) from tasks t left join people p on p.id = t.assignee_id where t.completed_at is null group by 1

-- Which tasks are overdue?
select title, due_on, priority from tasks where completed_at is null and due_on < current_date order by due_on

-- How many tasks were done in time?
select count(*) filter (where completed_at::date <= due_on) as in_time, count(*) filter (where completed_at::date > due_on) as late from tasks

-- What are tasks about?
select subject_type, count(*) from tasks group by subject_type

-- How many activities of each kind are there?
select kind, direction, count(*), sum(minutes) from activities group by kind, direction

-- Which customers were not spoken to for 60 days?
select c.name, max(a.happened_at) from customers c left join activities a on a.customer_id = c.id group by c.id, c.name having coalesce(max(a.happened_at), '-infinity') < now() - interval '60 days'

-- How many activities come before an order?
select o.number, count(a.id) from orders o left join activities a on a.customer_id = o.customer_id and a.happened_at < o.placed_at group by o.number

-- How long are notes?
select avg(char_length(body)), max(octet_length(body)) from notes

-- Which notes speak of a price?
select left(body, 80) from notes where body ilike any (array['%price%', '%discount%', '%cost%'])

-- Which records have the most notes?
select subject_type, subject_id, count(*) from notes group by 1, 2 order by 3 desc limit 5

-- Which documents are linked?
select title, media_type, split_part(regexp_replace(url, '^https?://', ''), '/', 1) as host from documents

-- How large are attachments?
select b.media_type, count(*), sum(b.size), round(avg(b.size) / 1024.0, 1) as kib from email_attachments e join blobs b on b.id = e.blob_id group by 1

-- Which files are there twice?
select sha256, count(*) from blobs group by 1 having count(*) > 1

-- How many e-mails went out each day?
select created_at::date, count(*) from emails group by 1 order by 1

-- Which subjects do e-mails have?
select regexp_replace(subject, '^(re|aw|fwd?):\s*', '', 'i') as subject, count(*) from emails group by 1

-- To whom do e-mails go?
select jsonb_array_length(to_jsonb(to_recipients)) as many, count(*) from emails where jsonb_typeof(to_jsonb(to_recipients)) = 'array' group by 1

-- Which deliveries failed?
select e.subject, o.state, o.attempts, o.last_error from outbox o join emails e on e.id = o.email_id where o.state not in ('sent')

-- How long did deliveries take?
select avg(sent_at - created_at) from outbox where sent_at is not null

-- Which stages does each pipeline have?
select p.name, s.position, s.name, s.kind from pipelines p join pipeline_stages s on s.pipeline_id = p.id order by p.name, s.position

-- How many records stand in each stage?
select s.name, count(x.id), sum(x.base_amount) from pipeline_stages s left join pipeline_positions x on x.stage_id = s.id and x.closed_at is null group by s.id, s.name

-- Which records stand too long in a stage?
select x.subject_type, x.subject_id, s.name, now() - x.entered_at as since from pipeline_positions x join pipeline_stages s on s.id = x.stage_id where s.max_days is not null and x.entered_at < now() - make_interval(days => s.max_days)

-- What is the weighted pipeline?
select p.name, sum(x.base_amount * s.probability) / 100 as weighted from pipeline_positions x join pipeline_stages s on s.id = x.stage_id join pipelines p on p.id = x.pipeline_id group by p.name

-- How long do records stay in a stage?
select f.name, avg(t.seconds_in_stage) / 86400 as days, count(*) from stage_transitions t join pipeline_stages f on f.id = t.from_stage_id group by f.name

-- Which moves are made?
select coalesce(f.name, 'start') as from_stage, s.name as to_stage, count(*) from stage_transitions t left join pipeline_stages f on f.id = t.from_stage_id join pipeline_stages s on s.id = t.to_stage_id group by 1, 2

-- Which stages come after which, all the way?
with recursive way as (select id, name, position, array[id] as path, 1 as depth from pipeline_stages where position = 1 union all select s.id, s.name, s.position, w.path || s.id, w.depth + 1 from way w join pipeline_stages s on s.position = w.position + 1 where w.depth < 5 and not s.id = any(w.path)) select depth, count(*) from way group by depth

-- How are scores spread?
select width_bucket(coalesce(manual_score, score), 0, 100, 5) as bucket, count(*) from pipeline_positions group by 1

-- Which scores did people overrule?
select subject_type, subject_id, score, manual_score, override_reason from pipeline_positions where manual_score is distinct from null and manual_score <> score

-- Which follow-ups are due this week?
select subject_type, subject_id, next_follow_up_on from pipeline_positions where next_follow_up_on between current_date and current_date + 7

-- Which fields came from which source, how surely?
select entity, field, source, round(avg(confidence), 2), count(*) from data_provenance group by 1, 2, 3

-- Which values are doubtful?
select entity, record_id, field from data_provenance where confidence < 0.5

-- Which fields of their own has the org?
select entity, key, kind, is_required from custom_field_definitions order by entity, key

-- Which records were brought over from another system?
select source, entity, count(*) from external_refs group by 1, 2

-- What does the org state about itself?
select sender_name, quote_valid_days, payment_terms_days, books_closed_through from org_settings

-- What does the policy say?
select edition, jsonb_typeof(document), changes from policies order by edition desc limit 1

-- Who reports to whom?
with recursive line as (select id, name, 0 as depth, name as path from people where reports_to is null union all select p.id, p.name, l.depth + 1, l.path || ' > ' || p.name from people p join line l on p.reports_to = l.id where l.depth < 10) select * from line order by path

-- Who has which role?
select role, string_agg(name, ', ' order by name), count(*) filter (where active) from people group by role

-- Who made how many customers?
select p.name, count(c.id) from people p join customers c on c.created_by = p.id group by p.name

-- What did agents do?
select via_agent, count(*) from orders group by via_agent

-- What was changed today?
select 'customers' as what, count(*) from customers where updated_at >= current_date union all select 'orders', count(*) from orders where updated_at >= current_date

-- Which records are archived?
select count(*) filter (where archived_at is null) as live, count(archived_at) as archived from products

-- Which keys do the fields of their own have?
select key, count(*) from customers, jsonb_object_keys(custom_fields) as key group by key

-- Which customers have a tier of their own?
select name, custom_fields ->> 'tier' as tier from customers where custom_fields ? 'tier'

-- Which customers have these fields?
select name from customers where custom_fields @> '{"tier": "gold"}'::jsonb

-- Which customers have any of these fields?
select name from customers where custom_fields ?| array['tier', 'region']

-- What stands deep in a field of their own?
select name, custom_fields #>> '{address,city}' from customers where custom_fields #> '{address}' is not null

-- Is there a path in the fields of their own?
select count(*) from customers where jsonb_path_exists(custom_fields, '$.tier')

-- What is a customer as one object?
select jsonb_build_object('name', name, 'city', city, 'orders', (select count(*) from orders o where o.customer_id = c.id)) from customers c limit 5

-- What are a customer's orders as a list of objects?
select c.name, jsonb_agg(jsonb_build_object('number', o.number, 'total', o.gross_total) order by o.placed_at) from customers c join orders o on o.customer_id = c.id group by c.id, c.name

-- How many orders has each state, as one object?
select jsonb_object_agg(status, many) from (select status, count(*) as many from orders group by status) x

-- What are the pairs of an object?
select pair.key, pair.value from jsonb_each_text('{"a": 1, "b": "two"}'::jsonb) as pair

-- What does a list of objects hold as rows?
select x.sku, x.quantity from jsonb_to_recordset('[{"sku": "a", "quantity": 2}]'::jsonb) as x(sku text, quantity int)

-- What are the elements of a list?
select value::int * 2 from jsonb_array_elements_text('[1, 2, 3]'::jsonb)

-- Which of these names are there?
select v.name, c.id from (values ('Acme'), ('Globex'), ('Initech')) as v(name) left join customers c on lower(c.name) = lower(v.name)

-- What is a table of values?
values (1, 'one'), (2, 'two')

-- Which numbers of 1 to 20 are no customer?
select n from generate_series(1, 20) as n except select id from customers order by 1

-- Which numbers of every fifth of 0 to 100 are there?
select array_agg(n order by n) from generate_series(0, 100, 5) n

-- What is a Fibonacci number?
with recursive f(a, b, n) as (values (0::numeric, 1::numeric, 1) union all select b, a + b, n + 1 from f where n < 50) select a from f order by n desc limit 1

-- What is a list turned into rows?
select unnest(array[1, 2, 3]) as n, unnest(array['a', 'b', 'c']) as letter

-- What does a list hold?
select array_length(array[1, 2, 3], 1), array[1, 2] || 3, 2 = any(array[1, 2]), array_position(array['a', 'b'], 'b'), cardinality(array[[1, 2], [3, 4]])

-- Which part of a list is it?
select (array['a', 'b', 'c'])[2:3], trim_array(array[1, 2, 3], 1), array_remove(array[1, 2, 1], 1)

-- Do two lists overlap?
select array[1, 2] && array[2, 3], array[1, 2, 3] @> array[3]

-- What are dates of this month?
select date_trunc('month', current_date)::date as first, (date_trunc('month', current_date) + interval '1 month - 1 day')::date as last, extract(day from current_date)

-- How is a date written?
select to_char(now(), 'YYYY-MM-DD HH24:MI'), to_date('31.01.2026', 'DD.MM.YYYY'), make_date(2026, 1, 31) + 1

-- What time is it elsewhere?
select now() at time zone 'America/New_York', timezone('UTC', now()), extract(epoch from now())::bigint

-- Do two periods overlap?
select (date '2026-01-01', date '2026-02-01') overlaps (date '2026-01-15', date '2026-03-01')

-- What is an interval in full?
select justify_days(interval '45 days'), age(date '2026-03-01', date '2026-01-31'), date_bin('15 minutes', now(), timestamptz '2026-01-01')

-- What can be done with a text?
select upper(left('abc', 1)) || substr('abc', 2), replace('a-b', '-', '_'), translate('abc', 'ab', 'xy'), overlay('abcdef' placing 'x' from 2 for 3), reverse('abc'), initcap('an example'), lpad('7', 3, '0'), repeat('-', 10)

-- What do patterns find?
select regexp_match('ORD-2026-17', '(\d+)-(\d+)'), 'abc' ~ '^a', 'abc' !~* 'B$', 'abc' similar to 'a%', regexp_substr('a1b22', '\d+', 1, 2), starts_with('abc', 'ab')

-- How are numbers rounded?
select round(2.345, 2), trunc(2.9), ceil(2.1), floor(2.9), mod(7, 3), 7 / 2, 7 / 2.0, power(2, 10), sqrt(2), abs(-1), sign(-5), 2 ^ 3, 7 % 4

-- How is an amount written?
select to_char(1234567.891, 'FM9,999,999.00'), format('%s of %s', 1, 2), concat_ws(' ', 'a', null, 'b'), greatest(1, 2, null), least(3, 2)

-- What does a missing value do?
select coalesce(null, 'x'), nullif(1, 1), null is distinct from 1, (null = null) is unknown, num_nulls(1, null)

-- How do orders and discounts go together?
select corr(discount_percent::float8, gross_total::float8), regr_slope(gross_total::float8, extract(epoch from placed_at)::float8), covar_pop(net_total::float8, tax_total::float8) from orders

-- Are all orders positive?
select bool_and(gross_total >= 0), bool_or(cancelled_at is not null), every(currency = 'EUR') from orders

-- What is any one of each?
select currency, any_value(number) from orders group by currency

-- Which customer has which place among its country and among all?
select name, rank() over (partition by country order by credit_limit desc nulls last) as in_country, rank() over (order by credit_limit desc nulls last) as in_all from customers

-- How much is each order of its customer's total?
select number, round(base_total / nullif(sum(base_total) over (partition by customer_id), 0), 3) as share from orders

-- What comes next for a customer?
select customer_id, number, lead(number) over (partition by customer_id order by placed_at) as next, lead(placed_at, 1, now()) over (partition by customer_id order by placed_at) - placed_at as after from orders

-- What is the mean without the order itself?
select number, avg(base_total) over (order by placed_at rows between 3 preceding and 3 following exclude current row) from orders

-- Which customers bought in two months in a row?
with months as (select distinct customer_id, date_trunc('month', placed_at) as month from orders) select distinct a.customer_id from months a join months b on a.customer_id = b.customer_id and b.month = a.month + interval '1 month'

-- How long was a customer's longest row of months?
with months as (select distinct customer_id, date_trunc('month', placed_at)::date as month from orders), rows_of as (select customer_id, month, month - (row_number() over (partition by customer_id order by month) * interval '1 month') as island from months) select customer_id, max(many) from (select customer_id, island, count(*) as many from rows_of group by 1, 2) x group by 1

-- Which customers came, stayed, or left, against the year before?
with years as (select customer_id, extract(year from placed_at)::int as year, sum(base_total) as spent from orders group by 1, 2) select coalesce(a.customer_id, b.customer_id) as customer, case when b.spent is null then 'new' when a.spent is null then 'left' else 'stayed' end as what, a.spent, b.spent from (select * from years where year = extract(year from now())) a full outer join (select * from years where year = extract(year from now()) - 1) b using (customer_id)

-- Which customer buys from most categories?
select o.customer_id, count(distinct p.category) from orders o join order_lines l on l.order_id = o.id join products p on p.id = l.product_id group by 1 order by 2 desc limit 3

-- Which months are better than the mean?
select month, revenue from (select date_trunc('month', placed_at)::date as month, sum(base_total) as revenue, avg(sum(base_total)) over () as mean from orders group by 1) x where revenue > mean

-- What does each day of a calendar hold?
select d::date, (select count(*) from orders where placed_at::date = d::date) as orders, (select count(*) from invoices where issued_on = d::date) as invoices from generate_series(date_trunc('month', now()), date_trunc('month', now()) + interval '1 month - 1 day', interval '1 day') d

-- Which page comes third?
select id, name from customers order by name, id limit 5 offset 10

-- Which customers come first, with ties?
select country, count(*) from customers group by country order by count(*) desc fetch first 3 rows with ties

-- What is one random customer?
select name from customers order by random() limit 1

-- What is the total under a name that is asked for in capitals?
SELECT SUM("gross_total") AS "Total Value" FROM "orders" AS "O"


-- Of the customers whose first order was in a month, how many ordered again in each month after it?
with firsts as (select customer_id, date_trunc('month', min(placed_at)) as cohort from orders where status <> 'cancelled' group by customer_id), active as (select distinct o.customer_id, f.cohort, (extract(year from age(date_trunc('month', o.placed_at), f.cohort)) * 12 + extract(month from age(date_trunc('month', o.placed_at), f.cohort)))::int as months_after from orders o join firsts f using (customer_id) where o.status <> 'cancelled'), sizes as (select cohort, count(*) as size from firsts group by cohort) select a.cohort::date, s.size, a.months_after, count(*) as customers, round(100.0 * count(*) / s.size, 1) as percent from active a join sizes s using (cohort) group by a.cohort, s.size, a.months_after order by a.cohort, a.months_after

-- Which customers are champions, loyal, at risk or lost by recency, frequency and money?
with rfm as (select customer_id, max(placed_at) as last_at, count(*) as orders, sum(base_total) as spent from orders where status <> 'cancelled' group by customer_id), scored as (select customer_id, ntile(5) over (order by last_at) as r, ntile(5) over (order by orders) as f, ntile(5) over (order by spent) as m from rfm) select case when r >= 4 and f >= 4 then 'champion' when f >= 4 then 'loyal' when r <= 2 and m >= 4 then 'at risk' when r = 1 then 'lost' else 'other' end as group_name, count(*), round(avg(r + f + m), 1) as score from scored group by 1 order by 2 desc

-- How far do leads get, step by step?
with steps as (select count(*) as leads, count(*) filter (where status <> 'new') as contacted, count(*) filter (where status in ('qualified', 'interview', 'proposal', 'converted')) as qualified, count(*) filter (where status = 'converted') as converted from leads) select step, many, round(100.0 * many / nullif(first_value(many) over (order by place), 0), 1) as of_all, round(100.0 * many / nullif(lag(many) over (order by place), 0), 1) as of_step from steps, lateral (values (1, 'leads', leads), (2, 'contacted', contacted), (3, 'qualified', qualified), (4, 'converted', converted)) as v(place, step, many) order by place

-- How many quotes became orders, and how many of those were invoiced and paid?
select date_trunc('quarter', q.quoted_at)::date as quarter, count(distinct q.id) as quotes, count(distinct o.id) as orders, round(count(distinct o.id)::numeric / nullif(count(distinct q.id), 0), 3) as rate from quotes q left join orders o on o.quote_id = q.id group by 1 order by 1

-- What is the moving average of three months beside each month?
with months as (select date_trunc('month', placed_at)::date as month, sum(base_total) as revenue from orders where status <> 'cancelled' group by 1) select month, revenue, round(avg(revenue) over (order by month rows between 2 preceding and current row), 2) as of_three from months order by month

-- Which customers are A, B and C by their share of revenue?
with spent as (select customer_id, sum(base_total) as revenue from orders where status <> 'cancelled' group by customer_id), shares as (select customer_id, revenue, sum(revenue) over (order by revenue desc, customer_id) / sum(revenue) over () as running from spent) select case when running <= 0.8 then 'A' when running <= 0.95 then 'B' else 'C' end as class, count(*) as customers, sum(revenue) as revenue, round(100 * sum(revenue) / sum(sum(revenue)) over (), 1) as percent from shares group by 1 order by 1

-- What are the median and the ninth decile of an order in each segment?
select c.segment, count(*), percentile_cont(0.5) within group (order by o.base_total) as median, percentile_cont(0.9) within group (order by o.base_total) as p90 from orders o join customers c on c.id = o.customer_id where o.status <> 'cancelled' group by c.segment order by median desc

-- Which runs of days had an order each, and how long did they last?
with days as (select distinct placed_at::date as day from orders), islands as (select day, day - (row_number() over (order by day))::int as island from days) select min(day) as from_day, max(day) as to_day, count(*) as days from islands group by island having count(*) > 1 order by days desc, from_day limit 10

-- What were the longest gaps without an order?
select day as since, next_day as until, next_day - day - 1 as days_without from (select day, lead(day) over (order by day) as next_day from (select distinct placed_at::date as day from orders) d) g where next_day - day > 1 order by days_without desc, since limit 5

-- How did each month grow against the same month of the year before?
with months as (select date_trunc('month', placed_at)::date as month, sum(base_total) as revenue from orders where status <> 'cancelled' group by 1) select m.month, m.revenue, p.revenue as year_before, round(100 * (m.revenue - p.revenue) / nullif(p.revenue, 0), 1) as growth from months m left join months p on p.month = (m.month - interval '1 year')::date order by m.month

-- How old is what is owed?
select case when current_date <= due_on then 'not due' when current_date - due_on <= 30 then '1 to 30' when current_date - due_on <= 60 then '31 to 60' when current_date - due_on <= 90 then '61 to 90' else 'over 90' end as age, currency, count(*), sum(gross_total - paid_total - credited_total) as owed from invoices where gross_total > paid_total + credited_total group by 1, 2 order by min(current_date - due_on), 2

-- How old is what each customer owes, in columns?
select c.name, i.currency, coalesce(sum(open) filter (where late <= 0), 0) as not_due, coalesce(sum(open) filter (where late between 1 and 30), 0) as d30, coalesce(sum(open) filter (where late between 31 and 60), 0) as d60, coalesce(sum(open) filter (where late > 60), 0) as older from (select customer_id, currency, current_date - due_on as late, gross_total - paid_total - credited_total as open from invoices where gross_total > paid_total + credited_total) i join customers c on c.id = i.customer_id group by c.name, i.currency order by older desc, c.name limit 20

-- What are the three best products of each category?
select p.category, t.name, t.revenue from (select distinct category from products where category is not null) p cross join lateral (select x.name, sum(l.net_amount) as revenue from products x join order_lines l on l.product_id = x.id where x.category = p.category group by x.id, x.name order by revenue desc, x.id limit 3) t order by p.category, t.revenue desc

-- What do the fields of their own say about revenue?
select coalesce(c.custom_fields ->> 'tier', 'none') as tier, count(distinct c.id) as customers, coalesce(sum(o.base_total), 0) as revenue from customers c left join orders o on o.customer_id = c.id and o.status <> 'cancelled' group by 1 order by 3 desc

-- Which fields of their own hold numbers?
select key, count(*), avg((value #>> '{}')::numeric) filter (where jsonb_typeof(value) = 'number') as mean from customers, jsonb_each(custom_fields) as f(key, value) group by key order by key

-- What did each customer order last, in one text?
select c.name, string_agg(o.number || ' (' || to_char(o.placed_at, 'DD.MM.YY') || ')', ', ' order by o.placed_at desc) filter (where o.status <> 'cancelled') as orders from customers c join orders o on o.customer_id = c.id group by c.id, c.name order by count(*) desc, c.id limit 10

-- At which providers do contacts have their mail?
select substring(lower(email) from '@(.+)$') as domain, count(*) as contacts, count(*) filter (where email ~* '@(gmail|gmx|web|outlook|hotmail|mail)\.') as private from contacts where email ~ '^[^@\s]+@[^@\s]+$' group by 1 order by 2 desc, 1 limit 20

-- Which days had the most orders in New York's time?
select date_trunc('day', placed_at, 'America/New_York') as day, (placed_at at time zone 'America/New_York')::date as local_date, count(*) from orders group by 1, 2 order by 3 desc, 1 limit 5

-- What is the revenue by segment and country, each alone, and in all?
select c.segment, c.country, grouping(c.segment) as of_all_segments, grouping(c.country) as of_all_countries, sum(o.base_total) as revenue from orders o join customers c on c.id = o.customer_id where o.status <> 'cancelled' group by grouping sets ((c.segment, c.country), (c.segment), (c.country), ()) order by 3, 4, 1, 2

-- What is the revenue of each year, quarter and month, with subtotals?
select extract(year from placed_at) as year, extract(quarter from placed_at) as quarter, extract(month from placed_at) as month, sum(base_total) as revenue from orders where status <> 'cancelled' group by rollup (1, 2, 3) order by 1 nulls last, 2 nulls last, 3 nulls last

-- How many issues are there by type and priority, every way summed?
select type, priority, count(*) from issues group by cube (type, priority) order by type nulls last, priority nulls last

-- Who sells how much against the mean of all?
select salesperson, sum(base_total) as revenue, round(sum(base_total) / avg(sum(base_total)) over (), 2) as against_mean, rank() over (order by sum(base_total) desc) as place from orders where status <> 'cancelled' and salesperson is not null group by salesperson order by place

-- What is a customer worth over time, by cohort of the year?
with firsts as (select customer_id, min(extract(year from placed_at))::int as cohort from orders where status <> 'cancelled' group by customer_id) select cohort, count(distinct f.customer_id) as customers, round(sum(o.base_total) / count(distinct f.customer_id), 2) as each from firsts f join orders o on o.customer_id = f.customer_id and o.status <> 'cancelled' group by cohort order by cohort

-- How long does it take from quote to order, in quartiles?
select percentile_cont(array[0.25, 0.5, 0.75]) within group (order by extract(epoch from o.placed_at - q.quoted_at)::float8 / 86400) as days from orders o join quotes q on q.id = o.quote_id

-- Which customers have bought more every quarter for three quarters?
with quarters as (select customer_id, date_trunc('quarter', placed_at) as quarter, sum(base_total) as spent from orders where status <> 'cancelled' group by 1, 2), grown as (select *, spent > lag(spent) over w as more, lag(spent, 1) over w > lag(spent, 2) over w as more_before from quarters window w as (partition by customer_id order by quarter)) select c.name, g.quarter::date, g.spent from grown g join customers c on c.id = g.customer_id where g.more and g.more_before order by g.spent desc limit 10

-- How many days of sales are owed?
select round(sum(gross_total - paid_total - credited_total) / nullif(sum(gross_total) filter (where issued_on > current_date - 90), 0) * 90, 1) as days from invoices

-- What share of their orders do customers have late?
select c.name, count(*) filter (where o.shipped_at - o.placed_at > interval '5 days') as late, count(*) as all_of_them, round(avg((o.shipped_at - o.placed_at > interval '5 days')::int), 3) as share from orders o join customers c on c.id = o.customer_id where o.shipped_at is not null group by c.id, c.name having count(*) >= 3 order by share desc, c.name limit 10

-- Which pairs of categories are bought together more often than by chance?
with baskets as (select distinct l.order_id, p.category from order_lines l join products p on p.id = l.product_id where p.category is not null), many as (select category, count(*) as n from baskets group by category), orders_of as (select count(distinct order_id)::numeric as n from baskets) select a.category, b.category as other, count(*) as together, round(count(*) * o.n / (x.n * y.n), 2) as lift from baskets a join baskets b on b.order_id = a.order_id and b.category > a.category join many x on x.category = a.category join many y on y.category = b.category cross join orders_of o group by a.category, b.category, o.n, x.n, y.n order by lift desc, 1, 2

-- What would the open pipeline bring, weighted and month by month?
select coalesce(date_trunc('month', d.expected_close_on)::date::text, 'open end') as month, count(*), sum(d.base_amount) as worth, round(sum(d.base_amount * coalesce(s.probability, 0)) / 100, 2) as weighted from deals d left join pipeline_positions x on x.subject_type = 'deals' and x.subject_id = d.id and x.closed_at is null left join pipeline_stages s on s.id = x.stage_id where d.status = 'open' group by 1 order by 1

-- How often is an issue reopened or late by priority, and how long do they take?
select priority, count(*), avg(resolved_at - opened_at) filter (where resolved_at is not null) as mean, percentile_disc(0.5) within group (order by resolved_at - opened_at) as median, bool_or(resolved_at is null) as any_open from issues group by priority order by array_position(array['urgent', 'high', 'normal', 'low'], priority)

-- What is the running balance of a customer?
select day, what, amount, sum(amount) over (order by day, what desc, n rows unbounded preceding) as balance from (select issued_on as day, 'invoice' as what, base_total as amount, id as n from invoices where customer_id = (select customer_id from invoices group by customer_id order by count(*) desc, customer_id limit 1) union all select received_on, 'payment', -base_amount, id from payments where archived_at is null and customer_id = (select customer_id from invoices group by customer_id order by count(*) desc, customer_id limit 1)) x order by day, what desc, n

-- Which orders are far from what is usual for their customer?
select number, base_total, round((base_total - mean) / nullif(deviation, 0), 2) as z from (select number, base_total, avg(base_total) over w as mean, stddev_samp(base_total) over w as deviation, count(*) over w as many from orders where status <> 'cancelled' window w as (partition by customer_id)) x where many >= 5 and abs(base_total - mean) > 1.5 * deviation order by abs((base_total - mean) / nullif(deviation, 0)) desc, number limit 10

-- What does each weekday bring in each quarter, as columns?
select date_trunc('quarter', placed_at)::date as quarter, round(sum(base_total) filter (where extract(isodow from placed_at) = 1)) as mon, round(sum(base_total) filter (where extract(isodow from placed_at) = 2)) as tue, round(sum(base_total) filter (where extract(isodow from placed_at) in (6, 7))) as weekend from orders where status <> 'cancelled' group by 1 order by 1

-- How many customers are within each distance of the sea at Hamburg's latitude, say by longitude and latitude?
select round((6371 * acos(least(1, cos(radians(53.55)) * cos(radians(lat)) * cos(radians(lon) - radians(10.0)) + sin(radians(53.55)) * sin(radians(lat)))))::numeric) as km from (values (52.52, 13.405), (48.137, 11.575)) as city(lat, lon)
