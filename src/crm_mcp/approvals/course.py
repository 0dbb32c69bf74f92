"""A draft's course, from when it was drafted to what undid it: who did what, when, and what each edit changed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import ids
from ..db import Database
from ..principal import Principal
from ..tool import WriteArgs
from .cells import zone_of
from .chip import Tone
from .diff import Line, moved_of
from .undo import TOOL as UNDO
from .views import TONES, Time, agent_name, time_of

_VERSIONS = """select v.version, v.args, v.reason, v.agent, v.edited_at, v.call_id, u.name as editor, v.edited_by
 from crm.draft_versions v join crm.users u on u.id = v.edited_by where v.org_id = %s and v.draft_id = %s order by v.version"""
_UNDOES = """select d.id, d.state, d.decided_at, d.created_at, u.name from crm.drafts d join crm.users u on u.id = d.requester
 where d.org_id = %(org)s and d.tool = %(tool)s and (d.args::jsonb ->> 'change' = %(shown)s
  or d.args::jsonb ->> 'change' in (select 'chg_' || c.id from crm.changes c where c.org_id = %(org)s and c.draft_id = %(draft)s))
 order by d.id"""
_CHANGED_BY = "select draft_id from crm.changes where org_id = %s and id = %s"
_REMINDED = """select n.sent_at, string_agg(distinct u.name, ', ' order by u.name) as people from crm.notices n
 left join crm.users u on u.id = n.person where n.org_id = %s and n.draft_id = %s and n.occasion = 'reminder' and n.sent_at is not null
 group by n.message, n.sent_at order by n.sent_at"""
_DECIDED: Mapping[str, str] = {
    "approved": "Approved and carried out",
    "rejected": "Rejected",
    "stale": "Found to have changed, so not carried out",
    "discarded": "Withdrawn",
    "superseded": "Replaced by a newer draft",
    "failed": "Given up after three crashes",
    "expired": "Expired",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `who` did it; `link` leads to the draft that it made."""

    when: Time
    what: str
    who: str | None
    tone: Tone = "quiet"
    reason: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: `lines` are the arguments it changed."""

    editor: str
    when: Time
    reason: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Course:
    """`undoes` is the draft that this one takes back, `undone` the approved one that took this one back."""

    steps: Sequence[Step]
    edits: Sequence[Edit]
    undoes: str | None
    undone: str | None


async def course_of(db: Database, who: Principal, row: Mapping[str, Any], now: datetime) -> Course:
    """Return the course of a draft that may be shown to a person."""
    draft, zone = int(row["id"]), zone_of(who.timezone)
    asked = {"org": who.org, "tool": UNDO, "draft": draft, "shown": ids.show("drafts", draft)}
    async with db.begin(who, ids.new_call()) as conn:
        versions = (await conn.exec_driver_sql(_VERSIONS, (who.org, draft))).all()
        undone = (await conn.exec_driver_sql(_UNDOES, asked)).all()
        reminded = (await conn.exec_driver_sql(_REMINDED, (who.org, draft))).all()
        undoes: str | None = None
        if row["tool"] == UNDO:
            change = str(json.loads(row["args"]).get("change", ""))
            undoes = change if change.startswith("draft_") else None
            if change.startswith("chg_") and ids.is_id(change):
                made = await conn.exec_driver_sql(_CHANGED_BY, (who.org, int(change[4:])))
                number = made.scalar_one_or_none()
                undoes = None if number is None else ids.show("drafts", number)

    def at(when: datetime) -> Time:
        return time_of(when, zone, now)

    agent = agent_name(row["agent"])
    steps = [
        Step(at(row["created_at"]), "Drafted" + (f" through the {agent}" if agent else ""), row["requester_name"])
    ]
    edits: list[Edit] = []
    for i, version in enumerate(versions):
        after = versions[i + 1].args if i + 1 < len(versions) else row["args"]
        lines = moved_of(_own(version.args), _own(after), zone)
        editor = version.editor + (f" through the {agent_name(version.agent)}" if version.agent else "")
        edits.append(Edit(editor, at(version.edited_at), version.reason, lines))
        steps.append(Step(at(version.edited_at), "Edited", editor, reason=version.reason))
    between: list[tuple[datetime, Step]] = [
        (version.edited_at, step) for version, step in zip(versions, steps[1:], strict=True)
    ]
    between += [(one.sent_at, Step(at(one.sent_at), "Reminded", one.people)) for one in reminded]
    steps[1:] = [step for _, step in sorted(between, key=lambda pair: pair[0])]
    state = str(row["state"])
    if state != "pending":
        when = row["decided_at"] or row["expires_at"]
        by = row.get("approver_name") or (row["requester_name"] if state == "discarded" else None)
        steps.append(Step(at(when), _DECIDED.get(state, state.capitalize()), by, TONES.get(state, "quiet")))
    for undo in undone:
        shown = ids.show("drafts", undo.id)
        was_done = undo.state == "approved"
        what = (
            "Undone" if was_done else f"An undo was drafted ({'waiting' if undo.state == 'pending' else undo.state})"
        )
        steps.append(Step(at(undo.decided_at if was_done else undo.created_at), what, undo.name, link=shown))
    taken_back = next((ids.show("drafts", undo.id) for undo in undone if undo.state == "approved"), None)
    return Course(steps, edits, undoes, taken_back)


def _own(args: str) -> dict[str, Any]:
    """Return a held call's arguments without those that every write has."""
    return {name: value for name, value in json.loads(args).items() if name not in WriteArgs.model_fields}
