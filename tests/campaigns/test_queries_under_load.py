"""Free-form SQL while the database is stopped, calls are cancelled, and one person asks for much: nobody hangs."""

import asyncio
import os
import time
from collections.abc import Callable, Generator

import psycopg
import pytest
from campaign_client import Server
from campaign_drafts import Desk
from mcp import Client
from query_scene import ADA, attacking
from test_restart_under_load import restart

from crm_mcp import auth, queries
from crm_mcp.app import App
from crm_mcp.app import Client as Served
from crm_mcp.catalog import Catalog, Narrowing
from crm_mcp.embedded import Home
from crm_mcp.server import build_server

SLOW = """select count(*) from customers a, generate_series(1, 10000) n
 where (select count(*) from customers b, customers c, customers d where b.id + c.id + d.id <> n) > 0"""
"""Counts anew for each row: a join of them all would be laid aside on the disk, and end there with what a query may take."""
OF_QUERIES = "select count(*) from pg_stat_activity where usename = 'crm_query' and state = 'active'"
EACH = "select pid, query_start from pg_stat_activity where usename = 'crm_query' and state = 'active' order by query_start"
OLDEST = f"{EACH} limit 1"
LEFT = """select (select count(*) from pg_locks l join pg_stat_activity a using (pid) where a.usename = 'crm_query'),
 (select count(*) from pg_ls_tmpdir()), (select count(*) from pg_stat_activity where usename = 'crm_query' and state <> 'idle')"""


@pytest.fixture
def root(home: Home) -> Generator[psycopg.Connection]:
    with psycopg.connect(home.conninfo("postgres"), autocommit=True) as conn:
        yield conn


def asked(query: str) -> dict[str, object]:
    return {"query": query, "reasoning": "a campaign"}


def until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


async def soon(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


def running(root: psycopg.Connection, many: int) -> Callable[[], bool]:
    return lambda: root.execute(OF_QUERIES).fetchone() == (many,)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_queries_are_answered_through_an_immediate_restart_and_nothing_stays(home: Home, desk: Desk, is_long: bool):
    """Each call gets a result or a clear no, none hangs, and the same process serves on."""
    came: list[str] = []
    with Server(home, None, "--toolsets", "all", user=ADA) as server:
        assert server.call("execute_crm_query", asked("select 1 as one"))
        for turn in range(10 if is_long else 2):
            slow = [server.send("execute_crm_query", asked(SLOW)) for _ in range(2)]
            others = [server.send("execute_crm_query", asked("select count(*) from orders")) for _ in range(4)]
            others += [server.send("search_customers", {"query": "a"}) for _ in range(2)]
            with psycopg.connect(home.conninfo("postgres"), autocommit=True) as root:
                until(running(root, 2), "no query runs")
            if turn % 2:
                server.cancel(slow.pop())
            restart(home)
            told = [server.answer(number) for number in (*slow, *others)]
            assert None not in told, "serve died"
            came += [one.get("error", "rows") for one in told if one is not None]
            until(
                lambda: "result" in (server.call("execute_crm_query", asked("select 1 as one")) or {}),
                "not served again",
            )
        assert server.process.poll() is None
        with psycopg.connect(home.conninfo("postgres"), autocommit=True) as root:
            until(lambda: root.execute(LEFT).fetchone() == (0, 0, 0), "something is left behind")
    desk.reopen()
    assert set(came) <= {"rows", "DATABASE_UNAVAILABLE", "QUERY_TOO_SLOW", "BUSY"}
    print(
        f"{10 if is_long else 2} restarts under queries: { ({one: came.count(one) for one in sorted(set(came))}) }, 0 hung"
    )


def test_a_cancelled_request_stops_its_statement_and_the_next_is_served(home: Home, root: psycopg.Connection):
    """Queries have two minutes here: what stops them sooner is the cancelled request."""
    with Server(home, None, "--toolsets", "all", user=ADA, patient=True) as server:
        for _ in range(3):
            number = server.send("execute_crm_query", asked(SLOW))
            until(running(root, 1), "it does not run")
            server.cancel(number)
            until(running(root, 0), "it runs on")
            told = server.call("execute_crm_query", asked("select 1 as one"))
            assert told and told["result"]["rows"] == [[1]]
        waiting = [server.send("execute_crm_query", asked(SLOW)) for _ in range(5)]
        until(running(root, 2), "they do not run")
        for number in reversed(waiting):
            server.cancel(number)
        until(running(root, 0), "they run on")
        told = server.call("execute_crm_query", asked("select 2 as two"))
        assert told and told["result"]["rows"] == [[2]]
    (recorded,) = root.execute(
        "select count(*) from crm.audit_log where tool = 'execute_crm_query' and outcome = 'CANCELLED'"
    ).fetchone() or (0,)
    assert recorded >= 8
    assert root.execute(LEFT).fetchone() == (0, 0, 0)


async def test_slow_queries_of_one_person_leave_others_their_tools_and_a_turn(home, root, monkeypatch):
    monkeypatch.setattr(queries, "SECONDS", 120)
    monkeypatch.setattr(queries, "DEADLINE", 120)
    async with attacking(home) as scene:
        app = App(
            scene.queries._agent,
            Catalog(Narrowing()),
            Served(auth.by_email("fin@demo.example")),
            lambda: "http://localhost:8787",
            sync_reads=True,
            queries=scene.queries,
        )
        async with Client(build_server(app)) as other:

            async def ask(tool: str, arguments: dict[str, object]) -> dict[str, object]:
                return (await other.call_tool(tool, arguments)).structured_content or {}

            slow = [asyncio.create_task(scene.ask(SLOW)) for _ in range(6)]
            await soon(running(root, 2), "they do not run")
            for _ in range(10):
                assert (await ask("search_customers", {"query": "a"}))["type"] == "result"
                assert (await ask("get_invoices", {"limit": 5}))["type"] == "result"
            assert running(root, 2)(), "the slow ones run all the while"
            monkeypatch.setattr(queries, "PATIENCE", 0.2)
            told = await ask("execute_crm_query", asked("select 1 as one"))
            assert told["error"] == "BUSY" and "Try again" in told["context"]["hint"]  # type: ignore[index]
            monkeypatch.setattr(queries, "PATIENCE", 600)
            mine = asyncio.create_task(ask("execute_crm_query", asked("select 1 as one")))
            await asyncio.sleep(0)
            ended = 0
            while not mine.done():
                one = root.execute(OLDEST).fetchone()
                assert one is not None
                root.execute("select pg_cancel_backend(%s)", (one[0],))
                ended += 1
                await soon(lambda: one not in root.execute(EACH).fetchall(), "it runs on")  # noqa: B023
                await soon(lambda: mine.done() or running(root, 2)(), "no turn comes")
                assert ended < 4, "the others of who asked much come first"
            assert (await mine)["result"]["rows"] == [[1]]  # type: ignore[index]
            for task in reversed(
                slow
            ):  # those that wait first: a cancel that comes before its statement has begun is lost
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)
            await soon(running(root, 0), "they run on")
