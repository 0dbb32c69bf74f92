"""A real Valkey, and clients whose process keeps working memory there."""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import pytest
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
from valkeys import Valkey, running


@pytest.fixture
def valkey() -> Generator[Valkey]:
    with running() as made:
        yield made


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
