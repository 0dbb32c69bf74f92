"""What to do next for a record on its way through a pipeline: fixed rules in a fixed order, each with its reason.

Rules are tried from top to bottom. Of what they suggest the highest priority comes first, of equals the earlier rule:
a task overdue, a follow-up due, a close date past, silence (high from a risk of 0.5), criteria and fields missing, the next
stage where nothing is missing, no contact, no score, and where none holds, a day to look again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from .counting import counted
from .criteria import Judged
from .risk import Risk

HIGH_RISK = Decimal("0.5")
SILENT = 14
"""Days without a sign of life from which to get in touch."""
_RANK = {"high": 0, "medium": 1, "low": 2}
_TIMING = {"high": "today", "medium": "this week", "low": "when convenient"}


@dataclass(frozen=True, slots=True)
class Situation:
    """All that the rules look at."""

    record: Mapping[str, str]
    facts: Mapping[str, Any]
    risk: Risk
    judged: Judged
    following: str | None
    tasks: Sequence[Mapping[str, Any]]
    has_contact: bool
    is_scored: bool
    today: date


def actions(it: Situation) -> list[dict[str, Any]]:
    """Return what may be done, the most urgent first; never nothing."""
    found: list[dict[str, Any]] = []

    def add(action: str, tool: str, priority: str, reason: str, **arguments: Any) -> None:
        found.append(
            {
                "action": action, "tool": tool, "arguments": arguments, "reason": reason,
                "priority": priority, "timing": _TIMING[priority],
            }
        )  # fmt: skip

    record, facts = it.record["id"], it.facts
    for task in it.tasks:
        if task["dueOn"] is not None and task["dueOn"] < it.today.isoformat():
            why = f"The task {task['title']!r} was due on {task['dueOn']}."
            add("do_overdue_task", "complete_task", "high", why, task=task["id"])
            break
    follow_up = facts["followUpOn"]
    if follow_up is not None and follow_up <= it.today.isoformat():
        add("follow_up", "log_activity", "high", f"A follow-up was planned for {follow_up}.", about=record)
    if facts["overdue"] is not None and facts["overdue"] > 0:
        why = f"It was expected to close {counted(facts['overdue'], 'day')} ago and is open yet."
        add("agree_new_close_date", "propose_changes", "high", why, record=record, field="expected_close_on")
    if facts["silent"] >= SILENT:
        priority = "high" if it.risk.score >= HIGH_RISK else "medium"
        why = f"Nothing happened for {facts['silent']} days; the risk is {it.risk.score}."
        add("get_in_touch", "send_email_draft" if it.has_contact else "create_task", priority, why, about=record)
    for name in it.judged.missing:
        why = f"{facts['stage']} is not left without {name}: {(it.judged.needs or {}).get(name, 'state it, if it is so')}."
        add("meet_criterion", "create_task", "medium", why, about=record, criterion=name)
    for name in it.judged.fields:
        why = f"{facts['stage']} is not left while {name} is empty."
        add("fill_field", "propose_changes", "medium", why, record=record, field=name)
    if it.judged.is_met and it.following is not None:
        why = f"Nothing that {facts['stage']} takes is missing."
        add(
            "move_on",
            "move_to_stage",
            "medium",
            why,
            record=record,
            pipeline=facts["pipeline"],
            to_stage=it.following,
        )
    if not it.has_contact:
        add("name_a_contact", "propose_changes", "medium", "Nobody is named to talk to.", record=record)
    if not it.is_scored:
        add("score", "score_contact", "low", "Nobody scored it yet.", record=record, pipeline=facts["pipeline"])
    if not found:
        add("look_again", "create_task", "low", "Nothing is due and nothing is missing.", about=record)
    return sorted(found, key=lambda one: _RANK[one["priority"]])
