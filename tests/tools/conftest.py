"""The lab, made once."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from bureau import Bureau
from funnel import Funnel, funnel
from lab import LAB, Lab
from posting import Posting

from crm_mcp.db import Database
from crm_mcp.demo.staff import found


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
