"""The computed insights of a customer (`_meta`): each rule in one place, as SQL and in words."""

from typing import NamedTuple

from ..money import money_sql
from ..principal import Role
from ..tool import EVERYONE
from .receivables import EXPOSURE

FINANCE = frozenset({Role.ADMIN, Role.SALES, Role.OPERATIONS, Role.FINANCE})
"""Who may read invoices; whoever may not is told nothing that follows from them."""
SUPPORT = frozenset({Role.ADMIN, Role.SALES, Role.OPERATIONS, Role.SUPPORT})
"""Who may read issues, likewise."""
SOON = 7
"""Days before a quote's last day from which it is to be followed up."""


class Insight(NamedTuple):
    """What is said under a name: the rule in words, and as SQL over `judged j`, told to `roles` alone."""

    rule: str
    sql: str
    roles: frozenset[Role] = EVERYONE


class Action(NamedTuple):
    """A suggestion: when it is made, and its text as SQL, null where it is not."""

    when: str
    sql: str
    roles: frozenset[Role] = EVERYONE


_ACTIONS = (
    Action(
        "overdue invoices",
        """case when j.overdue is not null then format('Ask about invoice %%s: %%s %%s open, %%s days overdue',
      j.overdue ->> 'number', j.overdue -> 'open' ->> 'currency', j.overdue -> 'open' ->> 'amount', j.overdue ->> 'days') end""",
        roles=FINANCE,
    ),
    Action(
        "more credit used than agreed",
        """case when j.used > j.credit_limit then format('Check the credit limit: %%s of %%s %%s used',
      crm.money(j.used, %(currency)s::text) ->> 'amount', %(currency)s::text,
      crm.money(j.credit_limit, %(currency)s::text) ->> 'amount') end""",
        roles=FINANCE,
    ),
    Action(
        "urgent open issues",
        "case when j.urgent > 0 then format('Look at %%s urgent open issue(s)', j.urgent) end",
        roles=SUPPORT,
    ),
    Action(
        "open issues past the time to resolve them that do not wait for the customer",
        "case when j.late > 0 then format('Resolve %%s issue(s) past their time', j.late) end",
        roles=SUPPORT,
    ),
    Action(
        f"the open quote that ends first, from {SOON} days before its last day",
        """case when j.ending is not null then format('Follow up quote %%s: valid until %%s',
      j.ending ->> 'number', j.ending ->> 'until') end""",
    ),
    Action(
        "churn risk high", "case when j.churn = 'high' then format('Call: no order for %%s days', j.idle_days) end"
    ),
    Action(
        "no contact for more than 90 days",
        "case when j.silent_days > 90 then format('Get in touch: no contact for %%s days', j.silent_days) end",
    ),
)
_INSIGHTS = {
    "hasOverdueInvoices": Insight(
        "An invoice is not settled in full and its due date is before today in the org's zone.",
        "j.overdue is not null",
        roles=FINANCE,
    ),
    "daysSinceLastContact": Insight(
        "Whole days since the last activity (call, meeting, e-mail, visit) with the customer, on any of their records; "
        "archived ones do not count; absent where there is none.",
        "j.silent_days",
    ),
    "lifetimeValue": Insight(
        "Gross of all orders not cancelled, base currency: high from 50,000, medium from 10,000, else low.",
        "case when j.value >= 50000 then 'high' when j.value >= 10000 then 'medium' else 'low' end",
    ),
    "churnRisk": Insight(
        "Days since the last order against the customer's own mean interval between orders: high above 2 × and 60 "
        "days, medium above 1.25 × and 30 days, else low. With one order: high above 365 days, medium above 180. "
        "Absent without orders.",
        "j.churn",
    ),
    "creditUsed": Insight(
        "What is open of invoices, and confirmed or shipped orders without an invoice, gross in base currency, against "
        "the credit limit; percent is rounded down. What has no rate does not count. Absent where no limit is agreed.",
        f"""case when j.credit_limit is not null then jsonb_build_object('used', {money_sql("j.used", "%(currency)s::text")},
    'limit', {money_sql("j.credit_limit", "%(currency)s::text")},
    'percent', floor(100 * j.used / nullif(j.credit_limit, 0))::bigint) end""",
        roles=FINANCE,
    ),
    "openQuotes": Insight(
        "Quotes neither accepted nor declined whose last day, in the org's zone, is today or later.", "j.quotes"
    ),
    "openIssues": Insight("Issues that are open or wait for the customer.", "j.issues", roles=SUPPORT),
}


