"""The connections of one login: psycopg's for reads, SQLAlchemy's for writes, each made on the first need."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg_pool import AsyncConnectionPool

from .errors import is_lost

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")


class Pools:
    """`conninfo` is libpq's; it holds the password and is never logged."""

    def __init__(self, conninfo: str, size: int, revive: Callable[[], Awaitable[None]] | None) -> None:
        """`revive` is awaited when connections broke: the embedded server may have to be started again."""
        self._conninfo, self._size, self._revive = conninfo, size, revive
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] | None = None
        self._engine: AsyncEngine | None = None
        self._opening = asyncio.Lock()

    async def readers(self) -> AsyncConnectionPool[psycopg.AsyncConnection[Any]]:
        """Return the pool of reads, made on the first."""
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] = AsyncConnectionPool(
                        self._conninfo,
                        min_size=1,
                        max_size=self._size,
                        open=False,
                        timeout=10,
                        max_idle=300,
                        # Attempts grow rarer; given up soon, they begin anew with the next call, when all may be well.
                        reconnect_timeout=2,
                        kwargs={"autocommit": True, "prepare_threshold": 2},
                    )
                    await pool.open()
                    self._pool = pool
        return self._pool

    async def engine(self) -> "AsyncEngine":
        """Return the engine of writes, made on the first."""
        if self._engine is None:
            from sqlalchemy.ext.asyncio import create_async_engine

            from .pipelined import Pipelined

            async def connect() -> psycopg.AsyncConnection[Any]:
                return await Pipelined.connect(self._conninfo, autocommit=True, prepare_threshold=2)

            self._engine = create_async_engine(
                "postgresql+psycopg://",
                async_creator=connect,
                pool_size=self._size,
                hide_parameters=True,
                pool_timeout=10,
            )
        return self._engine

    async def again(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do what may safely be done twice; once more, on new connections, where the connection broke."""
        try:
            return await work()
        except Exception as problem:
            if not is_lost(problem):
                raise
        await self.renew()
        return await work()

    async def renew(self) -> None:
        """Drop connections that broke, so that the next ones are new, to a server that runs."""
        if self._revive is not None:
            await self._revive()
        if self._engine is not None:
            await self._engine.dispose()
        pool = await self.readers()
        await pool.check()

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.dispose()
        if self._pool is not None:
            await self._pool.close()
