"""Questions that the main tables answer, each with its query as execute_crm_query takes it."""

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "customers": (
        (
            "Who bought most in the last year?",
            "select c.id, c.name, sum(o.base_total) as revenue from customers c join orders o on o.customer_id = c.id "
            "where o.status <> 'cancelled' and o.placed_at >= now() - interval '1 year' "
            "group by c.id, c.name order by revenue desc nulls last limit 10",
        ),
        (
            "How many customers are there in each country?",
            "select country, count(*) from customers where archived_at is null and merged_into is null "
            "group by country order by count(*) desc",
        ),
    ),
    "contacts": (
        (
            "Which accounts have nobody to write to?",
            "select c.id, c.name from customers c where c.archived_at is null and not exists (select 1 from contacts k "
            "where k.customer_id = c.id and k.archived_at is null and k.email is not null) order by c.name",
        ),
    ),
    "orders": (
        (
            "What was the revenue of each month?",
            "select date_trunc('month', placed_at)::date as month, sum(base_total) as revenue from orders "
            "where status <> 'cancelled' group by 1 order by 1",
        ),
        (
            "Which orders wait to be shipped?",
            "select id, number, placed_at, gross_total, currency from orders "
            "where status = 'confirmed' order by placed_at",
        ),
    ),
    "order_lines": (
        (
            "Which products bring in most?",
            "select p.sku, p.name, l.currency, sum(l.net) as net from (select x.product_id, x.net_amount as net, o.currency "
            "from order_lines x join orders o on o.id = x.order_id where o.status <> 'cancelled') l "
            "join products p on p.id = l.product_id group by p.sku, p.name, l.currency order by net desc limit 10",
        ),
        (
            "What is bought together?",
            "select a.product_id, b.product_id as other, count(*) from order_lines a join order_lines b "
            "on b.order_id = a.order_id and b.product_id > a.product_id group by 1, 2 order by 3 desc limit 10",
        ),
    ),
    "products": (
        (
            "Which products has nobody ordered for half a year?",
            "select p.sku, p.name from products p where not p.discontinued and not exists (select 1 from order_lines l "
            "join orders o on o.id = l.order_id where l.product_id = p.id and o.placed_at >= now() - interval '6 months') "
            "order by p.sku",
        ),
    ),
    "invoices": (
        (
            "Who owes what, and since when?",
            "select c.name, i.currency, sum(i.gross_total - i.paid_total - i.credited_total) as owed, min(i.due_on) as since "
            "from invoices i join customers c on c.id = i.customer_id where i.due_on < current_date "
            "and i.paid_total + i.credited_total < i.gross_total group by c.name, i.currency order by owed desc",
        ),
        (
            "What was invoiced in each month?",
            "select date_trunc('month', issued_on)::date as month, sum(base_total) as invoiced from invoices "
            "group by 1 order by 1",
        ),
    ),
    "payments": (
        (
            "How long do customers take to pay?",
            "select c.name, percentile_cont(0.5) within group (order by p.received_on - i.issued_on) as median_days "
            "from payments p join payment_allocations a on a.payment_id = p.id join invoices i on i.id = a.invoice_id "
            "join customers c on c.id = i.customer_id where p.archived_at is null group by c.name order by 2 desc",
        ),
        (
            "What was received and is not yet set against an invoice?",
            "select id, customer_id, received_on, amount - allocated_total as on_account, currency from payments "
            "where archived_at is null and allocated_total < amount order by received_on",
        ),
    ),
    "credit_notes": (
        (
            "How much of what was invoiced was taken back?",
            "select i.currency, sum(i.credited_total) as credited, sum(i.gross_total) as invoiced from invoices i "
            "where exists (select 1 from credit_notes n where n.invoice_id = i.id) group by i.currency",
        ),
    ),
    "quotes": (
        (
            "What part of the quotes became orders?",
            "select date_trunc('quarter', quoted_at)::date as quarter, count(*) as quoted, "
            "count(*) filter (where status = 'accepted') as accepted from quotes group by 1 order by 1",
        ),
        (
            "Which open quotes expire within a week?",
            "select id, number, customer_id, valid_until from quotes where status = 'open' "
            "and valid_until >= current_date and valid_until < current_date + 7 order by valid_until",
        ),
    ),
    "deals": (
        (
            "What is each person's open business worth?",
            "select p.name, count(*), sum(d.base_amount) as worth from deals d left join people p on p.id = d.owner_id "
            "where d.status = 'open' and d.archived_at is null group by p.name order by worth desc nulls last",
        ),
        (
            "Why are deals lost?",
            "select lost_reason, count(*), sum(base_amount) as worth from deals where status = 'lost' "
            "group by lost_reason order by count(*) desc",
        ),
    ),
    "leads": (
        (
            "Which sources bring leads that convert?",
            "select source, count(*), count(*) filter (where status = 'converted') as converted from leads "
            "group by source order by converted desc",
        ),
    ),
    "pipelines": (
        (
            "How many stand in each stage?",
            "select l.name as pipeline, s.name as stage, count(p.id) from pipelines l join pipeline_stages s on s.pipeline_id = l.id "
            "left join pipeline_positions p on p.stage_id = s.id and p.archived_at is null "
            "group by l.name, s.name, s.position order by l.name, s.position",
        ),
    ),
    "pipeline_positions": (
        (
            "Which deals have been in their stage longest?",
            "select d.id, d.name, s.name as stage, p.entered_at from pipeline_positions p join pipeline_stages s on s.id = p.stage_id "
            "join deals d on p.subject_type = 'deals' and d.id = p.subject_id "
            "where p.closed_at is null and p.archived_at is null order by p.entered_at limit 10",
        ),
    ),
    "stage_transitions": (
        (
            "How many days do they stay in each stage?",
            "select s.name, count(*), round(avg(t.seconds_in_stage) / 86400, 1) as days from stage_transitions t "
            "join pipeline_stages s on s.id = t.from_stage_id group by s.name, s.position order by s.position",
        ),
    ),
    "issues": (
        (
            "How many issues are open, by priority?",
            "select priority, count(*) from issues where status in ('open', 'waiting') group by priority",
        ),
        (
            "How long did it take to resolve issues in each month?",
            "select date_trunc('month', opened_at)::date as month, avg(resolved_at - opened_at) as took from issues "
            "where resolved_at is not null group by 1 order by 1",
        ),
    ),
    "tasks": (
        (
            "Whose tasks are late?",
            "select p.name, count(*), min(t.due_on) as since from tasks t left join people p on p.id = t.assignee_id "
            "where t.status = 'open' and t.due_on < current_date group by p.name order by count(*) desc",
        ),
    ),
    "activities": (
        (
            "Which customers has nobody been in touch with for three months?",
            "select c.id, c.name, max(a.happened_at) as last from customers c left join activities a on a.customer_id = c.id "
            "where c.archived_at is null group by c.id, c.name "
            "having coalesce(max(a.happened_at) < now() - interval '3 months', true) order by last nulls first limit 20",
        ),
        (
            "What was done about each deal?",
            "select d.name, a.kind, count(*) from activities a join deals d on a.subject_type = 'deals' and d.id = a.subject_id "
            "group by d.name, a.kind order by d.name",
        ),
    ),
    "people": (
        (
            "Who reports to whom?",
            "select p.name, p.role, boss.name as reports_to from people p left join people boss on boss.id = p.reports_to "
            "where p.active order by p.name",
        ),
    ),
}
