"""What waits for a decision: the riskiest first, narrowed by the form above it, a run of e-mails as one entry."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from .. import ids
from ..db import Database
from ..policy_document import SURE
from ..principal import Principal
from . import risk
from .asking import Asked, Option, options
from .letter import TOOL as EMAIL
from .receipt import sees_every_draft
from .risk import Key, Risk
from .text import label
from .views import Item, agent_name, item_of

MOST = 5_000
"""Drafts that are ranked; an org with more that wait sees the newest of them."""
PAGE = 100
"""Entries of one page."""
NOBODY = "none"
"""The agent of what a person's own client asked for."""
FIELDS = ("kind", "by", "agent", "over", "risk", "mine", "q")
_RUN = timedelta(hours=1)
_WAITING = """select d.id, d.tool, d.summary, d.amount, d.reason, d.confidence, d.verdict, d.agent, d.created_at, d.expires_at,
   d.state, d.requester, d.group_call, u.name as requester_name,
   case when d.amount is null then 0 else (select coalesce(sum(greatest(x.amount, 0)), 0) from crm.drafts x where x.org_id = d.org_id
     and x.requester = d.requester and x.subject = d.subject and x.state = 'approved'
     and x.decided_at > statement_timestamp() - interval '24 hours') end as spent
 from crm.drafts d join crm.users u on u.id = d.requester
 where d.org_id = %s and d.state = 'pending' and d.expires_at > statement_timestamp() and (%s or d.requester = %s)
 order by d.id desc limit %s"""
