"""One HTTP server for the session, and keys of people of both orgs."""

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import httpx2
import pytest
from remote_server import Remote, make_key, remote

from crm_mcp.embedded import Home


@pytest.fixture(scope="session")
def server(home: Home) -> Generator[Remote]:
    calls = {"CRM_CALLS_PER_MINUTE": "100000", "CRM_AGENT_CALLS_PER_MINUTE": "100000"}
    with remote(home, "--requests-per-minute", "100000", **calls) as running:
        yield running


@pytest.fixture(scope="session")
def strict(home: Home) -> Generator[Remote]:
    """A server that narrows its clients, is reached through a proxy, and allows a key five requests a minute."""
    words = ["--read-only", "--agent", "analytics", "--requests-per-minute", "5"]
    with remote(home, *words, "--behind-proxy", "--allowed-host", "crm.example.com") as running:
        yield running


@pytest.fixture
def key_of(home: Home) -> Callable[..., str]:
    return lambda email="sam@demo.example", org="demo", **options: make_key(home, email, org, **options)


@pytest.fixture
async def http() -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def order(owner_asks: Callable[..., Any]) -> dict[str, Any]:
    """Return arguments of an order that is held."""
    demo = "select id from crm.orgs where slug = 'demo'"
    customer = owner_asks(f"select min(id) from crm.customers where org_id = ({demo}) and archived_at is null")
    product = owner_asks(
        f"select min(id) from crm.products where org_id = ({demo}) and not discontinued and currency = 'EUR'"
    )
    lines = [{"product": f"prod_{product}", "quantity": 1}]
    return {"customer": f"cust_{customer}", "lines": lines, "reason": "they asked"}
