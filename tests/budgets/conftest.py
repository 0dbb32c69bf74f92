"""Budgets in an org whose limits each test sets anew, through the application's own logins."""

from collections.abc import Awaitable, Callable, Generator
from typing import Any

import psycopg
import pytest

from crm_mcp import auth
from crm_mcp.agents.meter import PostgresMeter
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.principal import Agent, Principal

SPENT = ("budgets", "budget_days", "token_reservations", "model_usage", "call_rates")


@pytest.fixture
def root(home: Home) -> Generator[psycopg.Connection[Any]]:
    """Connect as the superuser: past every right, to set what is spent and to give functions a clock."""
    with psycopg.connect(home.conninfo("postgres"), autocommit=True, prepare_threshold=None) as conn:
        yield conn


@pytest.fixture(autouse=True)
def _nothing_is_spent(root: psycopg.Connection[Any]) -> None:
    for table in SPENT:
        root.execute(f"delete from crm.{table}")  # type: ignore[arg-type]


@pytest.fixture
def agent_db(home: Home, database_of: Callable[[str], Database]) -> Database:
    return database_of(home.conninfo("crm_agent"))


Signed = Callable[..., Awaitable[Principal]]


@pytest.fixture
def signed(agent_db: Database) -> Signed:
    async def sign_in(email: str = "sam@demo.example", agent: Agent | None = None) -> Principal:
        return await agent_db.sign_in(auth.by_email(email, None, agent))

    return sign_in


@pytest.fixture
def meter(agent_db: Database, signed: Signed) -> Callable[..., Awaitable[PostgresMeter]]:
    async def made(email: str = "sam@demo.example", agent: Agent | None = None, **more: Any) -> PostgresMeter:
        return PostgresMeter(agent_db, await signed(email, agent), **more)

    return made


@pytest.fixture
def limit(root: psycopg.Connection[Any]) -> Callable[..., None]:
    """State a limit of the demo org; without a person it is everybody's."""

    def state(
        scope: str, tokens: int | None = None, money: str | None = None, user: int = 0, slug: str = "demo"
    ) -> None:
        root.execute(
            "insert into crm.budgets(org_id, scope, user_id, tokens, money) select id, %s, %s, %s, %s from crm.orgs where slug = %s"
            " on conflict (org_id, scope, user_id) do update set tokens = excluded.tokens, money = excluded.money",
            (scope, user, tokens, money, slug),
        )

    return state
