"""What each report means, in DuckDB's SQL over the exported rows; every column of it, under its own name.

Sums of money that a rate is in are whole numbers of `UNITS` a unit of the currency, so no figure goes through a float.
Moments are there as the org's clock shows them and, ending in `_us`, as microseconds.
"""

UNITS = 10**14
DAY = "86400000000"
MACROS = f"""
create macro within(day) as cast(day as date) between getvariable('since') and getvariable('until');
create macro fine(amount) as cast(cast(amount as decimal(19, 4)) * 10000 as hugeint);
create macro share(part, whole) as fine(part) * 10000000000 * fine(whole[1]) // nullif(fine(whole[2]), 0);
create macro worth(net, currency, base, gross) as
  case when currency = 'EUR' then fine(net) * 10000000000 when gross = 0 then fine(base) * 0 else share(net, [base, gross]) end;
create macro rate(part, whole) as
  case when whole > 0 then cast((2000 * part + whole) // (2 * whole) as decimal(12, 0)) * 0.1 end;
create macro middle(all_of) as (all_of[(len(all_of) + 1) // 2] + all_of[len(all_of) // 2 + 1]) // 2;
create macro stated(words) as ifnull(nullif(trim(words), ''), '(not stated)');
create macro number(is_so) as count(*) filter (is_so);
create macro month(day) as strftime(day, '%Y-%m');
create macro days(since, until) as (until - since) // {DAY};
create view sold as select *, worth(net_total, currency, base_total, gross_total) as value from orders
  where status != 'cancelled' and within(placed_at);
create view live_invoices as from invoices where archived_at is null;
create view live_payments as from payments where archived_at is null;
create view live_notes as select n.* from credit_notes n, live_invoices i where i.id = n.invoice_id and n.archived_at is null;
create view live_allocations as select a.*, p.received_on, greatest(p.received_on, i.issued_on) as settled_on
  from payment_allocations a, live_payments p, live_invoices i
  where p.id = a.payment_id and i.id = a.invoice_id and a.archived_at is null;
create view stock as select p.*,
  ifnull((select sum(quantity) from stock_movements m where m.product_id = p.id and m.archived_at is null), 0) as in_stock,
  ifnull((select sum(quantity) from stock_reservations r where r.product_id = p.id and r.archived_at is null
    and r.released_at is null), 0) as reserved from products p where p.archived_at is null;
create view steps as
  select id as invoice, 'invoiced' as kind, issued_on as day, gross_total as amount from live_invoices
  union all select invoice_id, 'credited', issued_on, -gross_total from live_notes
  union all select invoice_id, 'settled', settled_on, -amount from live_allocations
  union all select id, 'settled', issued_on, open_total - gross_total
    + ifnull((select sum(gross_total) from live_notes n where n.invoice_id = i.id), 0)
    + ifnull((select sum(amount) from live_allocations a where a.invoice_id = i.id), 0) from live_invoices i;
"""
SOLD = "count(*) as orders, sum(ifnull(value, 0)) as revenue, number(base_total is null) as unconverted"
MEANING = {
    "average_order_value": """select month(placed_at) as month, count(*) as orders, sum(value) as revenue,
        sum(value) // count(*) as mean, middle(list_sort(list(value))) as median from sold where value is not null group by 1""",
    "credit_notes_by_month": """select month(issued_on) as month, currency, count(*) as notes, sum(net_total) as net,
        sum(tax_total) as tax, sum(gross_total) as gross, ifnull(sum(base_total), 0) as gross_base,
        number(base_total is null) as unconverted from credit_notes where archived_at is null and within(issued_on) group by 1, 2""",
    "customers_without_contact": """select 'cust_' || id as id, name as customer,
        (select name from users u where u.id = c.owner_id) as owner,
        (select max(happened_at)::date from activities a where a.customer_id = c.id and a.archived_at is null) as last_contact,
        days((select max(happened_at_us) from activities a where a.customer_id = c.id and a.archived_at is null),
          getvariable('now')) as silent,
        ifnull((select sum(base_total) from orders o where o.customer_id = c.id and o.status != 'cancelled'), 0) as value
        from customers c where archived_at is null and ifnull(silent, 90) >= 90 order by value desc, c.id limit 500""",
    "data_quality": """select gap[1] as missing, number(ifnull(trim(gap[2]), '') = '') as customers,
        rate(number(ifnull(trim(gap[2]), '') = ''), count(*)) as rate
        from (select unnest([['e-mail', email], ['phone', phone], ['owner', owner_id::text], ['country', country],
          ['segment', segment]]) as gap from customers where archived_at is null) group by 1""",
    "discount_given": """select stated(salesperson) as person, currency, count(distinct o.id) as orders,
        sum(unit_price * quantity) as listed, sum(unit_price * quantity - net_amount) as discount,
        rate(fine(sum(unit_price * quantity - net_amount)), fine(sum(unit_price * quantity))) as rate
        from sold o, order_lines l where l.order_id = o.id group by 1, 2""",
    "invoice_collection_days": """select month(paid) as month, count(*) as invoices, sum(paid - issued_on) // count(*) as mean_days,
        max(paid - issued_on) as longest, number(paid > due_on) as late
        from (select i.id, issued_on, due_on, max(settled_on) as paid from live_invoices i, live_allocations a
          where a.invoice_id = i.id and open_total <= 0 group by all) where within(paid) group by 1""",
    "issue_resolution_times": """select priority, count(*) as issues,
        middle(list_sort(list(responded_at_us - opened_at_us) filter (responded_at is not null))) // 60000000 as median_answer,
        middle(list_sort(list(resolved_at_us - opened_at_us - waited_seconds * 1000000))) // 60000000 as median_resolution
        from issues where archived_at is null and within(resolved_at) group by 1""",
    "issues_sla": """select priority, count(*) as issues, number(first <= respond_by) as answer_kept,
        number(ifnull(first, now) > respond_by) as answer_breached, rate(answer_kept, answer_kept + answer_breached) as answer_rate,
        number(last <= resolve_by) as kept, number(coalesce(last, waiting_since_us, now) > resolve_by) as breached,
        count(resolve_by) - kept - breached as running, rate(kept, kept + breached) as rate
        from (select * replace (respond_by_us as respond_by, resolve_by_us as resolve_by), getvariable('now') as now,
          ifnull(responded_at_us, resolved_at_us) as first, ifnull(resolved_at_us, closed_at_us) as last
          from issues where archived_at is null and within(opened_at)) group by 1""",
    "month_end": """with ends as (select i.*, within(issued_on) as is_of,
          (select sum(amount) from steps s where s.invoice = i.id and day < getvariable('since')) as before,
          (select sum(amount) from steps s where s.invoice = i.id and day <= getvariable('until')) as after,
          (select sum(amount) from steps s where s.invoice = i.id and kind = 'settled' and within(day)) as off from live_invoices i),
        parts as (select currency, is_of::int as invoices, before as open_before, if(is_of, gross_total, 0) as invoiced,
            0 as credited, 0 as received, -off as settled, after as open_after, if(is_of, base_total, 0) as invoiced_base,
            0 as credited_base, 0 as received_base, share(after, [base_total, gross_total]) as open_base,
            (base_total is null and (is_of or issued_on < getvariable('since') and after != 0))::int as unconverted from ends
          union all by name select currency, gross_total as credited, base_total as credited_base,
            (base_total is null)::int as unconverted from live_notes where within(issued_on)
          union all by name select currency, amount as received, base_amount as received_base,
            (base_amount is null)::int as unconverted from live_payments where within(received_on))
        select currency, ifnull(sum(columns(* exclude currency)), 0) from parts group by 1
        having sum(invoices) > 0 or sum(unconverted) > 0 or sum(open_before) != 0 or sum(open_after) != 0 or sum(credited) != 0 or sum(received) != 0""",
    "new_customers_by_month": """select month(first) as month, count(*) as customers from (select min(placed_at) as first
        from orders where status != 'cancelled' group by customer_id) where within(first) group by 1""",
    "open_issues_by_age": """select case when age <= 1 then '0-1' when age <= 7 then '2-7' when age <= 30 then '8-30' else 'over 30' end as age,
        count(*) as issues, number(priority = 'urgent') as urgent, number(priority = 'high') as high,
        number(status = 'waiting') as waiting, number(assignee_id is null) as unassigned,
        number(status = 'open' and resolve_by_us < getvariable('now')) as late
        from (select *, days(opened_at_us, getvariable('now')) as age from issues
          where archived_at is null and status in ('open', 'waiting')) i group by 1""",
    "order_pipeline": f"""select status, count(*) as orders,
        sum(ifnull(worth(net_total, currency, base_total, gross_total), 0)) as value,
        if(status in ('confirmed', 'shipped'), sum(getvariable('now') - placed_at_us) // (count(*) * {DAY}), null) as mean_age,
        if(status in ('confirmed', 'shipped'), days(min(placed_at_us), getvariable('now')), null) as oldest_age,
        number(base_total is null) as unconverted from orders where within(placed_at) group by 1""",
    "payments_received": """select currency, method, count(*) as payments, sum(amount) as received, sum(allocated_total) as allocated,
        sum(amount) - sum(allocated_total) as on_account, ifnull(sum(base_amount), 0) as received_base,
        number(base_amount is null) as unconverted from live_payments where within(received_on) group by 1, 2""",
    "quote_to_order_days": f"""select month(placed_at) as month, count(*) as orders,
        sum(placed_at_us - quoted_at_us) // (count(*) * {DAY}) as mean_days, max(placed_at_us - quoted_at_us) // {DAY} as longest
        from sold o, quotes q where q.id = o.quote_id group by 1""",
    "quotes_won_lost": """with all_of as (select case status when 'accepted' then 'won' when 'declined' then 'lost'
            else if(valid_until < getvariable('today'), 'expired', 'open') end as outcome,
          if(status = 'declined', trim(lost_reason[:100]), null) as reason,
          worth(net_total, currency, base_total, gross_total) as value from quotes where archived_at is null and within(quoted_at)),
        over as (select count(*) as number, sum(ifnull(value, 0)) as worth from all_of where outcome != 'open')
        select outcome, reason, count(*) as quotes, sum(ifnull(value, 0)) as value, number(value is null) as unconverted,
          if(outcome = 'open', null, rate(count(*), any_value(over.number))) as rate,
          if(outcome = 'open', null, rate(sum(ifnull(value, 0)), any_value(over.worth))) as value_rate
        from all_of a, over group by 1, 2""",
    "receivables_ageing": """select 'cust_' || c.id as id, name as customer, currency,
        ifnull(sum(open_total) filter (late <= 0), 0) as not_due,
        ifnull(sum(open_total) filter (late between 1 and 30), 0) as days_1_30,
        ifnull(sum(open_total) filter (late between 31 and 60), 0) as days_31_60,
        ifnull(sum(open_total) filter (late between 61 and 90), 0) as days_61_90,
        ifnull(sum(open_total) filter (late > 90), 0) as over_90,
        ifnull(sum(share(open_total, [base_total, gross_total])) filter (late > 0), 0) as overdue_base, greatest(max(late), 0) as oldest
        from (select *, getvariable('today') - due_on as late from live_invoices where open_total > 0) i, customers c
        where c.id = i.customer_id group by 1, 2, 3""",
    "repeat_purchase_rate": """select stated(segment) as segment, count(*) as customers, number(orders > 1) as repeated,
        rate(number(orders > 1), count(*)) as rate
        from (select customer_id, count(*) as orders from sold group by 1), customers c where c.id = customer_id group by 1""",
    "revenue_by_country": f"""select stated(country) as country, count(distinct customer_id) as customers, {SOLD}
        from sold, customers c where c.id = customer_id group by 1""",
    "revenue_by_month": f"select month(placed_at) as month, {SOLD} from sold group by 1",
    "revenue_by_person": f"""select stated(salesperson) as person, {SOLD}, ifnull(sum(value) // count(value), 0) as mean_order
        from sold group by 1""",
    "revenue_by_product": """with made as (select l.product_id, sum(quantity) as units,
            sum(ifnull(worth(net_amount, currency, base_total, gross_total), 0)) as revenue,
            count(distinct o.id) filter (base_total is null) as unconverted
          from sold o, order_lines l where l.order_id = o.id group by 1)
        select 'prod_' || id as id, sku, name as product, units, revenue, rate(revenue, (select sum(revenue) from made)) as share,
          unconverted from made m, products p where p.id = m.product_id order by revenue desc, p.id limit 100""",
    "revenue_by_segment": f"""select stated(segment) as segment, count(distinct customer_id) as customers, {SOLD}
        from sold, customers c where c.id = customer_id group by 1""",
    "stock_below_reorder": """select 'prod_' || id as id, sku, name as product, in_stock, reserved, in_stock - reserved as available,
        reorder_level, reorder_level - in_stock + reserved as missing from stock where not discontinued and missing > 0""",
    "stock_on_hand": f"""select 'prod_' || id as id, sku, name as product, in_stock, reserved, in_stock - reserved as available, currency,
        in_stock * fine(unit_price) * {UNITS // 10**4} as value from stock where in_stock != 0 or reserved != 0""",
    "tasks_due": """select ifnull(name, '(nobody)') as person, count(*) as open, number(left_days < 0) as overdue,
        number(left_days = 0) as today, number(left_days between 1 and 7) as soon, number(left_days > 7) as later,
        number(due_on is null) as no_date, number(priority = 'urgent') as urgent
        from (select *, due_on - getvariable('today') as left_days from tasks where status = 'open' and archived_at is null) t
        left join users u on u.id = t.assignee_id group by t.assignee_id, name""",
    "top_customers": f"""select 'cust_' || c.id as id, name as customer, {SOLD}, max(placed_at)::date as last_order
        from sold, customers c where c.id = customer_id group by c.id, name order by revenue desc, c.id limit 100""",
    "win_rate_by_person": """select stated(salesperson) as person, number(status = 'accepted') as won,
        number(status = 'declined') as lost, rate(won, count(*)) as rate from quotes
        where archived_at is null and status in ('accepted', 'declined') and within(decided_at) group by 1""",
}
