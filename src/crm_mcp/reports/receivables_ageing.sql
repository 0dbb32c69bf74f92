-- title: Receivables ageing
-- description: What customers owe by how long it is overdue, each currency for itself, the most overdue first.
-- roles: admin, sales, finance
-- column: id text | Customer id.
-- column: customer text | Name.
-- column: currency text | Of the row's amounts.
-- column: not_due amount total | Open and not yet due, or due today.
-- column: days_1_30 amount total | Overdue by 1 to 30 days.
-- column: days_31_60 amount total | Overdue by 31 to 60 days.
-- column: days_61_90 amount total | Overdue by 61 to 90 days.
-- column: over_90 amount total | Overdue by more than 90 days.
-- column: overdue_base money total | All that is overdue.
-- column: oldest integer in days | Days overdue of the oldest invoice.
-- key: id, currency
-- filter: customer id customers | i.customer_id = %(customer)s::bigint | Of this customer.
-- filter: segment text | lower(coalesce(nullif(btrim(c.segment), ''), '(not stated)')) = lower(btrim(%(segment)s::text)) | Of customers of this segment.
-- filter: country text | lower(coalesce(nullif(btrim(c.country), ''), '(not stated)')) = lower(btrim(%(country)s::text)) | Of customers of this country, as recorded.
-- filter: owner text | c.owner_id in (select y.id from crm.users y join crm.memberships z on z.org_id = %(org)s and z.user_id = y.id where lower(btrim(%(owner)s::text)) in (lower(y.name), lower(y.email))) | Of customers that this person looks after; name or e-mail.
-- filter: in_currency currency | i.currency = %(in_currency)s | In this currency alone.
-- ids: invoices
-- chart: bar customer overdue_base
-- note: Open: gross less paid and credited, above zero; what a customer has in credit is not set off. As of today in the org's zone.
-- note: Base currency by the rate stored with the invoice; without one it is only in its own currency's columns.
-- note: ids are the overdue invoices. Up to 5,000 rows; get_invoices shows a customer's.
select 'cust_' || c.id as id, c.name as customer, s.currency, s.not_due, s.days_1_30, s.days_31_60, s.days_61_90,
  s.over_90, s.overdue_base, s.oldest, s.ids, s.id_count
from (
  select i.customer_id, i.currency,
    coalesce(sum(i.open_total) filter (where i.due_on >= %(today)s::date), 0) as not_due,
    coalesce(sum(i.open_total) filter (where %(today)s::date - i.due_on between 1 and 30), 0) as days_1_30,
    coalesce(sum(i.open_total) filter (where %(today)s::date - i.due_on between 31 and 60), 0) as days_31_60,
    coalesce(sum(i.open_total) filter (where %(today)s::date - i.due_on between 61 and 90), 0) as days_61_90,
    coalesce(sum(i.open_total) filter (where %(today)s::date - i.due_on > 90), 0) as over_90,
    coalesce(sum(case when i.gross_total > 0 then i.open_total * i.base_total / i.gross_total end) filter (where i.due_on < %(today)s::date), 0) as overdue_base,
    greatest(max(%(today)s::date - i.due_on), 0) as oldest,
    (array_agg(i.id order by i.due_on, i.id) filter (where i.due_on < %(today)s::date))[1:20] as ids,
    (count(*) filter (where i.due_on < %(today)s::date))::int as id_count
  from crm.invoices i
  left join crm.customers c on c.org_id = %(org)s and c.id = i.customer_id
  where i.org_id = %(org)s and i.open_total > 0 and i.archived_at is null{filters}
  group by i.customer_id, i.currency
  order by overdue_base desc, oldest desc, i.customer_id, i.currency
  limit 5000) s
join crm.customers c on c.org_id = %(org)s and c.id = s.customer_id
order by s.overdue_base desc, s.oldest desc, c.id, s.currency
