"""The audit log as people read it: calls found again, and one followed from its question to its effect and its undo.

Administrators see every call of their org. Other approvers see what they may judge: calls that a draft came of or was
decided by, and their own. Nobody else sees any.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from .. import ids
from ..audit import LONGEST
from ..catalog import rows as tools
from ..crm.drafts import sees_all
from ..db import Database
from ..jsonvalue import is_array, is_object
from ..principal import Principal
from .asking import Asked, Option, options
from .cells import zone_of
from .chip import Chip, Tone
from .diff import Change, changes_of
from .queue import NOBODY
from .text import label
from .undo import CLIENT
from .undo import TOOL as UNDO
from .views import TONES, Time, agent_name, time_of

PAGE = 50
MOST = 20_000
"""Rows that are looked through for the outcomes that no index names: done, and not finished."""
FIELDS = ("record", "person", "agent", "tool", "outcome", "since", "until")
OUTCOMES: Mapping[str, str] = {
    "run": "done",
    "hold": "held as a draft",
    "approved": "approved",
    "rejected": "rejected",
    "edited": "edited",
    "stale": "stale",
    "lost": "came too late",
    "refused": "refused",
    "crashed": "crashed",
    "unfinished": "not finished",
}
_TONES: Mapping[str, Tone] = {**TONES, "refused": "warn", "crashed": "danger", "unfinished": "warn", "hold": "quiet"}
_VERDICTS: Mapping[str, list[str]] = {"refused": ["refused", "deny"], "crashed": ["refused"]}
"""Which closing rows to look among for an outcome, where the two have different names."""
_KINDS = {prefix: table for table, prefix in ids.PREFIX.items()}
_CALL = re.compile(r"\d{1,19}", re.ASCII)
_LARGEST = 2**63 - 1
_ENDED = """case when e.id is null and b.phase = 'begun' then 'unfinished' when coalesce(e.outcome, b.outcome) = 'INTERNAL' then 'crashed'
   when coalesce(e.phase, b.phase) = 'refused' or e.verdict in ('refused', 'deny') then 'refused' else e.verdict end"""
_SCOPE = "(%(all)s or b.user_id = %(user)s or b.draft_id is not null or e.draft_id is not null)"
_FROM = """from crm.audit_log b join crm.users u on u.id = b.user_id
 left join lateral (select x.id, x.phase, x.verdict, x.outcome, x.ms, x.draft_id from crm.audit_log x where x.org_id = b.org_id
   and x.call_id = b.call_id and x.phase <> 'begun' and x.id <> b.id order by x.id limit 1) e on true
 left join lateral (select true as is_there from crm.audit_log y where y.org_id = b.org_id and y.call_id = b.call_id
   and y.phase = 'begun' limit 1) y on b.phase = 'refused'
 where b.org_id = %(org)s and b.phase in ('begun', 'refused') and y.is_there is null"""
_SELECT = f"""select b.call_id, b.at, b.user_id, u.name, b.agent, b.client, b.tool, coalesce(e.draft_id, b.draft_id) as draft,
   coalesce(e.outcome, b.outcome) as outcome, coalesce(e.ms, b.ms) as ms, {_ENDED} as ended"""
_FOUND = f"""{_SELECT} {_FROM} and {_SCOPE} and b.phase <> 'ended' and b.call_id < %(before)s and b.call_id >= %(since)s
   and (%(until)s::bigint is null or b.call_id < %(until)s) {{more}}
 order by b.call_id desc limit {PAGE + 1}"""
_ONE = f"{_SELECT} {_FROM} and {_SCOPE} and b.call_id = %(call)s"
_ABOUT = f"""{_SELECT} {_FROM} and {_SCOPE} and b.call_id in (select z.call_id from crm.audit_log z
   where z.org_id = %(org)s and z.draft_id = %(draft)s) order by b.call_id limit 100"""
_MORE = {
    "person": "and b.user_id = %(person)s",
    "tool": "and b.tool = %(tool)s",
    "agent": "and b.agent = %(agent)s and b.agent is not null",
    "nobody": "and b.agent is null",
    "outcome": f"and {_ENDED} = %(outcome)s",
    "newest": f"""and b.call_id >= coalesce((select min(w.call_id) from (select z.call_id from crm.audit_log z where z.org_id = %(org)s
   and z.call_id < least(%(before)s, %(until)s::bigint) order by z.call_id desc limit {MOST}) w), 0)""",
    "verdict": """and b.call_id in (select z.call_id from crm.audit_log z where z.org_id = %(org)s and z.phase <> 'begun'
   and z.verdict = any(%(verdicts)s) and z.verdict <> 'run')""",
    "draft": "and b.call_id in (select z.call_id from crm.audit_log z where z.org_id = %(org)s and z.draft_id = %(number)s)",
    "change": "and b.call_id in (select z.call_id from crm.changes z where z.org_id = %(org)s and z.id = %(number)s)",
    "record": "and b.call_id in (select crm.calls_on(%(table)s, %(number)s))",
}
_ROWS = "select phase, at, verdict, outcome, ms, payload from crm.audit_log where org_id = %s and call_id = %s order by id"
_CHANGES = """select coalesce(json_agg(json_build_object('tbl', tbl, 'key', key, 'op', op, 'before', before, 'after', after)
 order by id), '[]')::text as rows, coalesce(array_agg(id), '{}') as ids, max(draft_id) as draft
 from crm.changes where org_id = %s and call_id = %s"""
_DRAFT = "select d.id, d.state, d.tool, d.args, d.call_id, d.decided_call from crm.drafts d where d.org_id = %s and d.id = %s"
_UNDOERS = f"""{_SELECT} {_FROM} and {_SCOPE} and b.tool = %(undo)s and b.phase <> 'ended' and b.call_id > %(call)s
   and substring(b.payload from '"change": "((?:chg|draft)_[0-9]{{1,18}})"') = any(%(refs)s) order by b.call_id limit 20"""
_MADE_BY = "select call_id from crm.changes where org_id = %s and id = %s"
_KNOWN = """select (select coalesce(jsonb_object_agg(u.id, u.name), '{}') from crm.memberships m join crm.users u on u.id = m.user_id
   where m.org_id = %(org)s) as people, (select coalesce(array_agg(distinct x.agent), '{}') from (select a.agent from crm.audit_log a
   where a.org_id = %(org)s order by a.id desc limit 5000) x where x.agent is not null) as agents,
  (select coalesce(array_agg(distinct x.tool), '{}') from (select a.tool from crm.audit_log a where a.org_id = %(org)s
   order by a.id desc limit 5000) x) as tools"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One call in a list."""

    call: str
    tool: str
    who: str
    agent: str | None
    client: str | None
    when: Time
    ended: Chip
    outcome: str | None
    draft: str | None
    took: str | None
    on_page: bool


