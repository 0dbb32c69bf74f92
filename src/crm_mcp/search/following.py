"""The worker's part in search: it looks every few seconds what has changed in each org."""

import asyncio

from ..db import Database
from ..log import logger
from .indexer import catch_up

TICK = 2.0
"""Seconds between two looks where there was nothing to do."""
ROUNDS = 20
"""Rounds for one org before it is the next one's turn: a build holds up nobody else."""


async def follow(db: Database) -> None:
    """Keep every org's index current, until cancelled; what fails is logged and tried again. `db` connects as crm_worker."""
    while True:
        try:
            done = await look(db)
        except Exception as problem:
            logger().error("the index of texts does not follow", exc_info=problem)
            done = 0
        await asyncio.sleep(0 if done else TICK)


async def look(db: Database, rounds: int = ROUNDS) -> int:
    """Look once at every org; return how many rounds there was work for. One org's trouble is not another's."""
    done = 0
    for org in await db.orgs():
        try:
            done += await catch_up(db, org, rounds)
        except Exception as problem:
            logger().error("an index of texts does not follow", org=org, exc_info=problem)
    return done
