"""A run as it goes on, for whoever looks on: told by Postgres when it changed, and looked at now and then all the same."""

from collections.abc import AsyncGenerator
from typing import Any

from ..db import Database
from ..principal import Principal
from .opening import run

OVER = frozenset({"finished", "failed", "cancelled"})
LOOK = 15.0
"""Seconds after which it is looked at though no news came: a holder that died tells nobody."""


async def follow(db: Database, who: Principal, number: int, look: float = LOOK) -> AsyncGenerator[dict[str, Any]]:
    """Yield a person's run as it is now, and again with every change until it is over.

    Raises:
        RunNotFound: there is none that is theirs.
    """
    before = await run(db, who, number)
    yield before
    async with db.news_of_runs().following(who.org, number) as changed:
        await changed(look)  # from here on nothing is missed
        while True:
            now = await run(db, who, number)
            if now != before:
                yield now
            if now["state"] in OVER:
                return
            before = now
            await changed(look)
