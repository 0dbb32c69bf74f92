"""One embedded home a worker, migrated by the product itself and holding the demo orgs; tests connect as its logins."""

import inspect
import json
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import pytest
from mcp import Client, ClientSession

from crm_mcp import auth, log
from crm_mcp.app import App
from crm_mcp.app import Client as Served
from crm_mcp.approvals.executor import Executor
from crm_mcp.catalog import Catalog, Narrowing, rows
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.principal import Agent, Principal
from crm_mcp.queries import Queries
from crm_mcp.server import build_server
from homes import TEMPLATES, discard_templates, load_demo, migrated, template, temporary_folder, temporary_home

SHARED = Path(__file__).parents[2] / "shared" / "data"
"""Test material kept beside the repository; tests that read it skip where it is absent."""
ROLES = {
    "admin": "ada@demo.example",
    "sales": "sam@demo.example",
    "operations": "olga@demo.example",
    "finance": "fin@demo.example",
    "support": "sue@demo.example",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run campaigns in their long form")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the place of the run's templates, before there are workers: they inherit the environment.

    Bytecode is kept, whatever the environment says: else each of the hundred servers that tests start compiles the
    product anew, and each worker the tests.
    """
    if not hasattr(config, "workerinput"):
        os.environ[TEMPLATES] = str(temporary_folder("crm-h-"))
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and (folder := os.environ.pop(TEMPLATES, None)):
        discard_templates(Path(folder))


@pytest.fixture(scope="session")
def is_long(request: pytest.FixtureRequest) -> bool:
    """Say whether campaigns, and what is one in nature, run in their long form."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="session", autouse=True)
def _logs_go_to_stderr() -> None:
    log.configure("warning")


@pytest.fixture(scope="session", autouse=True)
def _schemas_are_checked_once() -> Generator[None]:
    """Check a schema the first time only: every new client checks those of the tools that it calls, at 40 ms each."""
    check, good = jsonschema.Draft202012Validator.check_schema, set[str]()

    def checked(schema: Any, *more: Any, **options: Any) -> None:
        text = json.dumps(schema)
        if text not in good:
            check(schema, *more, **options)
            good.add(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonschema.Draft202012Validator, "check_schema", checked)
        yield


@pytest.fixture(scope="session", autouse=True)
def _clients_know_what_results_look_like() -> Generator[None]:
    """Hold results to the snapshot's schemas: else each new client lists all tools after its first call, at 20 ms."""
    declared = {name: row["wire"]["outputSchema"] for name, row in rows().items()}
    validate, validators = ClientSession.validate_tool_result, dict[str, Any]()

    async def validated(session: Any, name: str, result: Any) -> None:
        if name in declared and name not in session._tool_output_schemas:
            session._tool_output_schemas[name] = declared[name]
            if name not in validators:
                validators[name] = session._output_schema_validator(name, declared[name])
            session._tool_output_validators[name] = validators[name]
        await validate(session, name, result)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClientSession, "validate_tool_result", validated)
        yield


@pytest.fixture(autouse=True)
def _log_lines_go_to_the_stderr_of_this_test() -> None:
    log.logger.cache_clear()
    log.logger()


@pytest.fixture(scope="session")
def loaded() -> Home | None:
    """Return the run's stopped home with the demo orgs, for copies of it."""
    return template("demo", migrated(), load_demo)


@pytest.fixture(scope="session")
def home(loaded: Home | None) -> Generator[Home]:
    with temporary_home(loaded) as made:
        if loaded is None:
            load_demo(made)
        yield made


class Kept(Database):
    """Connections that are kept for the next test: on a new one Postgres has every trigger and statement to read anew."""

    async def close(self) -> None:
        """Stay open."""

    async def end(self) -> None:
        await super().close()


@pytest.fixture(scope="session")
async def kept_databases() -> AsyncGenerator[dict[str, Kept]]:
    """Connections by login and home, of the loop that all asynchronous tests run in."""
    kept: dict[str, Kept] = {}
    yield kept
    for db in kept.values():
        await db.end()


@pytest.fixture
async def database_of(
    kept_databases: dict[str, Kept], request: pytest.FixtureRequest
) -> AsyncGenerator[Callable[[str], Database]]:
    """Return the database of a conninfo; one of its own for a test that runs loops of its own."""
    own: list[Database] = []
    # asked now: while it runs, an asynchronous test's function is pytest-asyncio's, which is none
    keeps = inspect.iscoroutinefunction(request.function)

    def database(conninfo: str) -> Database:
        if keeps:
            if conninfo not in kept_databases:
                kept_databases[conninfo] = Kept(conninfo, size=8)
            return kept_databases[conninfo]
        own.append(Database(conninfo))
        return own[-1]

    yield database
    for db in own:
        await db.close()


