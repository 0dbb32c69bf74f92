-- title: Win rate by person
-- description: Quotes decided by who made them: won, lost and the rate.
-- roles: admin, sales
-- period: 365_days | When quotes were decided.
-- column: person text | Salesperson as written on the quote; (not stated) where there is none.
-- column: won integer total | Accepted.
-- column: lost integer total | Declined.
-- column: rate percent | won of won and lost.
-- ids: quotes
-- chart: bar person rate
-- note: Quotes count when they were decided, not when they were made. Open and expired ones do not count; quotes_won_lost has them.
select coalesce(nullif(btrim(q.salesperson), ''), '(not stated)') as person,
  (count(*) filter (where q.status = 'accepted'))::int as won, (count(*) filter (where q.status = 'declined'))::int as lost,
  round(100.0 * count(*) filter (where q.status = 'accepted') / count(*), 1) as rate,
  (array_agg(q.id order by q.id desc))[1:20] as ids, count(*)::int as id_count
from crm.quotes q
where q.org_id = %(org)s and q.archived_at is null and q.status in ('accepted', 'declined')
  and q.decided_at >= least(%(from)s::date::timestamp at time zone %(zone)s, (%(from)s::date - interval '1 hour') at time zone %(zone)s + interval '1 hour')
  and q.decided_at < least((%(to)s::date + 1)::timestamp at time zone %(zone)s, (%(to)s::date + interval '23 hours') at time zone %(zone)s + interval '1 hour')
group by 1
order by won desc, person
limit 500
