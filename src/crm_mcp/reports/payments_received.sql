-- title: Payments received
-- description: Payments by currency and method, and what of them is on account.
-- roles: admin, finance
-- period: this_month | Day of receipt.
-- column: currency text | Of the row's amounts.
-- column: method text | How it was paid.
-- column: payments integer total | How many.
-- column: received amount total | What came in.
-- column: allocated amount total | What of it paid invoices.
-- column: on_account amount total | The rest.
-- column: received_base money total | received, in base currency by the rates of the days.
-- column: unconverted integer total | Payments without a rate; they are not in received_base.
-- key: currency, method
-- when: p.received_on as day
-- group: method | p.method | How it was paid.
-- filter: customer id customers | p.customer_id = %(customer)s::bigint | Of this customer.
-- filter: method text | lower(p.method) = lower(btrim(%(method)s::text)) | Paid in this way.
-- filter: in_currency currency | p.currency = %(in_currency)s | In this currency alone.
-- ids: payments
-- chart: bar method received_base
-- note: Payments that were taken back are left out.
select p.currency, {group} as {by}, count(*)::int as payments, sum(p.amount) as received, sum(p.allocated_total) as allocated,
  sum(p.amount - p.allocated_total) as on_account, coalesce(sum(p.base_amount), 0) as received_base,
  (count(*) filter (where p.base_amount is null))::int as unconverted,
  (array_agg(p.id order by p.id desc))[1:20] as ids, count(*)::int as id_count
from crm.payments p
where p.org_id = %(org)s and p.archived_at is null and p.received_on between %(from)s::date and %(to)s::date{filters}
group by p.currency, 2
order by p.currency <> %(currency)s, p.currency, received desc, 2
