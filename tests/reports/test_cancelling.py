"""A report that its client gives up: the statement ends on the server, the audit says so, and the next call is served."""

import asyncio

import anyio
import psycopg
import pytest

from crm_mcp import queries
from slowness import slow_report

ADA = "ada@demo.example"
RUNS = """select count(*) from pg_stat_activity where usename = %s and state <> 'idle' and query like %s and pid <> pg_backend_pid()"""
ENDED = "select count(*) from crm.audit_log where id > %s and tool = 'run_report' and phase = 'refused' and outcome = 'CANCELLED'"


async def _until(condition):
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.02)


@pytest.fixture
def watches(home):
    """Return what counts as the superuser, who sees every session's statement."""

    def count(sql, *params):
        with psycopg.connect(home.conninfo("postgres")) as conn:
            return conn.execute(sql, params).fetchone()[0]

    return count


@pytest.fixture
def slow(home):
    with slow_report(home) as name:
        yield name


async def _given_up(client, report, when):
    """Call a report and give it up once it runs, as a client does: with notifications/cancelled."""
    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()

        async def call():
            with scope:
                await client.call_tool("run_report", {"report": report})

        group.start_soon(call)
        await _until(when)
        scope.cancel()
    assert scope.cancelled_caught


def _dropped(caplog):
    """Return what the driver said of connections that it gave up, on which a statement may still run."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("psycopg")]


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_an_own_report_that_is_given_up_ends_at_once(
    connect, slow, watches, owner_asks, monkeypatch, caplog, mode
):
    """No limit of time would end it before the test is given up itself."""
    monkeypatch.setattr(queries, "SECONDS", 600)
    monkeypatch.setattr(queries, "DEADLINE", 600)
    last = owner_asks("select max(id) from crm.audit_log")
    async with connect(ADA, mode=mode) as client:
        for _ in range(queries.AT_ONCE + 1):
            await _given_up(client, slow, lambda: watches(RUNS, "crm_query", "fetch forward%") == 1)
            await _until(lambda: watches(RUNS, "crm_query", "fetch forward%") == 0)
        await _until(lambda: owner_asks(ENDED, last) == queries.AT_ONCE + 1)
        told = await client.call_tool("execute_crm_query", {"query": "select 1", "reasoning": "is it served?"})
        assert told.structured_content["result"]["rows"] == [[1]]
    assert _dropped(caplog) == []


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_report_that_is_given_up_while_it_waits_ends_at_once(
    connect, home, watches, owner_asks, caplog, mode
):
    last = owner_asks("select max(id) from crm.audit_log")
    with psycopg.connect(home.conninfo("crm_owner")) as holding:
        holding.execute("lock table crm.orders in access exclusive mode")
        async with connect(ADA, mode=mode) as client:
            for _ in range(3):
                await _given_up(client, "order_pipeline", lambda: watches(RUNS, "crm_agent", "%crm.orders%") == 1)
                await _until(lambda: watches(RUNS, "crm_agent", "%crm.orders%") == 0)
            holding.rollback()
            await _until(lambda: owner_asks(ENDED, last) == 3)
            told = await client.call_tool("run_report", {"report": "order_pipeline"})
            assert told.structured_content["report"]["rows"]
    assert _dropped(caplog) == []


async def test_progress_is_told_while_a_report_runs(connect):
    heard = []

    async def hear(done, total, message):
        heard.append((done, total, message))

    async with connect(ADA) as client:
        await client.call_tool("run_report", {"report": "order_pipeline"}, progress_callback=hear)
    assert heard == [(0, 2, "running the report"), (1, 2, "adding up")]
