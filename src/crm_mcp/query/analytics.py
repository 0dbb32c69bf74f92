"""The type analytics (S3): figures as they are usually asked for, with the definitions of the reports."""

from .typed import Typed

_ROLES = ("admin", "sales", "operations", "finance")
_NET = "case when {0}.gross_total > 0 then {0}.net_total * {0}.base_total / {0}.gross_total else {0}.base_total end"
"""Net in the base currency, by the rate that is stored with the document in its gross amount there."""
_REVENUE = "Net of discount and without tax, in the base currency; an order without a rate counts as 0."

ANALYTICS = (
    Typed(
        "analytics",
        "monthly_revenue",
        "Orders and net revenue by the month in which they were placed, in the org's zone; cancelled ones do not count.",
        f"""select date_trunc('month', o.placed_at)::date, count(*), count(distinct o.customer_id), coalesce(sum({_NET.format("o")}), 0),
  coalesce(sum({_NET.format("o")}), 0) / nullif(count(*) filter (where o.base_total is not null), 0),
  count(*) filter (where o.base_total is null)
 from {{orders}} o where o.status <> 'cancelled' group by 1""",
        {
            "month": "Its first day.",
            "orders": "How many were placed.",
            "customers": "How many customers placed them.",
            "revenue": _REVENUE,
            "average_order": "Revenue by order, those without a rate left out; not rounded.",
            "unconverted": "Foreign orders without a rate.",
        },
        _ROLES,
        ("month",),
        ("Revenue",),
        examples=(
            (
                "How did each month compare with the one a year before?",
                "select m.month, m.revenue, y.revenue as year_before, round(100 * (m.revenue - y.revenue) / nullif(y.revenue, 0), 1) as percent "
                "from analytics.monthly_revenue m left join analytics.monthly_revenue y on y.month = m.month - interval '1 year' order by m.month",
            ),
        ),
    ),
    Typed(
        "analytics",
        "customer_value",
        "What each customer in use has ordered so far, and when last; also of those who never ordered.",
        f"""select c.id, c.name, c.segment, c.country, coalesce(s.orders, 0), coalesce(s.revenue, 0), coalesce(s.lately, 0), s.first_on, s.last_on,
  current_date - s.last_on
 from {{customers}} c left join (select o.customer_id, count(*) as orders, coalesce(sum({_NET.format("o")}), 0) as revenue,
   coalesce(sum({_NET.format("o")}) filter (where o.placed_at >= current_date - interval '1 year'), 0) as lately,
   min(o.placed_at)::date as first_on, max(o.placed_at)::date as last_on
  from {{orders}} o where o.status <> 'cancelled' group by 1) s on s.customer_id = c.id
 where c.archived_at is null and c.merged_into is null""",
        {
            "customer_id": "The account.",
            "customer": "Its name.",
            "segment": "The group that it is put into.",
            "country": "Country as written.",
            "orders": "Orders that are not cancelled.",
            "revenue": _REVENUE,
            "revenue_last_year": "The same of the last twelve months to today.",
            "first_order_on": "Day of the first; null: none.",
            "last_order_on": "Day of the last, in the org's zone.",
            "days_since_order": "Days since then.",
        },
        _ROLES,
        ("customer",),
        ("CustomerValue",),
        {"customer_id": "customers"},
        ("customer", "segment"),
        examples=(
            (
                "Which good customers have gone quiet?",
                "select customer, revenue, last_order_on from analytics.customer_value where days_since_order > 180 order by revenue desc limit 10",
            ),
            (
                "What part of revenue comes from the best tenth?",
                "select round(100 * sum(revenue) filter (where tenth = 1) / nullif(sum(revenue), 0), 1) as percent from "
                "(select revenue, ntile(10) over (order by revenue desc) as tenth from analytics.customer_value) v",
            ),
        ),
    ),
    Typed(
        "analytics",
        "product_sales",
        "Units and net revenue of each product in each month, each currency for itself.",
        """select date_trunc('month', o.placed_at)::date, l.product_id, p.sku, p.name, p.category, o.currency, count(distinct o.id),
  sum(l.quantity), sum(l.net_amount)
 from {order_lines} l join {orders} o on o.id = l.order_id join {products} p on p.id = l.product_id
 where o.status <> 'cancelled' group by 1, 2, 3, 4, 5, 6""",
        {
            "month": "First day of the month in which it was ordered, in the org's zone.",
            "product_id": "The product.",
            "sku": "Its stock keeping unit.",
            "product": "Its name.",
            "category": "Its category.",
            "currency": "ISO 4217, of the amounts.",
            "orders": "Orders that have it, cancelled ones left out.",
            "units": "Ordered.",
            "net": "Net of discount and without tax.",
        },
        _ROLES,
        ("month", "sku", "currency"),
        ("ProductSales",),
        {"product_id": "products"},
        ("sku", "product", "category"),
        examples=(
            (
                "What sold best in each month?",
                "select month, product, units from (select month, product, units, rank() over (partition by month order by units desc) as place "
                "from analytics.product_sales) r where place <= 3 order by month, place",
            ),
        ),
    ),
    Typed(
        "analytics",
        "quote_outcomes",
        "What became of the quotes of each month; a quote expires the day after its last day.",
        f"""select date_trunc('month', q.quoted_at)::date, case q.status when 'accepted' then 'won' when 'declined' then 'lost'
   else case when q.valid_until < current_date then 'expired' else 'open' end end, count(*), coalesce(sum({_NET.format("q")}), 0),
  count(*) filter (where q.base_total is null)
 from {{quotes}} q where q.archived_at is null group by 1, 2""",
        {
            "month": "First day of the month in which they were made, in the org's zone.",
            "outcome": "What became of them by today.",
            "quotes": "How many.",
            "value": "Net of discount and without tax, in the base currency; a quote without a rate counts as 0.",
            "unconverted": "Foreign quotes without a rate.",
        },
        _ROLES,
        ("month", "outcome"),
        ("QuoteOutcome",),
        values={
            "outcome": {
                "won": "became an order",
                "lost": "was declined",
                "expired": "was not decided in time",
                "open": "is not decided yet",
            }
        },
        examples=(
            (
                "How has the win rate changed?",
                "select month, round(100.0 * sum(quotes) filter (where outcome = 'won') / nullif(sum(quotes) filter (where outcome <> 'open'), 0), 1) "
                "as percent from analytics.quote_outcomes group by month order by month",
            ),
        ),
    ),
    Typed(
        "analytics",
        "events",
        "What happened with customers, one row each: quoted, ordered, billed, credited, paid, and what was done with them.",
        """select o.placed_at, 'order', o.customer_id, 'orders', o.id, o.number, o.gross_total, o.currency from {orders} o
union all select q.quoted_at, 'quote', q.customer_id, 'quotes', q.id, q.number, q.gross_total, q.currency from {quotes} q where q.archived_at is null
union all select i.issued_on::timestamptz, 'invoice', i.customer_id, 'invoices', i.id, i.number, i.gross_total, i.currency
 from {invoices} i where i.archived_at is null
union all select n.issued_on::timestamptz, 'credit_note', n.customer_id, 'credit_notes', n.id, n.number, n.gross_total, n.currency
 from {credit_notes} n where n.archived_at is null
union all select p.received_on::timestamptz, 'payment', p.customer_id, 'payments', p.id, p.reference, p.amount, p.currency
 from {payments} p where p.archived_at is null
union all select a.happened_at, a.kind, a.customer_id, 'activities', a.id, a.subject, null, null
 from {activities} a where a.archived_at is null and a.customer_id is not null""",
        {
            "happened_at": "When; what has a day alone stands at its midnight in the org's zone.",
            "kind": "What happened.",
            "customer_id": "With whom.",
            "record_type": "The table that tells more.",
            "record_id": "The row's id there.",
            "title": "The document's number, the payment's reference or the activity's subject.",
            "amount": "Gross; null: an activity.",
            "currency": "ISO 4217, of the amount.",
        },
        _ROLES,
        ("kind", "happened_at"),
        ("Event",),
        {"customer_id": "customers"},
        ("title",),
        values={
            "kind": {
                "order": "an order was placed, cancelled later or not",
                "quote": "a quote was made",
                "invoice": "an invoice was issued",
                "credit_note": "a credit note was issued",
                "payment": "a payment came in",
                "call": "somebody spoke with them by telephone",
                "meeting": "somebody met them",
                "email": "an e-mail was noted",
                "visit": "somebody visited them",
                "other": "something else was done with them",
            }
        },
        examples=(
            (
                "What happened lately with one customer?",
                "select happened_at, kind, title, amount, currency from analytics.events where customer_id = 1 order by happened_at desc limit 20",
            ),
            (
                "How many contacts come before a first order?",
                "select avg(contacts) from (select f.customer_id, count(e.kind) as contacts from (select customer_id, min(happened_at) as first "
                "from analytics.events where kind = 'order' group by 1) f left join analytics.events e on e.customer_id = f.customer_id "
                "and e.record_type = 'activities' and e.happened_at < f.first group by 1) c",
            ),
        ),
    ),
    Typed(
        "analytics",
        "issue_times",
        "How long issues took, by the month in which they were resolved and by priority.",
        """select date_trunc('month', i.resolved_at)::date, i.priority, count(*),
  round(avg(extract(epoch from i.responded_at - i.opened_at)) / 3600, 1),
  round(avg(extract(epoch from i.resolved_at - i.opened_at) - i.waited_seconds) / 3600, 1),
  count(*) filter (where i.resolved_at > i.resolve_by)
 from {issues} i where i.archived_at is null and i.resolved_at is not null group by 1, 2""",
        {
            "month": "Its first day, in the org's zone.",
            "priority": "low, normal, high or urgent.",
            "issues": "How many were resolved.",
            "answer_hours": "Hours to the first answer, on average; null: none is on record.",
            "resolution_hours": "Hours to the resolution, on average, without the time spent waiting for the customer.",
            "late": "Resolved after they were due.",
        },
        ("admin", "sales", "operations", "support"),
        ("month", "priority"),
        ("IssueTimes",),
        examples=(
            (
                "How has the time to a resolution changed?",
                "select month, round(sum(resolution_hours * issues) / sum(issues), 1) as hours from analytics.issue_times group by month order by month",
            ),
        ),
    ),
    Typed(
        "analytics",
        "stage_flow",
        "Each stage of each pipeline: who stands in it, who left it, after how long.",
        """select l.id, l.name, s.id, s.name, s.position, s.kind, (select count(*) from {pipeline_positions} p
   where p.stage_id = s.id and p.archived_at is null and p.closed_at is null), count(t.id), round(avg(t.seconds_in_stage) / 86400, 1)
 from {pipelines} l join {pipeline_stages} s on s.pipeline_id = l.id and s.archived_at is null
 left join {stage_transitions} t on t.from_stage_id = s.id and t.archived_at is null
 where l.archived_at is null group by 1, 2, 3, 4, 5, 6""",
        {
            "pipeline_id": "The pipeline.",
            "pipeline": "Its name.",
            "stage_id": "The stage.",
            "stage": "Its name.",
            "position": "Its place on the way.",
            "kind": "active, won or lost.",
            "standing": "How many stand in it and are not closed.",
            "moved_on": "How often somebody left it for another stage.",
            "days": "Days that those had stood in it, on average.",
        },
        ("admin", "sales", "operations"),
        ("pipeline", "stage"),
        ("StageFlow",),
        {"pipeline_id": "pipelines", "stage_id": "pipeline_stages"},
        ("pipeline", "stage"),
        examples=(
            (
                "Where do they stand longest?",
                "select pipeline, stage, days, standing from analytics.stage_flow where kind = 'active' order by days desc nulls last",
            ),
        ),
    ),
)
