"""Working memory in Redis or Valkey: keys by org, person and agent, each with its time to live; asked with little patience."""

import asyncio
import json
from collections.abc import Awaitable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from .memory import ACTS_KEPT, MOST, PLACE_KEPT, Act, Memory, Place, StoreAway, Whose

T = TypeVar("T")
PATIENCE = 0.25
"""Seconds for a connection, an answer, and all of one errand."""
CONNECTIONS = 4


class RedisUrlInvalid(ValueError):
    """CRM_REDIS_URL is none."""


class RedisStore:
    """`url` is redis://, rediss:// (TLS) or unix://; it holds the password and is never logged."""

    def __init__(self, url: str) -> None:
        """Nothing is connected yet.

        Raises:
            RedisUrlInvalid: the URL is none; its text is not said.
        """
        try:
            pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType] its own hints lack types
                url,
                max_connections=CONNECTIONS,
                timeout=PATIENCE,
                socket_timeout=PATIENCE,
                socket_connect_timeout=PATIENCE,
                retry=Retry(NoBackoff(), 1),  # a connection of before a restart is found dead by its first command
                decode_responses=True,
            )
        except (ValueError, TypeError):
            raise RedisUrlInvalid("is no redis://, rediss:// or unix:// address") from None
        self._redis: Any = Redis(connection_pool=pool)  # its own hints are partly unknown

    async def add(self, parts: Mapping[Whose, Memory]) -> None:
        """Add to what is kept, in one round trip.

        Raises:
            StoreAway.
        """
        pipe = self._redis.pipeline(transaction=False)
        now = datetime.now(UTC)
        for whose, memory in parts.items():
            page, customer, acts = _keys(whose)
            for key, place in ((page, memory.page), (customer, memory.customer)):
                if place is not None:
                    pipe.set(key, json.dumps([place.id, place.tool, place.call, _ms(place.at)]), ex=PLACE_KEPT)
            for writes in (False, True):
                members = {
                    json.dumps([act.tool, act.ids, act.call]): _ms(act.at)
                    for act in memory.acts
                    if act.writes is writes
                }
                if members:
                    key = acts[writes]
                    pipe.zadd(key, members)
                    pipe.zremrangebyscore(key, "-inf", _ms(now - ACTS_KEPT))
                    pipe.zremrangebyrank(key, 0, -MOST - 1)
                    pipe.expire(key, ACTS_KEPT)
        await _soon(pipe.execute())

    async def of(self, many: Sequence[Whose]) -> list[Memory]:
        """Return what is kept of each of some, in one round trip.

        Raises:
            StoreAway.
        """
        pipe = self._redis.pipeline(transaction=False)
        for whose in many:
            page, customer, acts = _keys(whose)
            pipe.get(page)
            pipe.get(customer)
            for writes in (False, True):
                pipe.zrange(acts[writes], 0, -1, withscores=True)
        found: list[Any] = await _soon(pipe.execute())
        kept: list[Memory] = []
        for at in range(0, len(found), 4):
            page, customer, looked, done = found[at : at + 4]
            acts = [*_acts(looked, writes=False), *_acts(done, writes=True)]
            kept.append(Memory(_place(page), _place(customer), tuple(acts)))
        return kept

    async def about(self) -> str:
        """Return what answers, and in which version: for `doctor`.

        Raises:
            StoreAway.
        """
        await _soon(self._redis.ping())
        said: Mapping[str, Any] = await _soon(self._redis.info("server"))
        if (version := said.get("valkey_version")) is not None:
            return f"Valkey {version}"
        return f"Redis {said.get('redis_version', 'of an unknown version')}"

    async def close(self) -> None:
        await self._redis.aclose(close_connection_pool=True)


def _keys(whose: Whose) -> tuple[str, str, tuple[str, str]]:
    """Return the keys of a page, of a customer, and of the actions that read and that wrote; in a cluster they lie together."""
    start = f"crm:working:{{{int(whose.org)}.{int(whose.user)}}}:{whose.agent}"
    return f"{start}:page", f"{start}:customer", (f"{start}:looked", f"{start}:did")


async def _soon(work: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(2 * PATIENCE):
            return await work
    except (RedisError, OSError, TimeoutError) as problem:
        raise StoreAway(type(problem).__name__) from None


def _place(said: str | None) -> Place | None:
    if said is None:
        return None
    id, tool, call, at = json.loads(said)
    return Place(id, tool, call, _when(at))


def _acts(rows: Sequence[tuple[str, float]], *, writes: bool) -> list[Act]:
    acts: list[Act] = []
    for member, at in rows:
        tool, ids, call = json.loads(member)
        acts.append(Act(tool, tuple(ids), call, _when(at), writes))
    return acts


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _when(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
