"""Orgs whose policy a test may change."""

from collections.abc import Callable
from typing import Any

import pytest
from township import Town

from crm_mcp.db import Database
from crm_mcp.embedded import Home


@pytest.fixture
async def town(home: Home, approver: Database, connect: Callable[..., Any]) -> Town:
    return await Town(home, approver, connect).settle()


@pytest.fixture
def another(home: Home, approver: Database, connect: Callable[..., Any]) -> Callable[[], Town]:
    return lambda: Town(home, approver, connect)
