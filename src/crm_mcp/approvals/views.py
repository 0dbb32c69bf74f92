"""What the pages say of drafts: rows of the queue, and one draft with all that a decision needs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any

from .. import ids
from ..principal import Principal
from ..suspicious import finding
from . import risk
from .cells import moment, money, relative, zone_of
from .chip import Chip, Tone
from .diff import Change, Line, changes_of, moved_of
from .held import Shown
from .letter import TOOL, Sheet, sheet_of
from .record import Record, record_of
from .text import has_hidden, label

TONES: Mapping[str, Tone] = {"approved": "good", "rejected": "danger", "failed": "danger", "stale": "warn"}


@dataclass(frozen=True, slots=True)
class Time:
    """A time both ways: how far, and when exactly."""

    iso: str
    far: str
    exact: str


@dataclass(frozen=True, slots=True)
class Item:
    """A row of the queue or the history. `summary` is the requester's run: only a draft's own page runs it anew."""

    id: str
    action: str
    summary: str
    amount: str | None
    requester: str
    agent: str | None
    approver: str | None
    state: Chip
    reason: str | None
    chips: list[Chip]
    created: Time
    expires: Time
    decided: Time | None
    group: int | None = None
    """The call that asked for it and for others."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One draft as its page shows it.

    `would` and `record` are the approver's own run (of a stale one that was decided, the run that found it so), `was`
    and `was_record` the requester's where it differed, `moved` what differs.
    `did` and `made` are what came of an approved one: its sentence, and the new records by noun and name.
    `letter` is an e-mail's `record`, laid out as one.
    """

    item: Item
    would: str | None
    record: Record | None
    letter: Sheet | None
    changes: list[Change]
    was: str | None
    was_record: Record | None
    moved: list[Line]
    stale: str | None
    did: str | None
    made: list[tuple[str, str]]
    verdict: str
    reason: str | None
    author: str
    confidence: str | None
    email: str
    may_not: str | None
    hash: str | None
    is_waiting: bool
    is_own: bool
    hides: bool
    suspicious: list[str]
    warnings: list[str]


def time_of(when: datetime, zone: tzinfo, now: datetime) -> Time:
    return Time(when.astimezone(UTC).isoformat(timespec="seconds"), relative(when, now), moment(when, zone))


def item_of(row: Mapping[str, Any], who: Principal, now: datetime) -> Item:
    """Return a draft's row for a list, with what makes it risky."""
    zone = zone_of(who.timezone)
    state, decided = str(row["state"]), row.get("decided_at")
    return Item(
        id=ids.show("drafts", row["id"]),
        action=label(str(row["tool"])),
        summary=str(row["summary"]),
        amount=None if row["amount"] is None else money(row["amount"], who.currency),
        requester=str(row["requester_name"]),
        agent=agent_name(row["agent"]),
        approver=row.get("approver_name"),
        state=Chip("waiting" if state == "pending" else state, TONES.get(state, "quiet")),
        reason=row.get("decision_reason"),
        chips=risk.chips(risk.risks_of(row, who, now), row),
        created=time_of(row["created_at"], zone, now),
        expires=time_of(row["expires_at"], zone, now),
        decided=None if decided is None else time_of(decided, zone, now),
        group=row.get("group_call"),
    )


def draft_of(shown: Shown, receipt: Sequence[Mapping[str, Any]], who: Principal, now: datetime) -> Draft:
    """Return a draft's page; `receipt` are the rows that its approval wrote."""
    row, zone = shown.draft, zone_of(who.timezone)
    result: dict[str, Any] = json.loads(row["result"]) if row.get("result") else {}
    view, was = result or shown.shown or {}, shown.was or {}
    confidence = row.get("confidence")
    changes = changes_of(receipt or shown.changes, who.currency, zone, is_done=bool(receipt))
    return Draft(
        item=item_of(row, who, now),
        would=(shown.shown or {}).get("did"),
        record=record_of(view.get("record"), zone),
        letter=sheet_of(view.get("record") or was.get("record")) if row["tool"] == TOOL else None,
        changes=changes,
        was=was.get("did"),
        was_record=record_of(was.get("record"), zone),
        moved=moved_of(shown.was, shown.shown, zone) if shown.was and shown.shown else [],
        stale=shown.stale and shown.stale.rstrip("."),
        did=result.get("did"),
        made=[change.made for change in changes if change.made is not None],
        verdict=shown.verdict,
        reason=row.get("reason"),
        author=_author(row),
        confidence=None if confidence is None else _percent(confidence),
        email=str(row["requester_email"]),
        may_not=shown.may_not,
        hash=shown.hash,
        is_waiting=row["state"] == "pending",
        is_own=row["requester"] == who.user,
        hides=has_hidden([view, was, row.get("reason")]),
        suspicious=[
            finding.in_words([name])
            for name in finding.orders(
                [view, was, row.get("reason"), [change.get("after") for change in shown.changes]]
            )
        ],
        warnings=list(shown.warnings),
    )


def agent_name(name: str | None) -> str | None:
    return None if name is None else f"{label(name)} agent"


def _author(row: Mapping[str, Any]) -> str:
    """Return who wrote a draft's texts: the named agent, else the program that asked."""
    client = row.get("client")
    return (agent_name(row["agent"]) or "an AI client") + (f", {client}" if client else "")


def _percent(share: object) -> str:
    return f"{Decimal(str(share)) * 100:.0f} %"
