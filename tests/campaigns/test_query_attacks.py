"""Free-form SQL under attack: through the tool, and past its judge straight to Postgres; each layer must hold alone.

What decides is state: canaries in a second org that no answer may hold, the checksums of all tables, and what is left on
the connections. What Postgres says decides nothing.
"""

import asyncio
import contextlib
import json
import os
import signal
import time
import zlib
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
import query_corpus as corpus
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

SHARED = Path(__file__).parents[3] / "shared" / "data"
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


@pytest.fixture(scope="module")
def home(loaded: Home | None) -> Generator[Home]:
    """A home whose second org holds what the first does, each text marked."""
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


@pytest.fixture
def root(home: Home) -> Generator[psycopg.Connection]:
    with psycopg.connect(home.conninfo("postgres"), autocommit=True) as conn:
        yield conn


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

    async def past(self, statement: str) -> object:
        """Run a statement as crm_query without its judge; return what came of it."""
        try:
            return (await self.queries.run(self.who, statement, (), 200)).rows
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


@pytest.fixture
async def scene(home: Home) -> AsyncGenerator[Scene]:
    """The client lives in a task of its own: what opens it must close it."""
    made: asyncio.Future[Scene] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def live() -> None:
        async with attacking(home) as scene:
            made.set_result(scene)
            await over.wait()

    task = asyncio.create_task(live())
    await asyncio.wait([task, made], return_when=asyncio.FIRST_COMPLETED)
    yield await made if made.done() else await task  # type: ignore[misc]
    over.set()
    await task


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


@pytest.fixture(scope="module")
def payloads(is_long: bool) -> list[str]:
    folder = SHARED / "sql_injection"
    if not folder.is_dir():
        pytest.skip("the lines of others are not beside this repository")
    found = corpus.lines(folder)
    assert len(found) > 1000
    return found


@pytest.fixture
def untouched(root: psycopg.Connection) -> Generator[None]:
    """Hold a test to having changed no row of no table, but what the audit says of its calls."""
    before = checksums(root)
    yield
    assert checksums(root) == before
    assert locks(root) == [[], (0,)]


async def _clean(scene: Scene, attack: Callable[[], Any]) -> None:
    before = await left_behind(scene.queries)
    await attack()
    after = await left_behind(scene.queries)
    assert [row for held, was in zip(after, before, strict=True) for row in held if row not in was] == []
    assert after == before


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "SECONDS", 1)


