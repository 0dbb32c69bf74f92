"""One home for all scenarios, apart from other tests' since books are closed on it, and the page that listens there."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
import uvicorn
from workday import Workday

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