def rules(role: Role) -> dict[str, str]:
    """Return the rules of a customer's insights that a role is told, by name."""
    told = {name: insight.rule for name, insight in _INSIGHTS.items() if role in insight.roles}
    order = "; ".join(action.when for action in _actions(role))
    return {**told, "suggestedNextActions": f"Of a customer, in this order: {order}."}


def _actions(role: Role) -> list[Action]:
    return [action for action in _ACTIONS if role in action.roles]


_OWED = f"""(select jsonb_build_object('number', i.number, 'days', %(today)s::date - i.due_on,
     'open', {money_sql("i.open_total", "i.currency")})
   from crm.invoices i where i.org_id = c.org_id and i.customer_id = c.id and i.open_total > 0
     and i.due_on < %(today)s::date and i.archived_at is null order by i.due_on limit 1) as overdue,
  case when c.credit_limit is not null then {EXPOSURE}
  end as used,"""


def facts(role: Role) -> str:
    """Return the common table expressions `facts` and `judged` over `found`, one customers row.

    They need %(today)s, the org's day, %(now)s and %(currency)s; what the role may not read is not read.
    Materialized: each reference would else compute its fact anew.
    """
    return f"""facts as materialized (
 select c.id, c.credit_limit, {_OWED if role in FINANCE else "null::jsonb as overdue, null::numeric as used,"}
  (select floor(extract(epoch from %(now)s::timestamptz - max(a.happened_at)) / 86400)::int from crm.activities a
   where a.org_id = c.org_id and a.customer_id = c.id and a.archived_at is null
     and a.happened_at <= %(now)s::timestamptz) as silent_days,
  o.orders, o.value, o.idle_days, o.usual_days, s.issues, s.urgent, s.late, q.quotes,
  (select jsonb_build_object('number', coalesce(e.number, 'quo_' || e.id), 'until', e.valid_until) from crm.quotes e
   where e.org_id = c.org_id and e.customer_id = c.id and e.status = 'open' and e.archived_at is null
     and e.valid_until between %(today)s::date and %(today)s::date + {SOON} order by e.valid_until, e.id limit 1) as ending
 from found c
 cross join lateral (
  select count(*) as orders, coalesce(sum(base_total), 0) as value,
   floor(extract(epoch from %(now)s::timestamptz - max(placed_at)) / 86400)::int as idle_days,
   case when count(*) > 1 then extract(epoch from max(placed_at) - min(placed_at)) / 86400 / (count(*) - 1) end as usual_days
  from crm.orders r where r.org_id = c.org_id and r.customer_id = c.id and r.status <> 'cancelled') o
 cross join lateral (
  select count(*) as issues, count(*) filter (where priority = 'urgent') as urgent,
   count(*) filter (where status = 'open' and resolve_by < %(now)s::timestamptz) as late
  from crm.issues i where i.org_id = c.org_id and i.customer_id = c.id and i.status in ('open', 'waiting')
   and i.archived_at is null and {"true" if role in SUPPORT else "false"}) s
 cross join lateral (
  select count(*) as quotes from crm.quotes e where e.org_id = c.org_id and e.customer_id = c.id and e.status = 'open'
   and e.valid_until >= %(today)s::date and e.archived_at is null) q),
judged as materialized (
 select f.*, case when orders = 0 then null
   when usual_days is null then case when idle_days > 365 then 'high' when idle_days > 180 then 'medium' else 'low' end
   when idle_days > 2 * usual_days and idle_days > 60 then 'high'
   when idle_days > 1.25 * usual_days and idle_days > 30 then 'medium' else 'low' end as churn
 from facts f)"""


def meta(role: Role) -> str:
    """Return the insights that a role is told as a JSON object over `judged j`."""
    told = ", ".join(f"'{name}', {insight.sql}" for name, insight in _INSIGHTS.items() if role in insight.roles)
    actions = ",\n   ".join(f"({n}, {action.sql})" for n, action in enumerate(_actions(role)))
    return f"""jsonb_strip_nulls(jsonb_build_object({told},
 'suggestedNextActions', (select coalesce(jsonb_agg(a order by n), '[]') from (values {actions}) x(n, a) where a is not null)))"""
