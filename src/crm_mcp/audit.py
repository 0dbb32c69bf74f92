"""Every call leaves rows that are only ever added: begun before its effect, ended with it, or refused."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from . import ids
from .jsonvalue import is_array, is_object
from .principal import Principal

Statement = tuple[str, tuple[object, ...]]

_BEGUN = """insert into crm.audit_log(org_id, call_id, parent_call, phase, user_id, agent, client, tool, draft_id, payload)
 values (%s, %s, %s, 'begun', %s, %s, %s, %s, %s, %s)"""
_ENDED = """insert into crm.audit_log(org_id, call_id, parent_call, phase, user_id, agent, client, tool, draft_id, verdict, outcome, ms, payload)
 values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
LONGEST = 20_000
"""Characters of arguments that are kept; longer ones are cut, and the digest covers what is kept."""


@dataclass(slots=True)
class Call:
    """One call: who asks for what. `person` decides where it is another than the principal (an approver)."""

    principal: Principal
    tool: str
    raw: Mapping[str, Any]
    client: str | None = None
    parent: int | None = None
    draft: int | None = None
    person: int | None = None
    is_begun: bool = False
    """Whether its begun row is committed: a call that starts over has begun once."""
    id: int = field(default_factory=ids.new_call)
    started: float = field(default_factory=time.perf_counter)

    @property
    def user(self) -> int:
        return self.person if self.person is not None else self.principal.user


def begun(call: Call) -> Statement:
    """Return the row that says a call has begun, with its arguments."""
    who = call.principal
    return _BEGUN, (
        who.org,
        call.id,
        call.parent,
        call.user,
        who.agent,
        _label(call.client),
        _label(call.tool),
        call.draft,
        _text(call.raw),
    )


def ended(call: Call, verdict: str, outcome: str, result: object = None, draft: int | None = None) -> Statement:
    """Return the row that says how a call ended; `result` are the ids it returned, not the records."""
    return _closing(call, "ended", verdict, outcome, result, draft)


def refused(call: Call, outcome: str) -> Statement:
    """Return the row of a call that was refused, with its arguments."""
    return _closing(call, "refused", "refused", outcome, call.raw, None)


def _closing(call: Call, phase: str, verdict: str, outcome: str, payload: object, draft: int | None) -> Statement:
    who = call.principal
    return _ENDED, (
        who.org,
        call.id,
        call.parent,
        phase,
        call.user,
        who.agent,
        _label(call.client),
        _label(call.tool),
        draft or call.draft,
        verdict,
        outcome,
        (time.perf_counter() - call.started) * 1e3,
        _text(payload),
    )


def _text(payload: object) -> str | None:
    if payload is None:
        return None
    text = json.dumps(payload, ensure_ascii=False, default=str)[:LONGEST]
    return text.replace("\0", "\\u0000").encode("utf-8", "backslashreplace").decode()


def ids_of(record: Any) -> list[str]:
    """Return the ids of a record or of a list of them: what the audit keeps of a result."""
    records = record if is_array(record) else [record]
    found = [r.get("id") if is_object(r) else getattr(r, "id", None) for r in records]
    return [str(i) for i in found if i is not None]


class Commits(Protocol):
    async def alone(self, org: int, *statements: Statement, durable: bool = True) -> None: ...


def _label(text: str | None) -> str | None:
    """Return a name that a client chose as Postgres can hold it."""
    return text and text[:200].replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


class Rides(Protocol):
    """Has rows that may be lost and ride along with the audit's; it wakes whoever writes those once there are some."""

    wake: Callable[[], None]

    def rows(self) -> Sequence[Statement]: ...
    async def drained(self) -> None: ...


class Flusher:
    """The ended rows of reads, written a batch at a time, at most `every` seconds late; and what rides along."""

    def __init__(self, db: Commits, every: float = 0.3) -> None:
        self._db, self._every = db, every
        self._rows: list[Statement] = []
        self._rides: Rides | None = None
        self._later: asyncio.Task[None] | None = None

    def take_along(self, rides: Rides) -> None:
        """Have the rows of something ride along."""
        if self._rides is not rides:
            self._rides = rides
            rides.wake = self.wake

    def add(self, statement: Statement) -> None:
        self._rows.append(statement)
        self.wake()

    def wake(self) -> None:
        """Write soon."""
        if self._later is None or self._later.done():
            self._later = asyncio.create_task(self._soon())

    async def _soon(self) -> None:
        await asyncio.sleep(self._every)
        await self.flush()

    async def flush(self) -> None:
        """Write what waits; rows that the database would not take now wait for the next flush, without what rode along."""
        rows, self._rows = _by_org(self._rows), []
        riding = _by_org(self._rides.rows() if self._rides is not None else ())
        for org in rows | riding:
            statements, besides = rows.get(org, []), riding.get(org, [])
            if besides and await self._problem_with(org, [*statements, *besides]) is None:
                continue
            if statements and (problem := await self._problem_with(org, statements)) is not None:
                self._rows += statements
                if len(self._rows) > 10_000:
                    raise problem

    async def close(self) -> None:
        """Write everything that waits here, or waits to ride along."""
        if self._rides is not None:
            await self._rides.drained()
        await self.flush()

    async def _problem_with(self, org: int, statements: Sequence[Statement]) -> Exception | None:
        try:
            await self._db.alone(org, *statements, durable=False)
        except Exception as problem:
            return problem
        return None


def _by_org(rows: Sequence[Statement]) -> dict[int, list[Statement]]:
    found: dict[int, list[Statement]] = {}
    for row in rows:
        found.setdefault(int(str(row[1][0])), []).append(row)
    return found