def batch(scene: Scene, schema: str, is_long: bool) -> list[str]:
    """Return the written attacks and variants of them: the tool is given table names, Postgres the views."""
    made = corpus.written(scene.other, schema)
    few = made if is_long else made[:: 1 + len(made) // 700] + made[: len(corpus.STATEMENTS)]
    return few + corpus.variants(made, 11, 20_000 if is_long else 500)


async def test_attacks_through_the_tool_find_nothing_and_leave_nothing(scene, untouched, is_long, short):
    answers = []
    statements = batch(scene, "crm", is_long)

    async def attack() -> None:
        for statement in statements:
            answers.append((statement, await scene.ask(statement[:20_000])))

    await _clean(scene, attack)
    assert len(answers) > 1100 and leaks(answers) == []
    print(
        f"{len(answers)} attacks through the tool, {sum('error' not in told for _, told in answers)} of them answered"
    )


async def test_lines_of_others_through_the_tool_find_nothing(scene, untouched, payloads, is_long, short):
    answers = []
    for number, line in enumerate(payloads):
        at = zlib.crc32(line.encode())
        asked = (
            [line, corpus.spliced(line, "crm", at)]
            if is_long
            else [(line, corpus.spliced(line, "crm", at))[number % 2]]
        )
        for statement in [*asked, *(corpus.spliced(line, "crm", n) for n in range(6 if is_long else 0))]:
            answers.append((statement, await scene.ask(statement)))
        if is_long or number % 4 == 0:
            told = await scene.ask("select count(*) from customers where name = $1 or $1 ~ name is null", line)
            answers.append((line, told))
    assert leaks(answers) == []
    print(f"{len(answers)} lines of others")


async def test_selects_put_together_show_one_org_alone(scene, untouched, is_long, short):
    """They are good statements: most must run, and all of what they give is of the org."""
    answers = [(one, await scene.ask(one)) for one in corpus.selects(scene.columns, 3, 20_000 if is_long else 350)]
    assert leaks(answers) == []
    ran = sum("error" not in told for _, told in answers)
    assert ran > len(answers) * 0.8
    print(f"{len(answers)} SELECTs, {ran} ran")


async def test_selects_over_further_types_and_own_tables_show_one_org_alone(scene, untouched, is_long, short):
    """Some have no id, so that fewer run; what they give is of the org all the same."""
    known = scene.further | {"customers": scene.columns["customers"]}
    answers = [(one, await scene.ask(one)) for one in corpus.selects(known, 5, 20_000 if is_long else 150)]
    for word in ("", f"{CANARY}_tabl"[1:], "own.", "own.part"):
        answers.append((f"{word} as a table", await scene.ask(f'select * from "{word or "x"}"')))
        answers.append(
            (f"{word} as a schema", (await scene.client.call_tool("get_schema", {"search": word})).structured_content)
        )
    for statement in (f"select * from own.{CANARY}_table", *(f"select * from {table}" for table in known)):
        answers.append((statement, await scene.ask(statement)))
    assert leaks(answers) == []
    assert sum("error" not in told for _, told in answers) > len(answers) * 0.4
    assert (await scene.ask("select count(*) from own.parts"))["result"]["rows"] == [[200]]


async def test_past_the_judge_own_tables_and_further_types_show_one_org_alone(scene, root, untouched, is_long, short):
    own = root.execute("select relname from pg_class where relnamespace = 'query_own'::regnamespace").fetchall()
    views = {f"query_own.{name}": ["*"] for (name,) in own}
    views |= {
        f"query_admin_{table}": columns for table, columns in scene.further.items() if not table.startswith("own.")
    }
    assert len(own) == 3
    answers = [(one, await scene.past(one)) for one in corpus.selects(views, 6, 5000 if is_long else 150)]
    for view in (*views, "own.parts", f"own.{CANARY}_table"):
        for statement in (
            f"select * from {view}",
            f"select set_config('crm.org_id', '{scene.other}', true), x.* from {view} x",
        ):
            answers.append((statement.replace(CANARY, "?"), await scene.past(statement)))
    assert leaks(answers) == []


async def test_counts_are_those_of_one_org(scene, root):
    for table in sorted(set(scene.columns) - {"people"}):
        told = await scene.ask(f"select count(*) from {table}")
        counted = sql.SQL("select count(*) from crm.{} where org_id = %s").format(sql.Identifier(table))
        assert told["result"]["rows"] == [list(root.execute(counted, (scene.who.org,)).fetchone())], table


async def test_past_the_judge_postgres_holds_alone(scene, untouched, is_long, short):
    answers = []
    statements = batch(scene, "query_admin", is_long)

    async def attack() -> None:
        for statement in statements:
            answers.append((statement, await scene.past(statement)))

    await _clean(scene, attack)
    assert leaks(answers) == []
    print(f"{len(answers)} attacks past the judge")


async def test_past_the_judge_lines_of_others_find_nothing(scene, untouched, payloads, is_long, short):
    some = payloads if is_long else payloads[::3]
    answers = [(line, await scene.past(corpus.spliced(line, "query_admin", n))) for n, line in enumerate(some)]
    answers += [(line, await scene.past(line)) for line in (payloads if is_long else payloads[1::3])]
    assert leaks(answers) == []


WIDE = "create or replace view query_admin.customers with (security_invoker, security_barrier) as select {} from crm.customers t{}"
POLICIES = (
    "drop policy query on crm.customers",
    "alter policy tenant on crm.customers using (true)",
)
RESTORED = (
    "create policy query on crm.customers as restrictive for select to crm_query using (org_id = (select crm.query_org()))",
    "alter policy tenant on crm.customers using (org_id = nullif(current_setting('crm.org_id', true), '')::bigint)",
)


@pytest.mark.parametrize(
    ("view", "policies", "leaks_then"),
    [(True, True, True), (True, False, False), (False, True, False)],
    ids=["both dropped", "the view's filter dropped", "the policies dropped"],
)
async def test_the_campaign_sees_a_planted_leak_and_one_layer_is_enough(scene, root, view, policies, leaks_then):
    columns = ", ".join(f"t.{column}" for column in scene.columns["customers"])
    statements = ["select * from customers", *corpus.selects({"customers": scene.columns["customers"]}, 5, 20)]
    try:
        for one in [*([WIDE.format(columns, "")] if view else []), *(POLICIES if policies else [])]:
            root.execute(one)
        answers = [(one, await scene.ask(one)) for one in statements]
    finally:
        root.execute(WIDE.format(columns, " where t.org_id = (select crm.query_org())"))
        for one in RESTORED if policies else ():
            root.execute(one)
    assert bool(leaks(answers)) is leaks_then
    assert leaks([(one, await scene.ask(one)) for one in statements]) == []


async def test_a_token_is_no_use_on_another_connection_or_for_another_org(scene, home):
    """With the login's own password, past everything but Postgres."""
    db = await scene.queries._agent()
    with (
        psycopg.connect(home.conninfo("crm_query"), autocommit=True) as own,
        psycopg.connect(home.conninfo("crm_query"), autocommit=True) as second,
    ):
        token = await queries._token(db, scene.who, own.info.backend_pid)
        parts = token.split(".")
        elsewhere = ".".join([parts[0], str(scene.other), *parts[2:]])
        for conn, given, org in (
            (own, elsewhere, scene.other),
            (second, token, scene.who.org),
            (own, "", scene.other),
            (own, "query.1", 1),
            (own, token, scene.other),
        ):
            with conn.transaction(force_rollback=True):
                conn.execute(
                    "select set_config('crm.org_id', %s, true), set_config('crm.query_token', %s, true)",
                    (str(org), given),
                )
                rows: list[Any] = []
                with contextlib.suppress(
                    psycopg.errors.InvalidAuthorizationSpecification, psycopg.errors.InvalidTextRepresentation
                ):
                    rows = conn.execute("select name from query_admin.customers").fetchall()
                assert rows == []


async def test_what_a_query_never_needs_is_closed_by_postgres_itself(scene):
    for call in (
        "pg_sleep(1)", "pg_terminate_backend(1)", "pg_cancel_backend(1)", "pg_advisory_lock(1)", "pg_notify('a', 'b')",
        "pg_stat_get_activity(null)", "pg_stat_get_backend_activity(1)", "query_to_xml('select 1', true, true, '')",
        "lo_create(0)", "pg_export_snapshot()", "txid_current()",
    ):  # fmt: skip
        assert await scene.past(f"select {call}") == "InsufficientPrivilege", call
    assert await scene.past("select query from pg_stat_activity") == "InsufficientPrivilege"
    assert await scene.past("select * from pg_stats where schemaname = 'crm'") == []


BOMBS = (
    "select count(*) from customers a, customers b, customers c, customers d, customers e, customers f",
    "with recursive r as (select name as n from customers union all select n || n from r) select max(length(n)) from r",
    "select length(string_agg(a.name || b.name || c.name, '')) from customers a, customers b, customers c, customers d",
    "select cardinality(array_agg(a.id)) from customers a, customers b, customers c, customers d",
    "select jsonb_agg(to_jsonb(a) || to_jsonb(b)) from customers a, customers b, customers c, customers d",
    "select * from customers a, customers b, customers c, customers d order by a.name, b.name desc, c.city",
    "select distinct a.name || b.name || c.name || d.name from customers a, customers b, customers c, customers d",
)
LARGE = {"QUERY_TOO_SLOW", "QUERY_TOO_LARGE", "INVALID_SQL"}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_statement_that_wants_all_is_stopped_and_others_go_on(scene, root, bomb, untouched):
    started = root.execute("select pg_postmaster_start_time(), (select count(*) from pg_stat_activity)").fetchone()[0]
    told = await scene.ask(bomb)
    assert told.get("error") in LARGE or told.get("type") == "result", told
    assert (await scene.ask("select 1 as one"))["result"]["rows"] == [[1]]
    assert root.execute("select pg_postmaster_start_time()").fetchone() == (started,)
    used = root.execute("select coalesce(sum(size), 0) from pg_ls_tmpdir()").fetchone()
    assert used == (0,), "temporary files are gone with the statement"


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="the memory of a process is read from /proc")
async def test_the_memory_of_a_backend_stays_bounded_past_the_judge(scene, root):
    bombs = ("select length(repeat('x', 1000000000))", "select length(repeat('x', 1000000000) || repeat('x', 1000000000))", "select array_fill(1, array[100000, 2000])",
             "select set_config('work_mem', '100GB', true), count(*) from generate_series(1, 100000000) a")  # fmt: skip
    for bomb in bombs:
        await scene.past(bomb)
    assert await scene.past("select 1") == [[1]]
    for (pid,) in root.execute("select pid from pg_stat_activity where usename = 'crm_query'").fetchall():
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            peak = next(int(line.split()[1]) for line in status if line.startswith("VmPeak"))
        assert peak <= 2 << 20, f"{peak} kB"