_SURE = f"select {SURE.format(org='%s')}"
_AFTER = re.compile(r"(\d{1,2})!(-?\d{1,2})!(-?\d{1,15}(?:\.\d{1,4})?)!(\d{1,18})!(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the queue: a draft, or the first of a run of e-mails or of the changes of one call.

    `count` is how many it stands for, `call` the one whose changes they are.
    """

    item: Item
    count: int
    people: Sequence[str]
    call: int | None = None

    @property
    def address(self) -> str:
        if self.call is not None:
            return f"/groups/{self.call}"
        return f"/drafts/{self.item.id}" + ("/group" if self.count > 1 else "")


@dataclass(frozen=True, slots=True)
class Queue:
    """One page of what waits. `total` counts drafts, `found` those that the form leaves, of which `later` come after; `sure` is what the policy asks
    of a stated confidence.
    """

    entries: Sequence[Entry]
    total: int
    found: int
    later: int
    after: str | None
    is_later: bool
    filters: Mapping[str, Sequence[Option]]
    mine: int
    is_cut: bool
    sure: Decimal


@dataclass(frozen=True, slots=True)
class _Row:
    row: Mapping[str, Any]
    risks: Sequence[Risk]
    key: Key
    mine: bool


async def waiting(db: Database, who: Principal, asked: Asked, after: str, now: datetime) -> Queue:
    """Return the page of the queue that begins after a position; whoever may not see others' drafts sees their own."""
    async with db.begin(who, ids.new_call()) as conn:
        asking = (who.org, sees_every_draft(who), who.user, MOST + 1)
        found = [dict(row) for row in (await conn.exec_driver_sql(_WAITING, asking)).mappings()]
        sure = Decimal((await conn.exec_driver_sql(_SURE, (who.org,))).scalar_one())
    for row in found:
        row["sure"] = sure
    rows = sorted((_ranked(row, who, now) for row in found[:MOST]), key=lambda row: row.key)
    tests = _tests(asked)
    left = [row for row in rows if all(test(row) for test in tests.values())]
    start = _position(after)
    runs = [run for run in _runs(left) if start is None or run[0].key > start]
    shown = runs[:PAGE]
    more = len(runs) > PAGE
    return Queue(
        [_entry(run, who, now) for run in shown],
        len(rows),
        len(left),
        sum(len(run) for run in runs[PAGE:]),
        _said(shown[-1][0].key) if more else None,
        start is not None,
        _filters(asked, rows, tests, who),
        sum(row.mine for row in _but(rows, tests, "mine")),
        len(found) > MOST,
        sure,
    )


def _ranked(row: Mapping[str, Any], who: Principal, now: datetime) -> _Row:
    risks = risk.risks_of(row, who, now)
    return _Row(row, risks, risk.key_of(row, risks), risk.may_approve(row, risks, who))


def _tests(asked: Asked) -> dict[str, Callable[[_Row], bool]]:
    """Return what each field that was filled in lets through."""
    tests: dict[str, Callable[[_Row], bool]] = {}
    if asked["kind"]:
        tests["kind"] = lambda it: it.row["tool"] == asked["kind"]
    if asked["by"]:
        tests["by"] = lambda it: str(it.row["requester"]) == asked["by"]
    if asked["agent"]:
        tests["agent"] = lambda it: (it.row["agent"] or NOBODY) == asked["agent"]
    over = asked.amount("over")
    if over is not None:
        tests["over"] = lambda it: it.row["amount"] is not None and it.row["amount"] > over
    if asked["risk"]:
        tests["risk"] = lambda it: asked["risk"] in [one.key for one in it.risks]
    if asked["mine"]:
        tests["mine"] = lambda it: it.mine
    words = asked["q"].casefold().split()
    if words:
        tests["q"] = lambda it: all(word in str(it.row["summary"]).casefold() for word in words)
    return tests


def _filters(
    asked: Asked, rows: Sequence[_Row], tests: Mapping[str, Callable[[_Row], bool]], who: Principal
) -> dict[str, Sequence[Option]]:
    """Return the options of each filter, each counted among what the other fields leave."""
    people = {str(it.row["requester"]): str(it.row["requester_name"]) for it in rows}
    kinds = {str(it.row["tool"]): label(str(it.row["tool"])) for it in rows}
    agents = {str(it.row["agent"] or NOBODY): agent_name(it.row["agent"]) or "no agent" for it in rows}
    names = {one.key: one.name for one in risk.RISKS}
    counted = {
        "kind": Counter(str(it.row["tool"]) for it in _but(rows, tests, "kind")),
        "by": Counter(str(it.row["requester"]) for it in _but(rows, tests, "by")),
        "agent": Counter(str(it.row["agent"] or NOBODY) for it in _but(rows, tests, "agent")),
        "risk": Counter(one.key for it in _but(rows, tests, "risk") for one in it.risks),
    }
    known = {"kind": kinds, "by": people, "agent": agents, "risk": names}
    return {
        name: options(
            values.items() if name == "risk" else sorted(values.items(), key=lambda pair: pair[1].casefold()),
            counted[name],
            asked[name],
        )
        for name, values in known.items()
    }


def _but(rows: Sequence[_Row], tests: Mapping[str, Callable[[_Row], bool]], field: str) -> list[_Row]:
    """Return what all fields but one leave."""
    others = [test for name, test in tests.items() if name != field]
    return [row for row in rows if all(test(row) for test in others)]


def _runs(rows: Sequence[_Row]) -> list[list[_Row]]:
    """Return rows in their order, the changes of one call together, and e-mails of one person and agent within an hour."""
    calls: dict[int, list[_Row]] = {}
    for it in rows:
        if it.row["group_call"] is not None:
            calls.setdefault(it.row["group_call"], []).append(it)
    rows = [it for it in rows if it.row["group_call"] is None]
    first: dict[tuple[Any, Any], list[list[_Row]]] = {}
    for it in sorted((it for it in rows if it.row["tool"] == EMAIL), key=lambda it: it.row["created_at"]):
        runs = first.setdefault((it.row["requester"], it.row["agent"]), [])
        if runs and it.row["created_at"] - runs[-1][0].row["created_at"] <= _RUN:
            runs[-1].append(it)
        else:
            runs.append([it])
    together = [sorted(run, key=lambda it: it.key) for runs in first.values() for run in runs]
    alone = [[it] for it in rows if it.row["tool"] != EMAIL]
    return sorted([*calls.values(), *together, *alone], key=lambda run: run[0].key)


def _entry(run: Sequence[_Row], who: Principal, now: datetime) -> Entry:
    item = item_of(run[0].row, who, now)
    call = run[0].row["group_call"] if len(run) > 1 else None
    if call is not None:
        said = [str(it.row["summary"]) for it in sorted(run, key=lambda it: it.row["id"])]
        return Entry(item, len(run), said, call)
    people = [str(it.row["summary"]).rpartition(" to ")[2] for it in run] if len(run) > 1 else []
    return Entry(item, len(run), people)


def _position(after: str) -> Key | None:
    """Return a position as an address holds it; None, the start, for anything else."""
    match = _AFTER.fullmatch(after)
    if match is None:
        return None
    return int(match[1]), int(match[2]), Decimal(match[3]), int(match[4]), int(match[5])


def _said(key: Key) -> str:
    return "!".join(str(part) for part in key)
