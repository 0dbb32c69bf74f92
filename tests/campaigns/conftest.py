"""Campaigns have a short form, part of the suite, and a long one: `pytest tests/campaigns --long`."""

import multiprocessing
import sys
from collections.abc import Generator

import pytest
from campaign_drafts import Desk
from campaign_processes import Crew

from crm_mcp.embedded import Home
from homes import FAST, load_demo, temporary_home

PRODUCT = (
    "mcp",
    "crm_mcp.server",
    "crm_mcp.approvals.executor",
    "crm_mcp.importing.batch",
    "crm_mcp.importing.rows",
    "crm_mcp.tools.orders.create_order_draft",
)
"""What racers and victims use of the product: imported once, and there in each that is forked."""


@pytest.fixture(scope="session")
def home(loaded, is_long) -> Generator[Home]:
    """The demo orgs; with more connections than usual where 32 processes have theirs."""
    with temporary_home(loaded, settings={**FAST, "max_connections": "300"} if is_long else FAST) as made:
        if loaded is None:
            load_demo(made)
        yield made


@pytest.fixture(scope="session")
def processes() -> multiprocessing.context.BaseContext:
    """Make processes of their own; where it can be, from a server that has imported the product once."""
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # pytest too: a child imports the main module of its parent
    context.set_forkserver_preload(["pytest", *PRODUCT])
    return context


@pytest.fixture(scope="module")
def crew(home, processes, is_long) -> Generator[Crew]:
    """Processes that stay, each with its own connections: 8, in the long form 32."""
    made = Crew(processes, home, 32 if is_long else 8)
    yield made
    made.close()


@pytest.fixture(scope="module")
def desk(home) -> Generator[Desk]:
    made = Desk(home)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _nothing_waits_afterwards(desk) -> Generator[None]:
    yield
    desk.withdraw_all()
