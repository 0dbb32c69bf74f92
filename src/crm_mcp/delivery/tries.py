"""What every sending has in common: one try at a time, and a wait before the next that grows and ends."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from ..db import Database

_KEY = "hashtextextended(concat_ws('.', %s::text, %s::bigint, %s::bigint), 0)"
_LOCK = f"select pg_try_advisory_lock({_KEY})"
_UNLOCK = f"select pg_advisory_unlock({_KEY})"


class Again(Exception):
    """It is to be tried again at `at`."""

    def __init__(self, at: datetime) -> None:
        super().__init__("later")
        self.at = at


@dataclass(frozen=True, slots=True)
class Waits:
    """How long to wait between tries: `minutes`, the last again and again, until there were `most` tries."""

    minutes: Sequence[int]
    most: int

    def next(self, attempts: int, now: datetime, chance: Callable[[], float]) -> datetime | None:
        """Return when to try again after so many tries, up to a fifth later by chance; None after the last."""
        if attempts >= self.most:
            return None
        minutes = self.minutes[min(attempts, len(self.minutes)) - 1]
        return now + timedelta(minutes=minutes * (1 + 0.2 * chance()))


@asynccontextmanager
async def only_one(
    db: Database, kind: str, org: int, number: int, otherwise: Callable[[], datetime]
) -> AsyncGenerator[psycopg.AsyncConnection[Any]]:
    """Lend the connection that holds the lock of one thing to send.

    Raises:
        Again: somebody else is at it; at `otherwise`.
    """
    async with db.lent() as conn:
        taken = await (await conn.execute(_LOCK.encode(), (kind, org, number))).fetchone()
        if taken is None or not taken[0]:
            raise Again(otherwise())
        try:
            yield conn
        finally:
            with suppress(psycopg.Error):  # a connection that broke has let go of it
                await conn.execute(_UNLOCK.encode(), (kind, org, number))