SLOW = "select count(*) from customers a, customers b, customers c, customers d, customers e, customers f"


async def test_two_run_at_once_and_the_others_wait_their_turn(scene, short):
    told = await asyncio.gather(
        *[scene.ask(SLOW) for _ in range(3)], *[scene.ask("select 1 as one") for _ in range(4)]
    )
    assert [one.get("error") for one in told[:3]] == ["QUERY_TOO_SLOW"] * 3
    assert [one["result"]["rows"] for one in told[3:]] == [[[1]]] * 4


async def _running(root: psycopg.Connection) -> Sequence[int]:
    deadline = time.monotonic() + 20
    while True:
        found = root.execute(
            "select pid from pg_stat_activity where usename = 'crm_query' and state = 'active'"
        ).fetchall()
        if found or time.monotonic() > deadline:
            return [pid for (pid,) in found]
        await asyncio.sleep(0.02)


async def test_a_cancelled_call_frees_its_connection(scene, root):
    task = asyncio.create_task(
        scene.queries.run(scene.who, SLOW.replace("customers", "query_admin.customers"), (), 10)
    )
    assert await _running(root)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await scene.past("select 1") == [[1]]
    deadline = time.monotonic() + 10
    while root.execute(
        "select count(*) from pg_stat_activity where usename = 'crm_query' and state = 'active'"
    ).fetchone() != (0,):
        assert time.monotonic() < deadline, "it runs on"
        await asyncio.sleep(0.05)