@dataclass(frozen=True, slots=True)
class Trail:
    entries: Sequence[Entry]
    after: str | None
    is_later: bool
    filters: Mapping[str, Sequence[Option]]


@dataclass(frozen=True, slots=True)
class Followed:
    """One call, from what it was asked to what came of it.

    `about` are all calls of its draft, from the one that asked; `undone_by` those that asked to take it back, `undoes`
    the call that it takes back itself.
    """

    entry: Entry
    asked: str | None
    is_cut: bool
    answered: str | None
    changes: Sequence[Change]
    draft: str | None
    draft_state: str | None
    about: Sequence[Entry]
    undone_by: Sequence[Entry]
    undoes: str | None


def may_see(who: Principal) -> bool:
    """Say whether a person may search the audit."""
    return sees_all(who) or who.may_approve


async def found(db: Database, who: Principal, asked: Asked, after: str, now: datetime) -> Trail:
    """Return the calls that match, the newest first, from a position on."""
    zone = zone_of(who.timezone)
    since, until = asked.first("since", zone), asked.last("until", zone)
    given: dict[str, Any] = {
        **_scope(who),
        "before": min(int(after), _LARGEST) if _CALL.fullmatch(after) else _LARGEST,
        "since": _call_at(since) if since else 0,
        "until": _call_at(until) if until else None,
        "person": asked.number("person"),
    }
    more = [name for name in ("tool", "agent", "outcome") if asked[name]]
    if asked["agent"] == NOBODY:
        more[more.index("agent")] = "nobody"
    given.update({name: asked[name] for name in ("tool", "agent", "outcome")})
    if asked["person"]:
        more.append("person")
    if asked["outcome"] in ("run", "unfinished"):
        more.append("newest")
    elif asked["outcome"]:
        more.append("verdict")
        given["verdicts"] = _VERDICTS.get(asked["outcome"], [asked["outcome"]])
    if asked["record"]:
        which = _which(asked, given)
        if which is None:
            asked.problems["record"] = "Give an id such as cust_12, draft_3 or chg_7."
        else:
            more.append(which)
    async with db.begin(who, ids.new_call()) as conn:
        await conn.exec_driver_sql("set local statement_timeout = '5s'")
        statement = _FOUND.format(more=" ".join(_MORE[name] for name in more))
        rows = (await conn.exec_driver_sql(statement, given)).mappings().all()
        known = (await conn.exec_driver_sql(_KNOWN, {"org": who.org})).one()
    people = sorted(
        ((str(key), str(name)) for key, name in known.people.items()), key=lambda pair: pair[1].casefold()
    )
    shown = rows[:PAGE]
    return Trail(
        [_entry(row, who, now) for row in shown],
        str(shown[-1]["call_id"]) if len(rows) > PAGE else None,
        bool(_CALL.fullmatch(after)),
        {
            "person": options(people, None, asked["person"]),
            "agent": options(
                [(NOBODY, "no agent"), *((a, agent_name(a) or a) for a in sorted(known.agents))], None, asked["agent"]
            ),
            "tool": options([(tool, label(tool)) for tool in sorted(known.tools)], None, asked["tool"]),
            "outcome": options(OUTCOMES.items(), None, asked["outcome"]),
        },
    )


