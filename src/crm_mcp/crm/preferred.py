"""What a person prefers, as it is read: listed, told unasked, and counted. It imports no writing, so that `serve` starts fast."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from .. import ids
from ..audit import Statement
from ..memory.applying import SURE
from ..principal import Principal

SHOWN = """jsonb_strip_nulls(jsonb_build_object('id', 'pref_' || p.id, 'kind', p.kind, 'text', p.content, 'confidence', p.confidence,
   'source', p.source, 'tool', p.tool, 'argument', p.argument, 'word', p.word, 'means', p.meant, 'applied', u.uses, 'told', u.told,
   'savedAt', p.created_at, 'by', case p.via when 'agent' then p.via_agent || ' agent' else 'you' end))"""
FROM = """crm.preferences p left join crm.memory_uses u on u.org_id = p.org_id and u.kind = 'preference' and u.record_id = p.id"""
MINE = "p.org_id = %(org)s and p.user_id = %(user)s and p.forgotten_at is null and p.archived_at is null"
_CORRECTION = """jsonb_strip_nulls(jsonb_build_object('id', 'draft_' || d.id, 'kind', 'correction', 'by', a.name, 'source', 'approver',
   'confidence', 0.9, 'told', u.told, 'savedAt', {at}, 'text', {text})) as shown, {at} as at"""
_COUNTED = "left join crm.memory_uses u on u.org_id = d.org_id and u.kind = 'draft' and u.record_id = d.id"
_DECIDED = _CORRECTION.format(
    at="d.decided_at",
    text="""case d.state when 'rejected' then d.tool || ' was rejected: ' || left(d.decision_reason, 300)
    else d.tool || ' was edited before it was approved: ' || left(v.reason, 300) end""",
)
_UNDONE = _CORRECTION.format(at="n.decided_at", text="d.tool || ' was undone: ' || left(n.reason, 300)")
_NUMBER = "substring(n.args::jsonb ->> 'change' from '_([0-9]{1,18})$')::bigint"
LEARNT = f"""select {_DECIDED}
 from crm.drafts d join crm.users a on a.id = d.approver {_COUNTED}
 left join lateral (select v.reason from crm.draft_versions v where v.org_id = d.org_id and v.draft_id = d.id and v.agent is null
   and v.edited_by <> d.requester order by v.version desc limit 1) v on true
 where d.org_id = %(org)s and d.requester = %(user)s and d.decided_at > now() - interval '90 days'
  and ((d.state = 'rejected' and d.decision_reason is not null) or (d.state = 'approved' and v.reason is not null))
 union all select {_UNDONE}
 from crm.drafts n join crm.users a on a.id = n.requester
 join crm.drafts d on d.org_id = n.org_id and d.requester = %(user)s and d.state = 'approved' and d.id =
   case when starts_with(n.args::jsonb ->> 'change', 'draft_') then {_NUMBER} else (select c.draft_id from crm.changes c
     where c.org_id = n.org_id and c.id = {_NUMBER}) end {_COUNTED}
 where n.org_id = %(org)s and n.tool = 'undo_change' and n.state = 'approved' and n.agent is null and n.reason is not null
  and n.decided_at > now() - interval '90 days'"""
"""What people set right in what was done for the person: drafts that were rejected with a reason, edited by somebody else, or undone
after all, "because…" (S4).

It is told, and applied only once the person says so themselves (`preferences.save`): an approver's word is not theirs."""

TOP = 5
"""Preferences told unasked (S0 section 4), within `ROOM` characters: 300 tokens (S0 section 9)."""
ROOM = 1_200
TOLD = f"""(select coalesce(jsonb_agg(jsonb_build_array(x.id, x.content) order by x.uses desc, x.confidence desc, x.id desc), '[]')
 from (select p.id, p.content, p.confidence, coalesce(u.uses, 0) as uses from {FROM} where {MINE} and p.confidence > {SURE}
  order by uses desc, p.confidence desc, p.id desc limit {TOP}) x)"""
"""An expression of the person's surest preferences, those applied most often first (S0 section 4: confidence above 0.7, ordered by
use); `told` reads it. Being told does not count as use, else the first would stay the first."""


class Told(NamedTuple):
    """What is known of how a person wants things: lines for a model, and the numbers of the preferences in them."""

    lines: list[str]
    numbers: list[int]


def told(rows: Sequence[Sequence[Any]], line_of: Callable[[str], str], room: int = ROOM) -> Told:
    """Return as many preferences as there is room for, each as `line_of` shows its text."""
    found = Told([], [])
    for number, content in rows:
        line = f"{line_of(content)} ({ids.show('preferences', number)})"
        if sum(map(len, found.lines)) + len(line) > room:
            break
        found.lines.append(line)
        found.numbers.append(number)
    return found


def used(who: Principal, kind: str, numbers: Collection[int], *, is_applied: bool = False) -> Statement:
    """Return the statement that counts what a read told or applied: of a preference, a learning, or the draft of a correction."""
    return "select crm.memory_used(%s, %s, %s, %s, %s)", (who.org, who.user, kind, list(numbers), is_applied)
