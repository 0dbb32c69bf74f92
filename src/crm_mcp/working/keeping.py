"""Working memory as a process has it: noted beside the answers, kept in a store or in Postgres, never waited for.

What a process noted it also knows by itself. Other processes learn of it from Redis, which a short batch later has it, or
from the table, into which it goes with the next rows of the audit. Where Redis is away the table takes its place, and Redis
is asked again from time to time. A kill loses what was not sent yet.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from ..degraded import Degraded
from . import table
from .memory import Memory, StoreAway, Whose

PART = "working memory"
INSTEAD = "kept in Postgres until Redis answers again; what Redis held of the last hours may be missing"
PAUSE = 2.0
"""Seconds for which a store that was away is not asked."""
EVERY = 0.1
"""Seconds for which notes gather before they are sent to a store."""
KNOWN = 500
"""People, with their agents, of whom a process knows by itself."""


class Store(Protocol):
    """Keeps memories for the processes that share it."""

    async def add(self, parts: Mapping[Whose, Memory]) -> None: ...
    async def of(self, many: Sequence[Whose]) -> Sequence[Memory]: ...
    async def close(self) -> None: ...


@dataclass(slots=True)
class Breaker:
    """Lets one try through every `PAUSE` seconds after something failed, and everything once a try succeeded."""

    clock: Callable[[], float] = time.monotonic
    _until: float = 0.0

    def lets(self) -> bool:
        """Say whether to try; while it is open, the one who is let through is the trial."""
        if not self._until:
            return True
        if (now := self.clock()) < self._until:
            return False
        self._until = now + PAUSE
        return True

    def failed(self) -> None:
        self._until = self.clock() + PAUSE

    def succeeded(self) -> None:
        self._until = 0.0


@dataclass(slots=True)
class Working:
    """`store` is None where Postgres alone keeps it; `wake` tells whoever writes the audit's rows that some wait here."""

    degraded: Degraded = field(default_factory=Degraded)
    store: Store | None = None
    wake: Callable[[], None] = lambda: None
    breaker: Breaker = field(default_factory=Breaker)
    _noted: list[tuple[Whose, Callable[[], Memory]]] = field(default_factory=list[tuple[Whose, Callable[[], Memory]]])
    _known: OrderedDict[Whose, Memory] = field(default_factory=OrderedDict[Whose, Memory])
    _to_send: dict[Whose, Memory] = field(default_factory=dict[Whose, Memory])
    _rows: dict[Whose, Memory] = field(default_factory=dict[Whose, Memory])
    _sending: asyncio.Task[None] | None = None

    def note(self, whose: Whose, what: Callable[[], Memory]) -> None:
        """Remember more of somebody; returns at once, and finds out later `what`."""
        self._noted.append((whose, what))
        if self.store is None:
            self.wake()
        elif self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_soon(self.store))

    async def recall(self, many: Sequence[Whose], may: Callable[[str], bool] = lambda tool: True) -> Memory:
        """Return what this process and the store know of some, as one, as far as it came by tools that somebody `may` call.

        The table's rows are read with what asks for this.
        """
        self._take_in()
        known = [self._known[whose] for whose in many if whose in self._known]
        if self.store is not None and self.breaker.lets():
            try:
                known += await self.store.of(many)
            except StoreAway:
                self._is_away()
            else:
                self._is_back()
        return Memory().with_(*(one.of_tools(may) for one in known)).as_of(datetime.now(UTC))

    def rows(self) -> list[table.Statement]:
        """Give up what waits for the table, as statements."""
        self._take_in()
        waiting, self._rows = self._rows, {}
        now = datetime.now(UTC)
        return [table.adding(whose, memory, now) for whose, memory in waiting.items()]

    async def drained(self) -> None:
        """Send what waits; what the store does not take then waits for the table."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(
                self._sending, return_exceptions=True
            )  # what it was sending waits for the table then
            self._sending = None
        if self.store is not None:
            await self._send(self.store)

    async def close(self) -> None:
        await self.drained()
        if self.store is not None:
            await self.store.close()

    async def _send_soon(self, store: Store) -> None:
        while self._noted or self._to_send:
            await asyncio.sleep(EVERY)
            await self._send(store)

    async def _send(self, store: Store) -> None:
        self._take_in()
        sent, self._to_send = self._to_send, {}
        if not sent:
            return
        if not self.breaker.lets():
            self._put_into_rows(sent)
            return
        try:
            await store.add(sent)
        except StoreAway:
            self._is_away()
            self._put_into_rows(sent)
        except asyncio.CancelledError:
            self._put_into_rows(sent)
            raise
        else:
            self._is_back()

    def _take_in(self) -> None:
        """Find out what was noted, and let it wait for the store, or for the table where there is none."""
        noted, self._noted = self._noted, []
        waiting = self._rows if self.store is None else self._to_send
        found: dict[Whose, list[Memory]] = {}
        for whose, what in noted:
            found.setdefault(whose, []).append(what())
        for whose, parts in found.items():
            if memory := Memory().with_(*parts):
                waiting[whose] = waiting.get(whose, Memory()).with_(memory)
                self._known[whose] = self._known.get(whose, Memory()).with_(memory)
                self._known.move_to_end(whose)
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)

    def _put_into_rows(self, parts: Mapping[Whose, Memory]) -> None:
        for whose, memory in parts.items():
            self._rows[whose] = self._rows.get(whose, Memory()).with_(memory)
        self.wake()

    def _is_away(self) -> None:
        self.breaker.failed()
        self.degraded.lost(PART, INSTEAD)

    def _is_back(self) -> None:
        self.breaker.succeeded()
        self.degraded.back(PART)
