"""News of drafts, or of runs: which ones were made, went on or were decided, heard by one connection that listens."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import LiteralString, cast

import psycopg

from .log import logger

CHANNEL = "crm_drafts"
RUNS = "crm_runs"
MOST = 100
"""News that a slow follower may have before it; of more it is told only to look again."""
_PATIENCE = (0.2, 5.0)
"""Seconds between attempts to connect again: the first, the longest."""

Draft = int | None
"""A draft's or a run's number; None: some news were missed, look at all of them."""
Changed = Callable[[float], Awaitable[None]]
"""Returns once what is followed may have changed, at the latest after so many seconds."""


class News:
    """Listens from the first follower to the last; after an interruption every follower is told to look again."""

    def __init__(self, conninfo: str, channel: str = CHANNEL) -> None:
        self._conninfo, self._channel = conninfo, channel
        self._followers: dict[int, set[asyncio.Queue[Draft]]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._hears = False

    async def __aenter__(self) -> "News":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        self._rest()
        await asyncio.gather(*self._ending, return_exceptions=True)

    @asynccontextmanager
    async def of(self, org: int) -> AsyncGenerator[asyncio.Queue[Draft]]:
        """Give a queue of what happens to an org's drafts or runs; its first entry is None, once news can be heard."""
        queue: asyncio.Queue[Draft] = asyncio.Queue(MOST)
        self._followers.setdefault(org, set()).add(queue)
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._listen())
        if self._hears:
            queue.put_nowait(None)
        try:
            yield queue
        finally:
            self._followers[org].discard(queue)
            if not self._followers[org]:
                del self._followers[org]
            if not self._followers:
                self._rest()

    @asynccontextmanager
    async def following(self, org: int, draft: int) -> AsyncGenerator[Changed]:
        """Give what waits for the next change of one of them. Who looks after the first wait has missed nothing."""
        async with self.of(org) as queue:

            async def changed(seconds: float) -> None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        while await queue.get() not in (draft, None):
                            pass

            yield changed

    def _rest(self) -> None:
        """Hang up: nobody follows any more."""
        if self._listening is not None:
            self._listening.cancel()
            self._ending.add(self._listening)
            self._listening.add_done_callback(self._ending.discard)
            self._listening, self._hears = None, False

    async def _listen(self) -> None:
        pause, longest = _PATIENCE
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True) as conn:
                    await conn.execute(cast(LiteralString, f"listen {self._channel}"))
                    pause, _ = _PATIENCE
                    self._hears = True
                    self._look_again()
                    async for heard in conn.notifies():
                        self._told(heard.payload)
            except psycopg.Error as problem:
                logger().warning("news are interrupted", problem=type(problem).__name__)
            finally:
                if self._listening is asyncio.current_task():
                    self._hears = False
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    def _told(self, payload: str) -> None:
        org, _, draft = payload.partition(".")
        if org.isdecimal() and draft.isdecimal():
            for queue in self._followers.get(int(org), ()):
                _put(queue, int(draft))

    def _look_again(self) -> None:
        for queues in self._followers.values():
            for queue in queues:
                _put(queue, None)


def _put(queue: asyncio.Queue[Draft], draft: Draft) -> None:
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
        draft = None
    queue.put_nowait(draft)
