"""Sums over invoices and payments that lists show beside their rows."""

RULES = {
    "totals": "Invoices: gross and open (what is above zero) by currency. Payments: received and on account. Of all that match.",
    "ageing": (
        "Open amounts by currency and days since the due date in the org's zone: not due, 1 to 30, 31 to 60, 61 to 90, "
        "over 90. Of all that match."
    ),
}

INVOICE_TOTALS = """(select coalesce(jsonb_agg(jsonb_build_object('currency', currency, 'invoices', n,
   'gross', crm.money(gross, currency) -> 'amount', 'open', crm.money(open, currency) -> 'amount') order by currency), '[]')
  from (select currency, count(*) as n, sum(gross_total) as gross, sum(greatest(open_total, 0)) as open from matched group by currency) t)"""
"""Totals over `matched` (invoices' currency, gross_total, open_total, due_on)."""

AGEING = """(select coalesce(jsonb_agg(jsonb_build_object('currency', currency, 'notDue', crm.money(d0, currency) -> 'amount',
   '1-30', crm.money(d30, currency) -> 'amount', '31-60', crm.money(d60, currency) -> 'amount',
   '61-90', crm.money(d90, currency) -> 'amount', 'over90', crm.money(older, currency) -> 'amount') order by currency), '[]')
  from (select currency, coalesce(sum(open_total) filter (where late <= 0), 0) as d0,
    coalesce(sum(open_total) filter (where late between 1 and 30), 0) as d30,
    coalesce(sum(open_total) filter (where late between 31 and 60), 0) as d60,
    coalesce(sum(open_total) filter (where late between 61 and 90), 0) as d90,
    coalesce(sum(open_total) filter (where late > 90), 0) as older
   from (select m.*, %(today)s::date - m.due_on as late from matched m where m.open_total > 0) x group by currency) t)"""
"""Open amounts by age over the same `matched`; needs %(today)s."""

PAYMENT_TOTALS = """(select coalesce(jsonb_agg(jsonb_build_object('currency', currency, 'payments', n,
   'received', crm.money(received, currency) -> 'amount', 'onAccount', crm.money(received - allocated, currency) -> 'amount')
   order by currency), '[]')
  from (select currency, count(*) as n, sum(amount) as received, sum(allocated_total) as allocated from matched group by currency) t)"""
"""Totals over `matched` (payments' currency, amount, allocated_total)."""

EXPOSURE = """((select coalesce(sum(i.open_total * case when i.currency = %(currency)s::text then 1 else i.base_total / nullif(i.gross_total, 0) end), 0)
   from crm.invoices i where i.org_id = c.org_id and i.customer_id = c.id and i.open_total > 0 and i.archived_at is null)
  + (select coalesce(sum(o.base_total), 0) from crm.orders o where o.org_id = c.org_id and o.customer_id = c.id
   and o.status in ('confirmed', 'shipped') and o.archived_at is null
   and not exists (select from crm.invoices v where v.org_id = o.org_id and v.order_id = o.id and v.archived_at is null)))"""
"""What a customer `c` owes and has ordered that is not yet invoiced, in base currency (%(currency)s); without a rate, nothing."""
