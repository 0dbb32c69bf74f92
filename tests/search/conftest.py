"""Search's tests make orgs of their own, in a home of their own."""

from collections.abc import AsyncGenerator, Generator
from typing import Any

import psycopg
import pytest

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


ROWS = """select entity, record_id, part, parts, title, section, handles, body, tags, roles, subject_type, subject_id, assignee_id,
 version, changed_at, digest, names, words::text from crm.search_chunks where org_id = %s order by 1, 2, 3"""
"""The index of an org but for the numbers of its rows, which a build from scratch draws anew."""


@pytest.fixture
def rows(home: Home) -> Any:
    def ask(org: int) -> list[tuple[Any, ...]]:
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            return conn.execute(ROWS, (org,)).fetchall()

    return ask
