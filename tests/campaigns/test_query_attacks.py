"""Free-form SQL under attack: through the tool, and past its judge straight to Postgres; each layer must hold alone.

What decides is state: canaries in a second org that no answer may hold, the checksums of all tables, and what is left on
the connections. What Postgres says decides nothing.
"""

import asyncio
import contextlib
import os
import signal
import time
import zlib
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
import query_corpus as corpus
from psycopg import sql
from query_scene import CANARY, Scene, attacking, checksums, leaks, left_behind, locks, planted

from crm_mcp import queries
from crm_mcp.embedded import Home
from homes import temporary_home

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def home(loaded: Home | None) -> Generator[Home]:
    with planted(loaded) as made:
        yield made


@pytest.fixture
def root(home: Home) -> Generator[psycopg.Connection]:
    with psycopg.connect(home.conninfo("postgres"), autocommit=True) as conn:
        yield conn


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
    few = made if is_long else made[:: 1 + len(made) // 300] + made[: len(corpus.STATEMENTS)]
    return few + corpus.variants(made, 11, 20_000 if is_long else 250)


async def test_attacks_through_the_tool_find_nothing_and_leave_nothing(scene, untouched, is_long, short):
    answers = []
    statements = batch(scene, "crm", is_long)

    async def attack() -> None:
        for statement in statements:
            answers.append((statement, await scene.ask(statement[:20_000])))

    await _clean(scene, attack)
    assert len(answers) > 600 and leaks(answers) == []
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
    answers = [(one, await scene.ask(one)) for one in corpus.selects(scene.columns, 3, 20_000 if is_long else 200)]
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


NAMES = {"select * from information_schema.tables"}
"""The names of tables, which the judge alone keeps apart (ADR 22, ADR 23)."""


async def test_past_the_judge_postgres_holds_alone(scene, untouched, is_long, short):
    answers = []
    statements = batch(scene, "query_admin", is_long)

    async def attack() -> None:
        for statement in statements:
            answers.append((statement, await scene.past(statement)))

    await _clean(scene, attack)
    assert [one for one in leaks(answers) if one not in NAMES] == []
    print(f"{len(answers)} attacks past the judge")


async def test_past_the_judge_lines_of_others_find_nothing(scene, untouched, payloads, is_long, short):
    some = payloads if is_long else payloads[::5]
    answers = [(line, await scene.past(corpus.spliced(line, "query_admin", n))) for n, line in enumerate(some)]
    answers += [(line, await scene.past(line)) for line in (payloads if is_long else payloads[1::5])]
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


@pytest.mark.parametrize("parameters", [(), ("x",)])
async def test_past_the_judge_a_second_statement_is_an_error_whatever_it_is(scene, parameters):
    """With one, COMMIT would end the transaction that is read only, bound to one org and short, and NOTIFY wake others."""
    first = "select $1::text" if parameters else "select 1"
    for second in (
        "commit",
        "select 1",
        "create temp table t()",
        "set statement_timeout = 0",
        "rollback; begin",
        "commit; notify a, 'b'",
        "commit; listen a",
    ):
        for text in (f"{first}) q; {second}; select * from (select 1", f"{first}) q; {second} --"):
            assert await scene.past(text, *parameters) == "SyntaxError", text
    assert await scene.past(first, *parameters) == [[parameters[0] if parameters else 1]]


BOMBS = (
    "select count(*) from customers a, customers b, customers c, customers d, customers e, customers f",
    "with recursive r as (select name as n from customers union all select n || n from r) select max(length(n)) from r",
    "select length(string_agg(a.name || b.name || c.name, '')) from customers a, customers b, customers c, customers d",
    "select cardinality(array_agg(a.id)) from customers a, customers b, customers c, customers d",
    "select jsonb_agg(to_jsonb(a) || to_jsonb(b)) from customers a, customers b, customers c, customers d",
    "select * from customers a, customers b, customers c, customers d order by a.name, b.name desc, c.city",
    "select distinct a.name || b.name || c.name || d.name from customers a, customers b, customers c, customers d",
)
SLOW = BOMBS[0]
ENDLESS = {SLOW, BOMBS[4]}
"""They end by time, however much of it they are given."""
LARGE = {"QUERY_TOO_SLOW", "QUERY_TOO_LARGE", "INVALID_SQL"}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_statement_that_wants_all_is_stopped_and_others_go_on(scene, root, bomb, untouched, monkeypatch):
    if bomb in ENDLESS:
        monkeypatch.setattr(queries, "SECONDS", 1)
    started = root.execute("select pg_postmaster_start_time(), (select count(*) from pg_stat_activity)").fetchone()[0]
    told = await scene.ask(bomb)
    assert told.get("error") in LARGE or told.get("type") == "result", told
    assert (await scene.ask("select 1 as one"))["result"]["rows"] == [[1]]
    assert root.execute("select pg_postmaster_start_time()").fetchone() == (started,)
    used = root.execute("select coalesce(sum(size), 0) from pg_ls_tmpdir()").fetchone()
    assert used == (0,), "temporary files are gone with the statement"


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="the memory of a process is read from /proc")
async def test_the_memory_of_a_backend_stays_bounded_past_the_judge(scene, root):
    gigabyte = "repeat(repeat('x', 1000), 1000000)"
    bombs = (f"select length({gigabyte})", f"select length({gigabyte} || {gigabyte})", "select array_fill(1, array[100000, 2000])",
             "select set_config('work_mem', '100GB', true), count(*) from generate_series(1, 100000000) a")  # fmt: skip
    for bomb in bombs:
        await scene.past(bomb)
    assert await scene.past("select 1") == [[1]]
    for (pid,) in root.execute("select pid from pg_stat_activity where usename = 'crm_query'").fetchall():
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            peak = next(int(line.split()[1]) for line in status if line.startswith("VmPeak"))
        assert peak <= 2 << 20, f"{peak} kB"


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
