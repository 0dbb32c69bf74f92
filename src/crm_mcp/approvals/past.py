"""What was decided or ran out: the newest first, narrowed by the form above it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .. import ids
from ..db import Database
from ..principal import Principal
from .asking import Asked, Option, options
from .cells import zone_of
from .queue import NOBODY
from .receipt import sees_every_draft
from .text import label
from .views import Item, agent_name, item_of

PAGE = 50
FIELDS = ("state", "person", "agent", "kind", "since", "until", "q")
STATES = ("approved", "rejected", "stale", "expired", "discarded", "superseded", "failed")
_STATE = "case when d.state = 'pending' then 'expired' else d.state end"
_AT = "coalesce(d.decided_at, d.expires_at)"
_PAST = f"""select d.id, d.tool, d.summary, d.amount, d.reason, d.confidence, d.verdict, d.agent, d.created_at, d.expires_at,
   {_STATE} as state, d.requester, d.decided_at, d.decision_reason, u.name as requester_name, a.name as approver_name, {_AT} as at
 from crm.drafts d join crm.users u on u.id = d.requester left join crm.users a on a.id = d.approver
 where d.org_id = %(org)s and (d.state <> 'pending' or d.expires_at <= statement_timestamp())
   and (%(all)s or d.requester = %(user)s)
   and (%(state)s::text is null or {_STATE} = %(state)s) and (%(person)s::bigint is null or %(person)s in (d.requester, d.approver))
   and (%(agent)s::text is null or coalesce(d.agent, '{NOBODY}') = %(agent)s) and (%(kind)s::text is null or d.tool = %(kind)s)
   and (%(since)s::timestamptz is null or {_AT} >= %(since)s) and (%(until)s::timestamptz is null or {_AT} < %(until)s)
   and (%(words)s::text[] is null or (select bool_and(position(w in lower(d.summary || ' ' || coalesce(d.decision_reason, ''))) > 0)
     from unnest(%(words)s::text[]) w))
   and (%(at)s::timestamptz is null or ({_AT}, d.id) < (%(at)s, %(id)s::bigint))
 order by {_AT} desc, d.id desc limit {PAGE + 1}"""
_KNOWN = """select coalesce(array_agg(distinct d.tool), '{}') as kinds,
  coalesce(array_agg(distinct d.agent) filter (where d.agent is not null), '{}') as agents,
  (select coalesce(jsonb_object_agg(u.id, u.name), '{}') from crm.memberships m join crm.users u on u.id = m.user_id where m.org_id = %s) as people
 from (select x.tool, x.agent from crm.drafts x where x.org_id = %s and (%s or x.requester = %s) order by x.id desc limit 2000) d"""
_AFTER = re.compile(r"(\d{1,18})!(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Past:
    items: Sequence[Item]
    after: str | None
    is_later: bool
    filters: Mapping[str, Sequence[Option]]


async def past(db: Database, who: Principal, asked: Asked, after: str, now: datetime) -> Past:
    """Return the page of what is past that begins after a position; some see only what they asked for themselves."""
    zone, everybody = zone_of(who.timezone), sees_every_draft(who)
    words = asked["q"].lower().split()
    start = _AFTER.fullmatch(after)
    given: dict[str, Any] = {
        "org": who.org,
        "user": who.user,
        "all": everybody,
        "state": asked["state"] or None,
        "person": asked.number("person"),
        "agent": asked["agent"] or None,
        "kind": asked["kind"] or None,
        "since": asked.first("since", zone),
        "until": asked.last("until", zone),
        "words": words or None,
        "at": datetime.fromtimestamp(int(start[1]) // 1_000_000, UTC).replace(microsecond=int(start[1]) % 1_000_000)
        if start and int(start[1]) < 10**17
        else None,
        "id": int(start[2]) if start else None,
    }
    async with db.begin(who, ids.new_call()) as conn:
        rows = [dict(row) for row in (await conn.exec_driver_sql(_PAST, given)).mappings()]
        known = (await conn.exec_driver_sql(_KNOWN, (who.org, who.org, everybody, who.user))).one()
    kinds: list[str] = known.kinds
    agents: list[str] = known.agents
    people: dict[str, str] = known.people
    named = people if everybody else {}
    shown = rows[:PAGE]
    last = shown[-1] if len(rows) > PAGE else None
    return Past(
        [item_of(row, who, now) for row in shown],
        None if last is None else f"{_micros(last['at'])}!{last['id']}",
        start is not None,
        {
            "state": options([(state, state) for state in STATES], None, asked["state"]),
            "person": options(sorted(named.items(), key=lambda pair: pair[1].casefold()), None, asked["person"]),
            "agent": options(
                [(NOBODY, "no agent"), *((a, agent_name(a) or a) for a in sorted(agents))], None, asked["agent"]
            ),
            "kind": options([(kind, label(kind)) for kind in sorted(kinds)], None, asked["kind"]),
        },
    )


def _micros(when: datetime) -> int:
    return int(when.timestamp()) * 1_000_000 + when.microsecond