async def test_a_statement_that_lifts_its_own_timeout_is_stopped_at_the_deadline(scene, root, monkeypatch):
    """A setting that is changed on the way holds for the next FETCH: the deadline of the program stops that."""
    monkeypatch.setattr(queries, "DEADLINE", 3)
    lifts = "select set_config('statement_timeout', '0', true), case when g > 60 then (select count(*) from query_admin.customers a, query_admin.customers b, query_admin.customers c, query_admin.customers d where a.id + b.id + c.id + d.id <> g) end from generate_series(1, 200) g"
    assert await scene.past(lifts) == "QueryCanceled"
    deadline = time.monotonic() + 10
    while root.execute(
        "select count(*) from pg_stat_activity where usename = 'crm_query' and state = 'active'"
    ).fetchone() != (0,):
        assert time.monotonic() < deadline, "it runs on"
        await asyncio.sleep(0.05)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
async def test_after_its_backend_was_killed_a_query_is_answered_clearly_and_the_next_one_works(loaded):
    """Postgres ends every backend then and recovers, so this home is one of its own."""
    with temporary_home(loaded) as own:
        async with attacking(own) as scene:
            task = asyncio.create_task(scene.ask(SLOW))
            with psycopg.connect(own.conninfo("postgres"), autocommit=True) as root:
                (pid, *_) = await _running(root)
                os.kill(pid, signal.SIGKILL)
            told = await task
            assert told.get("error") in {"DATABASE_UNAVAILABLE", "QUERY_TOO_SLOW"}, told
            deadline = time.monotonic() + 30
            while "error" in (told := await scene.ask("select 1 as one")):
                assert told["error"] == "DATABASE_UNAVAILABLE" and time.monotonic() < deadline, told
                await asyncio.sleep(0.1)
            assert told["result"]["rows"] == [[1]]
