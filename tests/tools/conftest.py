"""The lab, made once."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from bureau import Bureau
from funnel import Funnel, funnel
from lab import LAB, LOU, Lab
from posting import Posting
from written import write

from crm_mcp.db import Database
from crm_mcp.degraded import Degraded
from crm_mcp.demo.staff import found
from crm_mcp.embedding.ngrams import HashedNgrams
from crm_mcp.recollecting import recollect
from crm_mcp.search.indexer import catch_up


@pytest.fixture(scope="session")
def founded(home: Any) -> None:
    async def make() -> None:
        async with await psycopg.AsyncConnection[tuple[int]].connect(home.conninfo("crm_owner")) as conn:
            await found(conn, LAB)

    asyncio.run(make())


@pytest.fixture
def lab(founded: None, approver: Database, connect: Callable[..., Any]) -> Lab:
    return Lab(approver, connect)


@pytest.fixture
def posting(lab: Lab, executor: Any, person: Any, home: Any) -> Posting:
    return Posting(lab, executor, person, home)


@pytest.fixture
async def bureau(home: Any, approver: Database, connect: Callable[..., Any]) -> Bureau:
    made = Bureau(approver, connect)
    await made.open(home.conninfo("crm_owner"))
    return made


@pytest.fixture
async def way(lab: Lab, home: Any, executor: Any, person: Any) -> Funnel:
    """Return a sales pipeline: Lead, Qualified, Demo, Proposal, Customer, Lost."""
    return await funnel(lab, home, executor, person)


@pytest.fixture
def worker_recollects(founded: None, home: Any, database_of: Callable[[str], Database], owner_asks: Any) -> Any:
    """Let the worker do its part of memory for the lab, with an embedder; return what it works without."""

    async def once(embedder: Any = None) -> Degraded:
        db, degraded = database_of(home.conninfo("crm_worker")), Degraded()
        org = owner_asks("select id from crm.orgs where slug = 'lab'")
        await db.definer(org, "select crm.forget_learnings()")
        await recollect(db, org, embedder or HashedNgrams(), degraded)
        return degraded

    return once


@pytest.fixture
def served_by(lab: Lab) -> Any:
    """Call a tool as Lou where another embedder is in force."""

    async def ask(embedder: Any, tool: str, arguments: dict[str, Any]) -> Any:
        async with lab.connect(LOU) as client:
            client.app.embedder = embedder
            return (await client.call_tool(tool, arguments)).structured_content

    return ask


@pytest.fixture
def as_if_later(founded: None, home: Any) -> Any:
    """Move all memories of a customer into the past, as the clock of the database would have."""

    def move(customer: str, by: str) -> None:
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            conn.execute("alter table crm.learnings disable trigger user")
            conn.execute(
                """update crm.learnings set created_at = created_at - %(by)s::interval, expires_at = expires_at - %(by)s::interval,
                  forgotten_at = forgotten_at - %(by)s::interval
                 where customer_id = %(customer)s""",
                {"by": by, "customer": int(customer[5:])},
            )
            conn.execute("alter table crm.learnings enable trigger user")

    return move


@pytest.fixture
def indexed(lab: Lab, home: Any, database_of: Callable[[str], Database], owner_asks: Callable[..., Any]) -> Any:
    """Bring the lab's index of texts up to date, as the worker does; return the lab's number."""

    async def index() -> int:
        org = owner_asks("select id from crm.orgs where slug = 'lab'")
        await catch_up(database_of(home.conninfo("crm_worker")), org)
        return org

    return index


@pytest.fixture(scope="session")
def kept_scene() -> dict[str, str]:
    return {}


@pytest.fixture
async def scene(lab: Lab, indexed: Any, kept_scene: dict[str, str]) -> dict[str, str]:
    """Return ids by what they are: a customer with a note, a deal with a note and a task, an issue, articles."""
    if not kept_scene:
        kept_scene |= await write(lab)
    await indexed()
    return kept_scene
