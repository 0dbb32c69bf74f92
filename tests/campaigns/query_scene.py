"""Who attacks free-form SQL and what is behind it: two orgs that hold the same, and what must be as it was afterwards."""

import contextlib
import json
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple

import psycopg
from mcp import Client
from psycopg import sql

from crm_mcp import auth, queries
from crm_mcp.app import App
from crm_mcp.app import Client as Served
from crm_mcp.catalog import Catalog, Narrowing
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.principal import Principal
from crm_mcp.queries import Queries
from crm_mcp.query.own import register
from crm_mcp.query.own.described import Document
from crm_mcp.query.own.register import Asked
from crm_mcp.server import build_server
from homes import load_demo, temporary_home

ADA = "ada@demo.example"
CANARY = "zqxk"
"""What every text of the second org begins with, and no text of the first holds."""
UNTOUCHED = {
    "orgs",
    "alembic_version",
    "schema_state",
    "signing_key",
    "reasoning",
    "memberships",
    "free_writes",
    "database_setting",
    "own_tables",
}
WRITTEN_BY_CALLS = {"audit_log"}


@contextmanager
def planted(loaded: Home | None) -> Generator[Home]:
    """Run a home whose second org holds what the first does, each text marked."""
    with temporary_home(loaded) as made:
        if loaded is None:
            load_demo(made)
        with psycopg.connect(made.conninfo("postgres"), autocommit=True) as root:
            plant(root)
        with psycopg.connect(made.conninfo("crm_owner")) as owner:
            plant_own(owner)
        yield made


def plant(root: psycopg.Connection) -> None:
    """Copy the first org's rows into the second and mark every text there that may be marked."""
    root.execute("set session_replication_role = replica")
    mine, other = (
        root.execute("select id from crm.orgs where slug = %s", (s,)).fetchone()[0] for s in ("demo", "other")
    )
    for table, columns in tables(root).items():
        if "org_id" not in columns or table in UNTOUCHED | WRITTEN_BY_CALLS:
            continue
        name, rest = sql.Identifier("crm", table), [one for one in columns if one != "org_id"]
        names = sql.SQL(", ").join(map(sql.Identifier, rest))
        with contextlib.suppress(psycopg.Error):  # a table that keeps itself from being copied
            root.execute(
                sql.SQL(
                    "insert into {} (org_id, {}) overriding system value select {}, {} from {} where org_id = {} on conflict do nothing"
                ).format(name, names, other, names, name, mine)
            )
        for column, kind in columns.items():
            if kind == "text":
                try:
                    marked = sql.SQL("update {} set {} = {} || left({}, 20) where org_id = {}")
                    root.execute(marked.format(name, sql.Identifier(column), CANARY, sql.Identifier(column), other))
                except psycopg.Error:
                    pass  # one of few words
    root.execute(
        "update crm.users set name = %s || name where id not in (select user_id from crm.memberships where org_id = %s)",
        (CANARY, mine),
    )
    root.execute("reset session_replication_role")
    root.execute("analyze")


def plant_own(owner: psycopg.Connection) -> None:
    """Register a table that both orgs share, the second org's rows marked, and one of the second org's alone."""
    orgs = dict(owner.execute("select slug, id from crm.orgs").fetchall())
    owner.execute(
        "create schema own; create table own.parts(id bigint, org_id bigint not null, word text, kept jsonb, at timestamptz)"
    )
    for org, mark in ((orgs["demo"], ""), (orgs["other"], CANARY)):
        owner.execute(
            "insert into own.parts select g, %s, %s || g, jsonb_build_object(%s::text || 'a', g), now() from generate_series(1, 200) g",
            (org, mark, mark),
        )
    owner.execute(
        f"create table own.{CANARY}_table({CANARY}_column text); insert into own.{CANARY}_table values ('{CANARY}')"
    )
    for org in orgs.values():
        register.add(
            owner,
            org,
            Asked("own", "parts", None, None, None, None, False, ("admin",), (), Document(description="Parts.")),
        )
    said = Asked("own", f"{CANARY}_table", None, None, None, None, True, ("admin",), (), Document(description=CANARY))
    register.add(owner, orgs["other"], said)


def tables(root: psycopg.Connection) -> dict[str, dict[str, str]]:
    """Table → its columns that can be written → their types."""
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in root.execute(
        "select c.relname, a.attname, format_type(a.atttypid, null) from pg_class c join pg_attribute a on a.attrelid = c.oid"
        " where c.relnamespace = 'crm'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''"
        " order by 1, a.attnum"
    ):
        found.setdefault(table, {})[column] = kind
    return found


