-- title: Quotes won and lost
-- description: Quotes by what became of them and why, with value and rate.
-- roles: admin, sales
-- period: 365_days | When quotes were made.
-- column: outcome text | won: accepted; lost: declined; expired: past its last day; open.
-- column: reason text | Why it was declined, as written.
-- column: quotes integer total | How many.
-- column: value money total | Net of discount and without tax.
-- column: rate percent | Of the quotes that are won, lost or expired; of won ones the win rate.
-- column: value_rate percent | The same by value.
-- column: unconverted integer total | Foreign quotes without a rate, which count as 0 in value.
-- key: outcome, reason
-- filter: customer id customers | q.customer_id = %(customer)s::bigint | Of this customer.
-- filter: segment text | lower(coalesce(nullif(btrim(c.segment), ''), '(not stated)')) = lower(btrim(%(segment)s::text)) | Of customers of this segment.
-- filter: country text | lower(coalesce(nullif(btrim(c.country), ''), '(not stated)')) = lower(btrim(%(country)s::text)) | Of customers of this country, as recorded.
-- filter: person text | lower(coalesce(nullif(btrim(q.salesperson), ''), '(not stated)')) = lower(btrim(%(person)s::text)) | By this person, as written on it.
-- filter: in_currency currency | q.currency = %(in_currency)s | In this currency alone.
-- ids: quotes
-- chart: pie outcome quotes
-- note: A quote expires the day after its last day, in the org's zone. Up to 50 reasons.
select x.outcome, x.reason, count(*)::int as quotes, coalesce(sum(x.value), 0) as value,
  case when x.outcome <> 'open' then round(100.0 * count(*) / nullif(sum(count(*)) filter (where x.outcome <> 'open') over (), 0), 1) end as rate,
  case when x.outcome <> 'open' then round(100 * coalesce(sum(x.value), 0)
    / nullif(sum(coalesce(sum(x.value), 0)) filter (where x.outcome <> 'open') over (), 0), 1) end as value_rate,
  (count(*) filter (where x.value is null))::int as unconverted,
  (array_agg(x.id order by x.id desc))[1:20] as ids, count(*)::int as id_count
from (select q.id, case when q.status = 'declined' then nullif(btrim(left(q.lost_reason, 100)), '') end as reason,
    case when q.status = 'accepted' then 'won' when q.status = 'declined' then 'lost'
      when q.valid_until < %(today)s::date then 'expired' else 'open' end as outcome,
    case when q.currency = %(currency)s then q.net_total
           when q.gross_total > 0 then q.net_total * q.base_total / q.gross_total
           when q.base_total is not null then 0 end as value
  from crm.quotes q
  left join crm.customers c on c.org_id = %(org)s and c.id = q.customer_id
  where q.org_id = %(org)s and q.archived_at is null
    and q.quoted_at >= %(since)s::timestamptz
  and q.quoted_at < %(until)s::timestamptz{filters}) x
group by x.outcome, x.reason
order by array_position(array['won', 'lost', 'expired', 'open'], x.outcome), quotes desc, x.reason
limit 53
