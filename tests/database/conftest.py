"""A copy of the demo database to attack, so that what an attack leaves behind is nobody else's."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

import psycopg
import pytest
from database_logins import Login, Scene, Weaken, weaken

from crm_mcp.embedded import Home
from crm_mcp.migrate import bootstrap

COPY = "attacked"


@pytest.fixture(scope="session")
async def attacked(home: Home, let_go: Callable[[], Awaitable[None]]) -> AsyncGenerator[Callable[[str], str]]:
    """Copy the demo database; give the conninfo with which a login connects to the copy.

    Nobody may be connected to what is copied: the connections kept so far are let go.
    """
    await let_go()
    superuser = home.conninfo("postgres", "postgres")
    with psycopg.connect(superuser, autocommit=True) as conn:
        deadline = time.monotonic() + 10
        while True:
            try:
                conn.execute(f"create database {COPY} owner crm_owner template crm")
                break
            except psycopg.errors.ObjectInUse:  # connections of the test before this one are closing
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
        bootstrap(superuser, {}, COPY)  # the rights on a database and its settings are not copied with it
    yield lambda role: home.conninfo(role, COPY)
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute(f"drop database {COPY} with (force)")


@pytest.fixture(scope="session")
def idle(attacked: Callable[[str], str]) -> Generator[dict[str, list[Login]]]:
    """Connections that wait for the next test: signing in by SCRAM costs more than most attacks."""
    kept: dict[str, list[Login]] = {}
    yield kept
    for logins in kept.values():
        for one in logins:
            one.conn.close()


def _lives(one: Login) -> bool:
    try:
        one.conn.execute("select")
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def login(attacked: Callable[[str], str], idle: dict[str, list[Login]]) -> Generator[Callable[[str], Login]]:
    """Connect as one of the product's logins, past everything but Postgres."""
    opened: list[tuple[str, Login]] = []

    def connect(role: str) -> Login:
        kept = idle.get(role, [])
        while kept and not _lives(kept[-1]):
            kept.pop()  # the database was restarted or copied anew meanwhile
        one = kept.pop() if kept else Login(attacked(role))
        one.ask("set default_transaction_read_only = off")  # crm_query's own setting, which is the first to fall
        opened.append((role, one))
        return one

    yield connect
    for role, one in opened:
        if not one.conn.closed:
            one.forget()
            idle.setdefault(role, []).append(one)


@pytest.fixture
def root(login: Callable[[str], Login]) -> psycopg.Connection:
    """The superuser in the copy: plants weaknesses and looks at what came of an attack."""
    return login("postgres").conn


@pytest.fixture
def agent(login: Callable[[str], Login]) -> Login:
    return login("crm_agent")


@pytest.fixture
def approving(login: Callable[[str], Login]) -> Login:
    return login("crm_approver")


@pytest.fixture
def scene(root: psycopg.Connection) -> Scene:
    return Scene.of(root)


@pytest.fixture
def weakened(root: psycopg.Connection) -> Weaken:
    """Plant a weakness for the length of a with statement: proof that an attack can succeed."""
    return weaken(root)
