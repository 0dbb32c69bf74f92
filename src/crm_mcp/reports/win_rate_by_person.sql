-- title: Win rate by person
-- description: Quotes decided by who made them: won, lost and the rate.
-- roles: admin, sales
-- period: 365_days | When quotes were decided.
-- column: person text | Salesperson as written on the quote; (not stated) where there is none.
-- column: won integer total | Accepted.
-- column: lost integer total | Declined.
-- column: rate percent | won of won and lost.
-- key: person
-- when: q.decided_at
-- group: person | coalesce(nullif(btrim(q.salesperson), ''), '(not stated)') | Salesperson as written on the quote; (not stated) where there is none.
-- group: segment | coalesce(nullif(btrim(c.segment), ''), '(not stated)') | Segment of the customer as recorded; (not stated) where there is none.
-- group: country | coalesce(nullif(btrim(c.country), ''), '(not stated)') | Country of the customer as recorded; (not stated) where there is none.
-- filter: customer id customers | q.customer_id = %(customer)s::bigint | Of this customer.
-- filter: segment text | lower(coalesce(nullif(btrim(c.segment), ''), '(not stated)')) = lower(btrim(%(segment)s::text)) | Of customers of this segment.
-- filter: country text | lower(coalesce(nullif(btrim(c.country), ''), '(not stated)')) = lower(btrim(%(country)s::text)) | Of customers of this country, as recorded.
-- filter: person text | lower(coalesce(nullif(btrim(q.salesperson), ''), '(not stated)')) = lower(btrim(%(person)s::text)) | By this person, as written on it.
-- filter: in_currency currency | q.currency = %(in_currency)s | In this currency alone.
-- ids: quotes
-- chart: bar person rate
-- note: Quotes count when they were decided, not when they were made. Open and expired ones do not count; quotes_won_lost has them.
select {group} as {by},
  (count(*) filter (where q.status = 'accepted'))::int as won, (count(*) filter (where q.status = 'declined'))::int as lost,
  round(100.0 * count(*) filter (where q.status = 'accepted') / count(*), 1) as rate,
  (array_agg(q.id order by q.id desc))[1:20] as ids, count(*)::int as id_count
from crm.quotes q
left join crm.customers c on c.org_id = %(org)s and c.id = q.customer_id
where q.org_id = %(org)s and q.archived_at is null and q.status in ('accepted', 'declined')
  and q.decided_at >= %(since)s::timestamptz
  and q.decided_at < %(until)s::timestamptz{filters}
group by 1
order by won desc, 1
limit 500
