"""Turns at something that few may do at a time: whoever asks much waits behind themselves, not before others."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Hashable
from contextlib import asynccontextmanager


class Turns:
    """So many turns at a time; those who wait are taken round by round, one of each."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, who: Hashable, seconds: float) -> AsyncGenerator[None]:
        """Hold a turn while it lasts.

        Raises:
            TimeoutError: none came within so many seconds.
        """
        await self._take(who, seconds)
        try:
            yield
        finally:
            self._give()

    async def _take(self, who: Hashable, seconds: float) -> None:
        if self._free:
            self._free -= 1
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(mine)
        try:
            async with asyncio.timeout(seconds):
                await mine
        except BaseException:
            if mine.done() and not mine.cancelled():
                self._give()
            raise

    def _give(self) -> None:
        """Hand the turn to who has waited longest among those whose round it is."""
        while self._waiting:
            who = next(iter(self._waiting))
            theirs = self._waiting.pop(who)
            while theirs and theirs[0].done():
                theirs.popleft()
            if not theirs:
                continue
            first = theirs.popleft()
            if theirs:
                self._waiting[who] = theirs
            first.set_result(None)
            return
        self._free += 1
