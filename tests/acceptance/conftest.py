"""One home for all scenarios, apart from other tests' since books are closed on it, and the page that listens there."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from workday import Office, Workday

from crm_mcp.approvals.web import build_page
from crm_mcp.approvals.whereabouts import Whereabouts
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from homes import load_demo, temporary_home


@pytest.fixture(scope="session")
def home(loaded: Home | None) -> Generator[Home]:
    with temporary_home(loaded) as made:
        if loaded is None:
            load_demo(made)
        yield made


@pytest.fixture
async def origin(home: Home, approver: Database) -> AsyncGenerator[str]:
    async with listening(home, approver) as where:
        yield where


@asynccontextmanager
async def listening(home: Home, approver: Database) -> AsyncGenerator[str]:
    """Have the page listen where this home's servers say that it is."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        here = Whereabouts.new(f"http://localhost:{listener.getsockname()[1]}")
        here.write(home.root)
        page = build_page(approver, origin=here.origin)
        server = uvicorn.Server(uvicorn.Config(page, log_level="warning", ws="none", lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield here.origin
        finally:
            server.should_exit = True
            await serving


@pytest.fixture
def day(home: Home, approver: Database, origin: str, tmp_path: Path) -> Workday:
    return Workday(home, approver, origin, tmp_path)


@pytest.fixture(scope="module")
async def office(
    home: Home, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncGenerator[Office]:
    """Open the page and serve whom the file names in COLLEAGUES, each by one process for all of its tests."""
    opened: asyncio.Future[Office] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()
    approver = Database(home.conninfo("crm_approver"))

    async def hold() -> None:
        # one task enters and leaves the clients, as their task groups require
        try:
            async with listening(home, approver) as origin:
                day = Workday(home, approver, origin, tmp_path_factory.mktemp("office"))
                names = request.module.COLLEAGUES
                async with day.clients(*names, toolsets="all") as served:
                    opened.set_result(Office(day, dict(zip(names, served, strict=True)), over))
                    await over.wait()
        except BaseException as problem:
            if opened.done():
                raise
            opened.set_exception(problem)

    closing = asyncio.create_task(hold())
    office = await opened
    office.closing = closing
    yield office
    await office.close()
    await approver.close()
