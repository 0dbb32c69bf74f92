-- title: Month end
-- description: Invoiced, credited, received and still open at the end, each currency for itself and in base currency.
-- roles: admin, finance
-- period: last_month | The days posted on; a month, or any other.
-- column: currency text | Of the row's amounts.
-- column: invoices integer total | Invoices of the period.
-- column: open_before amount | Open the day before the period.
-- column: invoiced amount | Gross of invoices of the period.
-- column: credited amount | Gross of credit notes of the period.
-- column: received amount | Payments of the period.
-- column: settled amount | What payments took off invoices in the period.
-- column: open_after amount | Open at the end: open_before + invoiced - credited - settled.
-- column: invoiced_base money total | invoiced, in base currency.
-- column: credited_base money total | credited, in base currency.
-- column: received_base money total | received, in base currency.
-- column: open_base money total | open_after, in base currency by the rates of the invoices.
-- column: unconverted integer total | Documents of the period without a rate, and invoices without one open at its end; they are in no base amount.
-- ids: invoices
-- note: A payment settles an invoice on the later of the day it was received and the day of the invoice; what is received and not settled stays on account.
-- note: What an invoice says is paid or credited without a record of it (imported) is settled on the invoice's day.
-- note: An invoice credited after it was paid is open below zero. Archived documents count nowhere.
with parts as (
  -- what is open now, of the invoices there were on the day
  select i.currency,
    (count(*) filter (where i.issued_on between %(from)s::date and %(to)s::date))::int as invoices,
    sum(i.open_total) filter (where i.issued_on < %(from)s::date) as open_before,
    sum(i.gross_total) filter (where i.issued_on between %(from)s::date and %(to)s::date) as invoiced,
    0::numeric as credited, 0::numeric as received,
    sum(i.open_total) filter (where i.issued_on <= %(to)s::date) as open_after,
    sum(i.base_total) filter (where i.issued_on between %(from)s::date and %(to)s::date) as invoiced_base,
    0::numeric as credited_base, 0::numeric as received_base,
    sum(i.open_total * i.base_total / nullif(i.gross_total, 0)) filter (where i.issued_on <= %(to)s::date) as open_base,
    (count(*) filter (where i.base_total is null and i.issued_on between %(from)s::date and %(to)s::date))::int as unconverted,
    (array_agg(i.id order by i.id desc) filter (where i.issued_on between %(from)s::date and %(to)s::date))[1:20] as ids
  from crm.invoices i
  where i.org_id = %(org)s and i.archived_at is null
  group by i.currency
  union all
  -- and what was credited since, which was open then
  select n.currency, 0,
    sum(n.gross_total) filter (where i.issued_on < %(from)s::date), 0,
    sum(n.gross_total) filter (where n.issued_on <= %(to)s::date), 0,
    sum(n.gross_total) filter (where n.issued_on > %(to)s::date and i.issued_on <= %(to)s::date), 0,
    sum(n.base_total) filter (where n.issued_on <= %(to)s::date), 0,
    sum(n.gross_total * i.base_total / nullif(i.gross_total, 0)) filter (where n.issued_on > %(to)s::date and i.issued_on <= %(to)s::date),
    (count(*) filter (where n.base_total is null and n.issued_on <= %(to)s::date))::int, null
  from crm.credit_notes n
  join crm.invoices i on i.org_id = n.org_id and i.id = n.invoice_id and i.archived_at is null
  where n.org_id = %(org)s and n.archived_at is null and n.issued_on >= %(from)s::date
  group by n.currency
  union all
  -- and what was paid since
  select p.currency, 0,
    sum(a.amount) filter (where i.issued_on < %(from)s::date), 0, 0, 0,
    sum(a.amount) filter (where p.received_on > %(to)s::date and i.issued_on <= %(to)s::date), 0, 0, 0,
    sum(a.amount * i.base_total / nullif(i.gross_total, 0)) filter (where p.received_on > %(to)s::date and i.issued_on <= %(to)s::date),
    0, null
  from crm.payments p
  join crm.payment_allocations a on a.org_id = p.org_id and a.payment_id = p.id and a.archived_at is null
  join crm.invoices i on i.org_id = a.org_id and i.id = a.invoice_id and i.archived_at is null
  where p.org_id = %(org)s and p.archived_at is null and p.received_on >= %(from)s::date
  group by p.currency
  union all
  select p.currency, 0, 0, 0, 0, sum(p.amount), 0, 0, 0, sum(p.base_amount), 0,
    (count(*) filter (where p.base_amount is null))::int, null
  from crm.payments p
  where p.org_id = %(org)s and p.archived_at is null and p.received_on between %(from)s::date and %(to)s::date
  group by p.currency
  union all
  -- and what was invoiced before without a rate and open at the end: open now, or then and paid or credited since
  select i.currency, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, count(*)::int, null
  from crm.invoices i
  left join (select s.invoice_id, sum(s.amount) as amount
    from (select n.invoice_id, n.gross_total as amount from crm.credit_notes n
        where n.org_id = %(org)s and n.archived_at is null and n.issued_on > %(to)s::date
      union all
      select a.invoice_id, a.amount from crm.payments p
        join crm.payment_allocations a on a.org_id = p.org_id and a.payment_id = p.id and a.archived_at is null
        where p.org_id = %(org)s and p.archived_at is null and p.received_on > %(to)s::date) s
    group by s.invoice_id) since on since.invoice_id = i.id
  where i.org_id = %(org)s and i.archived_at is null and i.base_total is null and i.issued_on < %(from)s::date
    and i.open_total + coalesce(since.amount, 0) <> 0
  group by i.currency),
summed as (
  select currency, sum(invoices)::int as invoices, coalesce(sum(open_before), 0) as open_before,
    coalesce(sum(invoiced), 0) as invoiced, coalesce(sum(credited), 0) as credited, coalesce(sum(received), 0) as received,
    coalesce(sum(open_after), 0) as open_after, coalesce(sum(invoiced_base), 0) as invoiced_base,
    coalesce(sum(credited_base), 0) as credited_base, coalesce(sum(received_base), 0) as received_base,
    coalesce(sum(open_base), 0) as open_base, sum(unconverted)::int as unconverted, max(ids) as ids
  from parts group by currency)
select *, open_before + invoiced - credited - open_after as settled, invoices as id_count
from summed
where invoices > 0 or unconverted > 0 or open_before <> 0 or open_after <> 0 or credited <> 0 or received <> 0
order by currency <> %(currency)s, currency
