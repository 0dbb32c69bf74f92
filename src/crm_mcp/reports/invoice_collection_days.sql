-- title: Days to collect invoices
-- description: How long invoices took to be paid in full, by the month of their last payment.
-- roles: admin, finance
-- period: 365_days | When the last payment came.
-- column: month text | Month as YYYY-MM.
-- column: invoices integer total | Invoices paid in full.
-- column: mean_days integer in days | Whole days from issue to last payment, on the mean.
-- column: longest integer in days | The same of the slowest.
-- column: late integer total | Paid after they were due.
-- key: month in time
-- when: x.paid_on as day
-- filter: customer id customers | i.customer_id = %(customer)s::bigint | Of this customer.
-- filter: in_currency currency | i.currency = %(in_currency)s | In this currency alone.
-- ids: invoices
-- chart: line month mean_days
-- note: Only invoices with nothing open count, and those that a payment settled; what is unpaid is in receivables_ageing.
-- note: A payment made before its invoice counts as of the day of the invoice.
select {group} as {by}, count(*)::int as invoices, floor(avg(x.paid_on - x.issued_on))::int as mean_days,
  max(x.paid_on - x.issued_on) as longest, (count(*) filter (where x.paid_on > x.due_on))::int as late,
  (array_agg(x.id order by x.id desc))[1:20] as ids, count(*)::int as id_count
from (select i.id, i.issued_on, i.due_on, greatest(max(p.received_on), i.issued_on) as paid_on
  from crm.invoices i
  join crm.payment_allocations a on a.org_id = %(org)s and a.invoice_id = i.id and a.archived_at is null
  join crm.payments p on p.org_id = %(org)s and p.id = a.payment_id and p.archived_at is null
  where i.org_id = %(org)s and i.archived_at is null and i.open_total <= 0{filters}
  group by i.id, i.issued_on, i.due_on) x
where x.paid_on between %(from)s::date and %(to)s::date
group by 1
order by 1
