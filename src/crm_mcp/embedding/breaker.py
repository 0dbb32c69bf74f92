"""An embedder that is away is not asked by every call: after some failures it is left alone for a while, then tried once.

States and their names after Nygard, "Release It!" (2007): closed, open, half-open.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Literal

from ..degraded import Degraded
from ..log import logger
from .checking import checked
from .embedder import Embedder, EmbedderAway, Purpose

FAILURES = 3
"""So many one after another open it."""
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 60.0
"""Seconds that it stays open: twice as long after each try that fails."""
PATIENCE: dict[Purpose, float] = {"query": 4.0, "document": 180.0}
"""Seconds for one call, everything included: somebody waits for a query. A first one may have weights to load."""
PART = "embedder"

State = Literal["closed", "open", "half-open"]


class Guarded:
    """An embedder whose answers are checked, and which is left alone while it is away.

    `degraded` is told of it with what happens `instead`, and that it is back.
    """

    def __init__(
        self,
        embedder: Embedder,
        degraded: Degraded,
        instead: str = "found by words alone",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.embedder = embedder
        self._degraded, self._instead, self._clock = degraded, instead, clock
        self._failures, self._pause, self._until = 0, FIRST_PAUSE, 0.0
        self._is_open, self._is_trying = False, False

    @property
    def name(self) -> str:
        return self.embedder.name

    @property
    def dimensions(self) -> int:
        return self.embedder.dimensions

    @property
    def is_semantic(self) -> bool:
        return self.embedder.is_semantic

    @property
    def state(self) -> State:
        if not self._is_open:
            return "closed"
        return "half-open" if self._is_trying or self._clock() >= self._until else "open"

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> list[list[float]]:
        """Return checked vectors of unit length; zeros for a text without a word.

        Raises:
            EmbedderAway: no vectors now; while it is left alone, at once.
        """
        if not any(text.strip() for text in texts):
            return [[0.0] * self.dimensions for _ in texts]
        if self._is_open and (self._is_trying or self._clock() < self._until):
            raise EmbedderAway
        trying, self._is_trying = self._is_open, self._is_open
        try:
            async with asyncio.timeout(PATIENCE[purpose]):
                made = await self.embedder.embed(texts, purpose)
            vectors = checked(made, len(texts), self.dimensions)
        except EmbedderAway:
            self._failed(trying)
            raise
        except Exception as problem:
            logger().warning("the embedder failed", model=self.name, problem=type(problem).__name__)
            self._failed(trying)
            raise EmbedderAway from None
        finally:
            if trying:
                self._is_trying = False
        self._succeeded()
        return vectors

    def _failed(self, trying: bool) -> None:
        self._failures += 1
        self._degraded.lost(PART, self._instead)
        if trying:
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        if trying or self._failures >= FAILURES:
            self._is_open, self._until = True, self._clock() + self._pause

    def _succeeded(self) -> None:
        self._failures, self._pause, self._is_open = 0, FIRST_PAUSE, False
        self._degraded.back(PART)
