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
from .criteria import PROVEN, Judged
from .funnel import ENOUGH_STAYS, rounded
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
    """Return what may be done, the most urgent first; never nothing.

    Each says what to do as an instruction, and why with the figures it rests on.
    """
    found: list[dict[str, Any]] = []

    def add(action: str, tool: str, priority: str, what: str, reason: str, **arguments: Any) -> None:
        found.append(
            {
                "action": action, "do": what, "reason": reason, "tool": tool, "arguments": arguments,
                "priority": priority, "timing": _TIMING[priority],
            }
        )  # fmt: skip

    record, facts, stage = it.record["id"], it.facts, it.facts["stage"]
    whom = facts["contact"]["name"] if facts["contact"] is not None else it.record["name"]
    for task in it.tasks:
        if task["dueOn"] is not None and task["dueOn"] < it.today.isoformat():
            why = f"It was due on {task['dueOn']}, {_since(it, task['dueOn'])}."
            what = f"Do the task {task['title']!r}, then mark it done."
            add("do_overdue_task", "complete_task", "high", what, why, task=task["id"])
            break
    follow_up = facts["followUpOn"]
    if follow_up is not None and follow_up <= it.today.isoformat():
        why = f"A follow-up was planned for {follow_up}, {_since(it, follow_up)}; {_heard(facts)}."
        add("follow_up", "log_activity", "high", f"Follow up with {whom} and log what came of it.", why, about=record)
    if facts["overdue"] is not None and facts["overdue"] > 0:
        worth = "" if facts["value"] is None else f", worth {facts['value']['currency']} {facts['value']['amount']}"
        why = (
            f"It was expected to close on {facts['expectedCloseOn']}, {counted(facts['overdue'], 'day')} ago, "
            f"and is open yet in {stage}{worth}."
        )
        what = f"Ask {whom} when it will be decided, and set expected_close_on to that day."
        add("agree_new_close_date", "propose_changes", "high", what, why, record=record, field="expected_close_on")
    if facts["silent"] >= SILENT:
        priority = "high" if it.risk.score >= HIGH_RISK else "medium"
        chiefly = f", chiefly: {_lowered(it.risk.factors[0]['text'])}" if it.risk.factors else ""
        why = f"{_heard(facts).capitalize()}; the risk is {it.risk.score} of 1{chiefly}."
        tool = "send_email_draft" if it.has_contact else "create_task"
        what = f"Get in touch with {whom}." if it.has_contact else "Find out whom to talk to, and get in touch."
        add("get_in_touch", tool, priority, what, why, about=record)
    for name in it.judged.missing:
        need = (it.judged.needs or {}).get(name, "")
        shown = need.removeprefix(PROVEN)
        what = (
            f"Find out whether {name} is so, and have the record show it: {shown}."
            if shown != need
            else f"Find out whether {name} is so, and state it in criteria_met when it moves on."
        )
        why = f"{stage} is not left without {name}, and {'the record does not show it' if shown != need else 'no record proves it'}."
        add("meet_criterion", "create_task", "medium", what, why, about=record, criterion=name)
    for name in it.judged.fields:
        why = f"{stage} is not left while {name} is empty."
        add(
            "fill_field", "propose_changes", "medium", f"Find out and fill in {name}.", why, record=record, field=name
        )
    if it.judged.is_met and it.following is not None:
        usual = (
            "" if facts["stays"] < ENOUGH_STAYS else f" (median {rounded(facts['median'], 1)}, n {facts['stays']})"
        )
        why = f"Nothing that {stage} takes is missing; it has stood there for {counted(facts['inStage'], 'day')}{usual}."
        what = f"Move it from {stage} to {it.following}."
        add(
            "move_on", "move_to_stage", "medium", what, why,
            record=record, pipeline=facts["pipeline"], to_stage=it.following,
        )  # fmt: skip
    if not it.has_contact:
        why = "Nobody is named to talk to, so nobody can be written to."
        add("name_a_contact", "propose_changes", "medium", "Find out who decides, and name them.", why, record=record)
    if not it.is_scored:
        why = f"Nobody scored it yet in {facts['pipeline']}."
        what = "Say how engaged and ready they are and how well they fit."
        add("score", "score_contact", "low", what, why, record=record, pipeline=facts["pipeline"])
    if not found:
        why = f"Nothing is due and nothing is missing; {_heard(facts)}."
        add("look_again", "create_task", "low", "Set a day to look at it again.", why, about=record)
    return sorted(found, key=lambda one: _RANK[one["priority"]])


def _since(it: Situation, day: str) -> str:
    days = (it.today - date.fromisoformat(day)).days
    return f"{counted(days, 'day')} ago" if days else "today"


def _heard(facts: Mapping[str, Any]) -> str:
    """Say how long ago the last sign of life was."""
    silent = facts["silent"]
    return (
        f"nothing has happened for {counted(silent, 'day')}"
        if silent > 0
        else "something happened within the last day"
    )


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
