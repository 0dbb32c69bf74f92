-- title: Credit notes by month
-- description: What was credited, by the month of issue, each currency for itself.
-- roles: admin, finance
-- period: 365_days | Day of issue.
-- column: month text | Month as YYYY-MM.
-- column: currency text | Of the row's amounts.
-- column: notes integer total | Credit notes.
-- column: net amount total | Without tax.
-- column: tax amount total | Tax credited.
-- column: gross amount total | net and tax.
-- column: gross_base money total | gross in base currency by the rates stored with them.
-- column: unconverted integer total | Credit notes without a rate; they are not in gross_base.
-- key: month in time, currency
-- when: n.issued_on as day
-- filter: customer id customers | n.customer_id = %(customer)s::bigint | Of this customer.
-- filter: in_currency currency | n.currency = %(in_currency)s | In this currency alone.
-- ids: credit_notes
-- chart: bar month gross_base
-- note: By the day of the credit note, not of its invoice. Archived ones are left out.
select {group} as {by}, n.currency, count(*)::int as notes, sum(n.net_total) as net,
  sum(n.tax_total) as tax, sum(n.gross_total) as gross, coalesce(sum(n.base_total), 0) as gross_base,
  (count(*) filter (where n.base_total is null))::int as unconverted,
  (array_agg(n.id order by n.id desc))[1:20] as ids, count(*)::int as id_count
from crm.credit_notes n
where n.org_id = %(org)s and n.archived_at is null and n.issued_on between %(from)s::date and %(to)s::date{filters}
group by 1, n.currency
order by 1, n.currency <> %(currency)s, n.currency
