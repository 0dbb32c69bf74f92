"""Orgs with passages, in a home of their own: another model may go live there, or a table of vectors go."""

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import psycopg
import pytest

from crm_mcp import ids
from crm_mcp.binding import to_org
from crm_mcp.config import Settings
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.embedding.choosing import Embedders
from crm_mcp.search.vectors import Keeper
from homes import temporary_home

PUT = """insert into crm.search_chunks(org_id, entity, record_id, part, parts, title, section, body, roles, subject_type, assignee_id,
  version, changed_at, digest)
 values (%(org)s, %(entity)s, %(record)s, 0, 1, '', '', %(body)s, %(roles)s, %(about)s, %(assignee)s, 1, now(), md5(%(body)s))
 on conflict (org_id, entity, record_id, part) do update set body = excluded.body, digest = excluded.digest returning id"""


@pytest.fixture(scope="module")
def home() -> Generator[Home]:
    with temporary_home() as made:
        yield made


@pytest.fixture
def owner(home: Home) -> Generator[psycopg.Connection[Any]]:
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as conn:
        yield conn


class Org:
    """An org and its passages, written as the indexer writes them."""

    def __init__(self, owner: psycopg.Connection[Any], home: Home, slug: str) -> None:
        self._owner, self._home = owner, home
        (self.id,) = owner.execute(
            "insert into crm.orgs(slug, name) values (%s, %s) returning id", (slug, slug)
        ).fetchone()

    def says(self, record: int, body: str, entity: str = "notes", **more: Any) -> int:
        row = {
            "roles": None,
            "about": None,
            "assignee": None,
            **more,
            "org": self.id,
            "entity": entity,
            "record": record,
        }
        return self._owner.execute(PUT, {**row, "body": body}).fetchone()[0]

    def records(self, title: str) -> int:
        """Make a real record, which is not indexed yet; return its number."""
        with psycopg.connect(self._home.conninfo("crm_agent")) as conn:
            conn.execute(to_org(self.id))
            conn.execute("select set_config('crm.call_id', %s, true)", (str(ids.new_call()),))
            made = conn.execute("insert into crm.tasks(org_id, title) values (%s, %s) returning id", (self.id, title))
            return made.fetchone()[0]

    def vectors(self, model: int = 1) -> list[tuple[int, bool]]:
        """Return passages with a vector, and whether it is of what the passage says."""
        return self._owner.execute(
            f"select c.record_id, v.digest = c.digest from crm.vectors_{model} v join crm.search_chunks c on c.org_id = v.org_id"
            " and c.id = v.chunk_id where v.org_id = %s order by 1",
            (self.id,),
        ).fetchall()


@pytest.fixture
def org(owner: psycopg.Connection[Any], home: Home, request: pytest.FixtureRequest) -> Generator[Callable[[], Org]]:
    """Make orgs of this test, whose passages go with it."""
    made: list[Org] = []

    def make() -> Org:
        made.append(Org(owner, home, f"org{abs(hash(request.node.name))}-{len(made)}"))
        return made[-1]

    yield make
    for one in made:
        owner.execute("delete from crm.search_chunks where org_id = %s", (one.id,))


@pytest.fixture
async def worker(home: Home) -> AsyncGenerator[Database]:
    db = Database(home.conninfo("crm_worker"), size=8)
    yield db
    await db.close()


@pytest.fixture
def settings(home: Home) -> Settings:
    return Settings(home=home.root)


async def at_once(seconds: float) -> None:
    """Rest no time."""


@pytest.fixture
async def embedders(settings: Settings) -> AsyncGenerator[Embedders]:
    made = Embedders(settings)
    yield made
    await made.close()


@pytest.fixture
def keeper(worker: Database, embedders: Embedders) -> Keeper:
    return Keeper(worker, embedders, at_once)
