"""Search's tests make orgs of their own, in a home of their own."""

from collections.abc import AsyncGenerator, Generator
from typing import Any

import psycopg
import pytest

import indexes
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from homes import temporary_home


@pytest.fixture(scope="session")
def home() -> Generator[Home]:
    with temporary_home() as made:
        yield made


@pytest.fixture
async def worker(home: Home) -> AsyncGenerator[Database]:
    db = Database(home.conninfo("crm_worker"))
    yield db
    await db.close()


@pytest.fixture
def rows(home: Home) -> Any:
    def ask(org: int) -> list[tuple[Any, ...]]:
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            return indexes.rows(conn, org)

    return ask