class Scene(NamedTuple):
    """The attacker's client and what is behind it, and the number of the org that is not theirs."""

    client: Client
    queries: Queries
    who: Principal
    other: int
    columns: dict[str, list[str]]
    further: dict[str, list[str]]
    """The same of the tables beyond crm: of finance and analytics, and the org's own."""

    async def ask(self, statement: str, *parameters: object) -> dict[str, Any]:
        asked = {"query": statement, "reasoning": "an attack", "parameters": list(parameters), "limit": 200}
        told = (await self.client.call_tool("execute_crm_query", asked)).structured_content
        assert told is not None
        return told

    async def past(self, statement: str, *parameters: object) -> object:
        """Run a statement as crm_query without its judge; return what came of it."""
        try:
            return (await self.queries.run(self.who, statement, parameters, 200)).rows
        except (psycopg.Error, UnicodeError, ValueError) as refused:
            return type(refused).__name__


@asynccontextmanager
async def attacking(home: Home, email: str = ADA) -> AsyncGenerator[Scene]:
    db = Database(home.conninfo("crm_agent"), size=4)

    async def database() -> Database:
        return db

    run = Queries(home.conninfo("crm_query"), database)
    app = App(
        database,
        Catalog(Narrowing()),
        Served(auth.by_email(email)),
        lambda: "http://localhost:8787",
        sync_reads=True,
        queries=run,
    )
    try:
        async with Client(build_server(app)) as client:
            who = await db.sign_in(auth.by_email(email))
            with psycopg.connect(home.conninfo("postgres")) as root:
                (other,) = root.execute("select id from crm.orgs where slug = 'other'").fetchone() or (0,)
                views = root.execute(
                    "select c.relname, array_agg(a.attname::text order by a.attnum) from pg_class c join pg_attribute a on a.attrelid = c.oid"
                    " where c.relnamespace = 'query_admin'::regnamespace and a.attnum > 0 group by 1"
                ).fetchall()
                further = root.execute(
                    "select x.type || '.' || c.relname, array_agg(a.attname::text order by a.attnum) from unnest(array['finance', 'analytics']) x(type)"
                    " join pg_class c on c.relnamespace = ('query_admin_' || x.type)::regnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 group by 1"
                ).fetchall()
            own = {"own.parts": ["id", "word", "kept", "at"]}
            yield Scene(client, run, who, other, dict(views), dict(further) | own)
    finally:
        await app.close()
        await run.close()
        await db.close()


def checksums(root: psycopg.Connection) -> dict[str, tuple[int, int]]:
    """Table → how many rows there are, and what they sum up to."""
    found: dict[str, tuple[int, int]] = {}
    for table in tables(root):
        asked = sql.SQL("select count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) from crm.{} t")
        found[table] = root.execute(asked.format(sql.Identifier(table))).fetchone()  # type: ignore[assignment]
    return {table: one for table, one in found.items() if table not in WRITTEN_BY_CALLS}


async def left_behind(run: Queries) -> list[list[Any]]:
    """Return what the pooled connections hold: settings, cursors, statements, locks, temporary objects, who they are."""
    pool = await run._connections()
    seen: list[list[Any]] = []
    for _ in range(queries.AT_ONCE):
        async with pool.connection() as conn:
            for asked in (
                "select name, setting from pg_settings where name !~ '[.]' and name <> 'application_name' order by 1",
                "select name, statement from pg_prepared_statements",
                "select name from pg_cursors where name <> ''",
                "select current_user, session_user, pg_my_temp_schema(), coalesce(current_setting('crm.query_token', true), '')",
                "select * from pg_listening_channels()",
            ):
                seen.append(await (await conn.execute(asked)).fetchall())  # type: ignore[arg-type]
    return seen


def locks(root: psycopg.Connection) -> list[object]:
    """Return what sessions of crm_query hold or wait for, and what large objects there are."""
    held = root.execute(
        "select l.locktype, l.mode from pg_locks l join pg_stat_activity a using (pid) where a.usename = 'crm_query'"
    ).fetchall()
    return [held, root.execute("select count(*) from pg_largeobject_metadata").fetchone()]


def leaks(answers: Iterable[tuple[str, object]]) -> list[str]:
    """Return the statements whose answer holds a word of the second org.

    An answer repeats the statement itself, and what it could not read of it: those words are the attacker's own.
    """
    return [
        statement
        for statement, answer in answers
        if CANARY in json.dumps(answer, default=str).lower() and CANARY not in statement.lower()
    ]
