"""People with runs of their own: opened by crm_agent, taken by crm_worker, with messages in pydantic-ai's form."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from spoken import asked, said

from crm_mcp import auth
from crm_mcp.db import Database
from crm_mcp.principal import Agent, Principal
from crm_mcp.runs import holding, opening
from crm_mcp.runs.holding import Hold


@pytest.fixture
def agent_db(home: Any, database_of: Callable[[str], Database]) -> Database:
    return database_of(home.conninfo("crm_agent"))


@pytest.fixture
def worker_db(home: Any, database_of: Callable[[str], Database]) -> Database:
    return database_of(home.conninfo("crm_worker"))


@pytest.fixture
def signed_in(agent_db: Database) -> Callable[..., Awaitable[Principal]]:
    async def sign_in(name: str = "sam", agent: Agent | None = None) -> Principal:
        email = name if "@" in name else f"{name}@demo.example"
        return await agent_db.sign_in(auth.by_email(email, None, agent))

    return sign_in


@pytest.fixture(autouse=True)
async def _no_runs_of_other_tests(home: Any) -> AsyncGenerator[None]:
    """Leave neither runs nor their jobs to the next test."""
    yield
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("delete from crm.conversations")
        conn.execute("delete from jobs.procrastinate_jobs")


@pytest.fixture
async def sam(signed_in: Callable[..., Awaitable[Principal]]) -> Principal:
    return await signed_in()


@pytest.fixture
def finished(agent_db: Database) -> Callable[..., Awaitable[int]]:
    """Have a run at a terminal that is over; return its number."""

    async def finish(who: Principal, request: str, result: str = "Done.", *messages: Any, **more: Any) -> int:
        drafts = more.pop("drafts", ())
        opened = await opening.open_run(agent_db, who, request, **more)
        assert opened.hold is not None
        await opened.hold.step(Agent.ORDER, [asked(request), *messages, said(result)], done=1)
        await opened.hold.end("finished", "Finished.", result=result, drafts=drafts)
        return opened.run

    return finish


@pytest.fixture
def queued(agent_db: Database) -> Callable[..., Awaitable[int]]:
    async def queue(who: Principal, request: str = "Do it.", **more: Any) -> int:
        return (await opening.open_run(agent_db, who, request, in_background=True, **more)).run

    return queue


@pytest.fixture
def take(worker_db: Database) -> Callable[..., Awaitable[Hold]]:
    async def taken(who: Principal, run: int, patience: timedelta = opening.PATIENCE) -> Hold:
        found = await holding.take(worker_db, who.org, run, patience)
        assert found.hold is not None, found
        return found.hold

    return taken


@pytest.fixture
def kept_of(owner_asks: Callable[..., Any]) -> Callable[[int], list[dict[str, Any]]]:
    """Return the rows of a run's messages as they stand in the database."""
    sql = "select coalesce(jsonb_agg(to_jsonb(i) order by i.position), '[]') from crm.conversation_items i where i.run_id = %s"
    return lambda run: owner_asks(sql, run)
