"""Calls that go on after their request was answered: who they belong to, how far they are, what came of them.

A task lives in the memory of the process that runs it, for as long as it was promised. It belongs to the principal as they
were: to anybody else, and to the same person with other rights, it is as missing as one that never was.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from .context import Reports
from .errors import Refusal
from .principal import Principal

LONG = frozenset({"run_report", "find_duplicates"})
"""Tools that may take long enough for a task: reads, whose results harm nobody who never fetches them."""
MOST_OF_ONE = 8
"""Tasks of one principal that run or whose results are kept."""
MOST = 200
"""The same of a process."""
USUAL, LONGEST = timedelta(minutes=10), timedelta(hours=1)
"""How long a task is kept from its creation: where nothing is asked for, and at the most."""
POLL = timedelta(seconds=1)
"""How often it is worth asking."""
GRACE = 1.0
"""Seconds in which a call is answered at once, before a client that takes tasks is given one."""
Status = Literal["working", "completed", "failed", "cancelled"]
Owner = tuple[int, int, str | None, int]


class TaskNotFound(Refusal):
    """No such task of this principal: never made, another's, expired or dropped."""

    def __init__(self) -> None:
        super().__init__("TASK_NOT_FOUND", "Task not found. Its result is no longer kept, or it never was yours.")


@dataclass(slots=True)
class Task:
    """A call that goes on. `result` is the wire form of its result, `problem` the JSON-RPC error that it met instead."""

    id: str
    owner: Owner
    ttl: timedelta
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated: datetime = field(default_factory=lambda: datetime.now(UTC))
    status: Status = "working"
    message: str = ""
    result: dict[str, Any] | None = None
    problem: Exception | None = None
    work: "asyncio.Task[dict[str, Any]] | None" = None

    async def progress(self, done: float, total: float, message: str) -> None:
        """Note how far the call is."""
        self._becomes("working", f"{message} ({done:g} of {total:g})")

    async def over(self) -> None:
        """Wait until the call has ended, however it does."""
        if self.work is not None:
            await asyncio.wait({self.work})

    def _becomes(self, status: Status, message: str) -> None:
        if self.status == "working":
            self.status, self.message, self.updated = status, message, datetime.now(UTC)

    def ended(self, work: "asyncio.Task[dict[str, Any]]") -> None:
        """Note what came of the call."""
        if work.cancelled():
            self._becomes("cancelled", "given up")
        elif (problem := work.exception()) is not None:
            self.problem = problem if isinstance(problem, Exception) else None
            self._becomes("failed", "met an error of the protocol")
        else:
            self.result = work.result()
            self._becomes("completed", "")


class Tasks:
    """The tasks of one process, bounded in number and in time."""

    def __init__(self) -> None:
        self._by_id: dict[str, Task] = {}

    def start(
        self, who: Principal, ttl: timedelta | None, doing: Callable[[Reports], Awaitable[dict[str, Any]]]
    ) -> Task | None:
        """Begin a call as a task; None where there are as many as may be. What ended first makes room."""
        owner = owner_of(who)
        if not (self._room(owner, MOST_OF_ONE) and self._room(None, MOST)):
            return None
        kept = min(max(ttl or USUAL, POLL), LONGEST)
        task = Task(secrets.token_urlsafe(18), owner, kept)

        async def work() -> dict[str, Any]:
            return await doing(task.progress)

        task.work = asyncio.create_task(work())
        task.work.add_done_callback(task.ended)
        self._by_id[task.id] = task
        asyncio.get_running_loop().call_later(kept.total_seconds(), self._expire, task.id)
        return task

    def _room(self, owner: Owner | None, most: int) -> bool:
        mine = [task for task in self._by_id.values() if owner in (None, task.owner)]
        for task in [task for task in mine if task.status != "working"][: max(0, len(mine) - most + 1)]:
            del self._by_id[task.id]
            mine.remove(task)
        return len(mine) < most

    def _expire(self, identity: str) -> None:
        task = self._by_id.pop(identity, None)
        if task is not None and task.work is not None:
            task.work.cancel()

    def find(self, who: Principal, identity: str) -> Task:
        """Return a task of a principal.

        Raises:
            TaskNotFound: there is none that is theirs: all cases answer alike.
        """
        task = self._by_id.get(identity)
        if task is None or task.owner != owner_of(who):
            raise TaskNotFound
        return task

    def of(self, who: Principal) -> list[Task]:
        """Return the tasks of a principal, the oldest first."""
        return [task for task in self._by_id.values() if task.owner == owner_of(who)]

    async def cancel(self, task: Task) -> None:
        """Give a call up and wait until it has ended, on the database too."""
        if task.work is not None and not task.work.done():
            task.work.cancel()
            await task.over()

    def drop(self, task: Task) -> None:
        """Forget a task whose result was answered with."""
        self._by_id.pop(task.id, None)

    async def close(self) -> None:
        """Give up all that runs."""
        for task in list(self._by_id.values()):
            await self.cancel(task)
        self._by_id.clear()


def owner_of(who: Principal) -> Owner:
    """Return whom a task belongs to: a person in an org, with their rights of now, and the agent that acts for them."""
    return who.org, who.user, who.agent, who.stamp
