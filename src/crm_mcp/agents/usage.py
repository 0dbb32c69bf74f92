"""What models were used for: a person's own, or an administrator's whole org, with what is left of the day."""

from typing import Any, NamedTuple

from ..budgets import STANDING
from ..db import Database
from ..principal import Principal, Role

_ASKED = f"""with asked as (select %s::bigint as org, %s::bigint as who, %s::boolean as is_admin, %s::int as days, clock_timestamp() as now),
 here as (select a.*, (a.now at time zone 'UTC')::date as today from asked a)
 select
  (select jsonb_agg({STANDING}) from here h, crm.budget_standing(h.org, h.who, h.now) s where s.scope in ('user', 'org')),
  (select jsonb_agg({STANDING} || jsonb_build_object('person', u.email) order by u.email_norm)
    from here h join crm.memberships m on m.org_id = h.org join crm.users u on u.id = m.user_id,
     crm.budget_standing(h.org, m.user_id, h.now) s
   where h.is_admin and m.user_id <> h.who and s.scope = 'user' and (s.tokens_spent > 0 or s.tokens_held > 0 or s.money_spent > 0)),
  (select l.tokens from here h, crm.budget_limits(h.org, h.who) l where l.scope = 'request'),
  (select jsonb_agg(jsonb_build_object('day', m.day, 'person', u.email, 'agent', nullif(m.agent, ''), 'useCase', m.use_case,
     'model', nullif(m.model, ''), 'calls', m.calls, 'tokensIn', m.tokens_in, 'tokensOut', m.tokens_out, 'money', m.money::text)
     order by m.day desc, u.email_norm, m.agent, m.use_case, m.model)
    from here h join crm.model_usage m on m.org_id = h.org join crm.users u on u.id = m.user_id
   where m.day > h.today - h.days and (h.is_admin or m.user_id = h.who))"""


class Usage(NamedTuple):
    """`standing` are today's limits (rows of `budgets.STANDING`, those of persons with `person`); `rows` what was used.

    `request` is the limit of tokens of one request. Money is in the org's base currency, as text.
    """

    standing: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    request: int


async def usage(db: Database, who: Principal, days: int) -> Usage:
    """Return what models were used for in so many days (UTC), today the last: an administrator sees everybody's."""
    is_admin = who.role is Role.ADMIN and who.agent is None
    row = await db.definer(who.org, _ASKED, (who.org, who.user, is_admin, days))
    assert row is not None
    mine, others, request, rows = row
    own = [{**one, "person": who.email} if one["scope"] == "user" else one for one in mine]
    return Usage([*own, *(others or [])], rows or [], request)