class KeptQueries(Queries):
    """Connections of free-form SQL that are kept for the next test, as `Kept` keeps others."""

    async def close(self) -> None:
        """Stay open."""

    async def end(self) -> None:
        await super().close()


@pytest.fixture(scope="session")
async def kept_queries() -> AsyncGenerator[dict[str, KeptQueries]]:
    kept: dict[str, KeptQueries] = {}
    yield kept
    for queries in kept.values():
        await queries.end()


@pytest.fixture
async def queries_of(
    kept_queries: dict[str, KeptQueries], database_of: Callable[[str], Database], request: pytest.FixtureRequest
) -> AsyncGenerator[Callable[[Home], Queries]]:
    """Return what runs free-form SQL in a home; one of its own for a test that runs loops of its own."""
    own: list[Queries] = []
    keeps = inspect.iscoroutinefunction(request.function)

    def queries(home: Home) -> Queries:
        made: list[Database] = []

        async def database() -> Database:
            if keeps:
                return database_of(home.conninfo("crm_agent"))
            if not made:
                made.append(database_of(home.conninfo("crm_agent")))
            return made[0]

        conninfo = home.conninfo("crm_query")
        if keeps:
            return kept_queries.setdefault(conninfo, KeptQueries(conninfo, database))
        own.append(Queries(conninfo, database))
        return own[-1]

    yield queries
    for one in own:
        await one.close()


@pytest.fixture(scope="session")
def kept_owners() -> Generator[dict[str, psycopg.Connection[Any]]]:
    """Connections on which tests ask as the owner."""
    kept: dict[str, psycopg.Connection[Any]] = {}
    yield kept
    for conn in kept.values():
        conn.close()


@pytest.fixture(scope="session")
def let_go(
    kept_databases: dict[str, Kept],
    kept_queries: dict[str, KeptQueries],
    kept_owners: dict[str, psycopg.Connection[Any]],
) -> Callable[[], Awaitable[None]]:
    """Close every connection that was kept: nobody may be connected to a database that is copied."""

    async def close() -> None:
        while kept_databases:
            await kept_databases.popitem()[1].end()
        while kept_queries:
            await kept_queries.popitem()[1].end()
        while kept_owners:
            kept_owners.popitem()[1].close()

    return close


@pytest.fixture
def approver(home: Home, database_of: Callable[[str], Database]) -> Database:
    return database_of(home.conninfo("crm_approver"))


@pytest.fixture
def executor(approver: Database) -> Executor:
    return Executor(approver)


@pytest.fixture
def person(approver: Database) -> Callable[[str], Awaitable[Principal]]:
    """Sign a person in as the approvals page would know them."""

    async def sign_in(email: str) -> Principal:
        return await approver.sign_in(auth.by_email(email))

    return sign_in


Connect = Callable[..., Any]


@pytest.fixture
def connect(home: Home, database_of: Callable[[str], Database], queries_of: Callable[[Home], Queries]) -> Connect:
    """Connect an in-memory client that is served as a person, through the application's own login.

    `speaks` is what the client can do besides: its extensions, how it answers an elicitation.
    """

    @asynccontextmanager
    async def client(
        email: str = ROLES["sales"],
        *,
        agent: Agent | None = None,
        mode: Any = "auto",
        speaks: Mapping[str, Any] | None = None,
        **narrowed: Any,
    ) -> AsyncGenerator[Client]:
        async def database() -> Database:
            return database_of(home.conninfo("crm_agent"))

        whom = Served(auth.by_email(email, None, agent))
        app = App(
            database,
            Catalog(Narrowing(**narrowed)),
            whom,
            lambda: "http://localhost:8787",
            sync_reads=True,
            queries=queries_of(home),
        )
        try:
            async with Client(build_server(app), mode=mode, **(speaks or {})) as connected:
                connected.app = app  # type: ignore[attr-defined]
                yield connected
        finally:
            await app.close()

    return client


@pytest.fixture
def owner_asks(home: Home, kept_owners: dict[str, psycopg.Connection[Any]]) -> Callable[..., Any]:
    """Ask one value as the owner, who sees every org."""

    def ask(conninfo: str, sql: str, params: tuple[object, ...]) -> Any:
        if conninfo not in kept_owners:
            # nothing is prepared: tests change tables
            kept_owners[conninfo] = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
        row = kept_owners[conninfo].execute(sql, params).fetchone()  # type: ignore[arg-type]
        return row[0] if row else None

    def asks(sql: str, *params: object) -> Any:
        conninfo = home.conninfo("crm_owner")
        try:
            return ask(conninfo, sql, params)
        except psycopg.OperationalError:
            if conninfo not in kept_owners or not kept_owners[conninfo].closed:
                raise
        del kept_owners[conninfo]  # the server was stopped meanwhile
        return ask(conninfo, sql, params)

    return asks
