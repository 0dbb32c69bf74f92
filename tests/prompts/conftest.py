"""The house that the tests of prompts share, and clients that ask for prompts."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prompting import Prompts, build_house

from crm_mcp.db import Database
from crm_mcp.embedded import Home


@pytest.fixture(scope="session")
def kept_house() -> list[Any]:
    return []


@pytest.fixture
async def house(home: Home, approver: Database, kept_house: list[Any]) -> Any:
    """Return the house's administrator and ids; it is built once."""
    if not kept_house:
        kept_house.append(await build_house(home, approver))
    return kept_house[0]


@pytest.fixture
def prompts_of(connect: Callable[..., Any]) -> Callable[..., Any]:
    @asynccontextmanager
    async def served(email: str, **options: Any) -> AsyncGenerator[Prompts]:
        async with connect(email, **options) as client:
            yield Prompts(client)

    return served