async def followed(db: Database, who: Principal, call: int, now: datetime) -> Followed | None:
    """Return one call with all that hangs together with it; None where there is none that this person sees."""
    scope = _scope(who)
    async with db.begin(who, ids.new_call()) as conn:
        row = (await conn.exec_driver_sql(_ONE, {**scope, "call": call})).mappings().first()
        if row is None:
            return None
        phases = (await conn.exec_driver_sql(_ROWS, (who.org, call))).all()
        made = (await conn.exec_driver_sql(_CHANGES, (who.org, call))).one()
        number = row["draft"] or made.draft
        held = None if number is None else (await conn.exec_driver_sql(_DRAFT, (who.org, number))).one_or_none()
        related = await conn.exec_driver_sql(_ABOUT, {**scope, "draft": number or 0})
        about = related.mappings().all()
        refs = [ids.show("changes", change) for change in made.ids]
        if held is not None and call in (held.call_id, held.decided_call):
            refs.append(ids.show("drafts", held.id))
        undoers = await conn.exec_driver_sql(_UNDOERS, {**scope, "undo": UNDO, "call": call, "refs": refs})
        undone_by = [found for found in undoers.mappings() if found["call_id"] != call]
        undoes = await _undone(conn, who, row, phases[0].payload, held)
    begun = next((phase for phase in phases if phase.phase != "ended"), None)
    ended = next((phase for phase in phases if phase.phase == "ended"), None)
    rows: list[dict[str, Any]] = json.loads(made.rows, parse_float=Decimal)
    asked = None if begun is None else begun.payload
    return Followed(
        _entry(row, who, now),
        _pretty(asked),
        asked is not None and len(asked) >= LONGEST,
        None if ended is None else _said(ended.payload),
        changes_of(rows, who.currency, zone_of(who.timezone), is_done=True),
        None if number is None else ids.show("drafts", number),
        None if held is None else str(held.state),
        [_entry(one, who, now) for one in about],
        [_entry(one, who, now) for one in undone_by],
        None if undoes is None else str(undoes),
    )


async def _undone(
    conn: AsyncConnection, who: Principal, row: Mapping[Any, Any], payload: str | None, held: Any
) -> int | None:
    """Return the call that an undo takes back; None for any other call."""
    args = held.args if held is not None and held.tool == UNDO else payload if row["tool"] == UNDO else None
    named = re.search(r'"change":\s?"(chg|draft)_([1-9][0-9]{0,17})"', args or "", re.ASCII)
    if named is None:
        return None
    if named[1] == "chg":
        return (await conn.exec_driver_sql(_MADE_BY, (who.org, int(named[2])))).scalar_one_or_none()
    draft = (await conn.exec_driver_sql(_DRAFT, (who.org, int(named[2])))).one_or_none()
    return None if draft is None else draft.decided_call


def _scope(who: Principal) -> dict[str, Any]:
    return {"org": who.org, "user": who.user, "all": sees_all(who)}


def _which(asked: Asked, given: dict[str, Any]) -> str | None:
    """Return how an id is looked for; None where it is no id."""
    text = asked["record"]
    if not ids.is_id(text):
        return None
    prefix, _, number = text.partition("_")
    table = _KINDS.get(prefix)
    if table is None:
        return None
    given.update(number=int(number), table=table)
    return {"drafts": "draft", "changes": "change"}.get(table, "record")


def _call_at(when: datetime) -> int:
    """Return the smallest id of a call of that time: a call's id begins with its milliseconds."""
    return max(0, min(int(when.astimezone(UTC).timestamp() * 1000) << 21, _LARGEST))


def _entry(row: Mapping[Any, Any], who: Principal, now: datetime) -> Entry:
    ended = str(row["ended"])
    outcome = None if row["outcome"] in (None, "ok", "INTERNAL") else str(row["outcome"])
    return Entry(
        str(row["call_id"]),
        label(str(row["tool"])),
        str(row["name"]),
        agent_name(row["agent"]),
        row["client"],
        time_of(row["at"], zone_of(who.timezone), now),
        Chip(OUTCOMES.get(ended, ended), _TONES.get(ended, "quiet")),
        outcome,
        None if row["draft"] is None else ids.show("drafts", row["draft"]),
        None if row["ms"] is None else f"{row['ms']:,.1f} ms",
        row["client"] == CLIENT or (row["client"] is None and row["agent"] is None and row["tool"] not in tools()),
    )


def _said(payload: str | None) -> str | None:
    """Return what a call answered: the sentence of what was done, the ids of records, else as it is kept."""
    try:
        answered = json.loads(payload or "null")
    except (ValueError, RecursionError):
        return payload
    if is_object(answered) and isinstance(did := answered.get("did"), str):
        return f"Done: {did}."
    if is_array(answered):
        return ", ".join(map(str, answered)) or None
    return _pretty(payload)


def _pretty(payload: str | None) -> str | None:
    """Return JSON text on lines of its own; what was cut, as it is."""
    if payload is None:
        return None
    try:
        return json.dumps(json.loads(payload), ensure_ascii=False, indent=1)
    except (ValueError, RecursionError):
        return payload
