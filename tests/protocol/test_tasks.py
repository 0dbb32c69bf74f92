"""Calls as tasks, in both eras: begun, asked after, fetched, given up, and nobody else's."""

import asyncio
from datetime import timedelta

import psycopg
import pytest
from mcp import MCPError
from mcp.types import CallToolResult, Request, RequestParams, Result
from pydantic import ConfigDict
from test_stdio import until
from wire import serving

from crm_mcp import tasking
from crm_mcp.tasks import LONGEST, MOST_OF_ONE, Tasks
from slowness import slow_report

EXTENSION = {"io.modelcontextprotocol/tasks": {}}
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
}
REPORT = {"name": "run_report", "arguments": {"report": "order_pipeline"}}


def _declaring(**params):
    """Return a request's parameters as a client of 2026-07-28 sends them that takes tasks."""
    return {**params, "_meta": {**MODERN, "io.modelcontextprotocol/clientCapabilities": {"extensions": EXTENSION}}}


def _silent(**params):
    return {**params, "_meta": {**MODERN, "io.modelcontextprotocol/clientCapabilities": {}}}


@pytest.fixture
def held(home):
    """Hold the orders, so that a report of them waits for as long as is wanted."""
    with psycopg.connect(home.conninfo("crm_owner")) as holding:
        holding.execute("lock table crm.orders in access exclusive mode")
        yield holding


@pytest.fixture
def slow(home):
    with slow_report(home) as name:
        yield {"name": "run_report", "arguments": {"report": name}}


RUNS = "select count(*) from pg_stat_activity where usename = 'crm_query' and state <> 'idle' and query like 'fetch%'"
WAITING = "select count(*) from pg_stat_activity where usename = 'crm_agent' and wait_event_type = 'Lock'"


async def test_a_client_of_2025_11_25_asks_for_a_task_and_fetches_its_result(home, held, owner_asks):
    last = owner_asks("select max(id) from crm.audit_log")
    async with serving(home.root, user="ada@demo.example") as wire:
        told = await wire.shake()
        assert told["capabilities"]["tasks"] == {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
        assert "io.modelcontextprotocol/tasks" not in told["capabilities"]["extensions"]
        tools = (await wire.request("tools/list"))["result"]["tools"]
        support = {tool["name"]: tool.get("execution") for tool in tools}
        assert support["run_report"] == {"taskSupport": "optional"} and support["whoami"] is None
        begun = (await wire.request("tools/call", {**REPORT, "task": {"ttl": 60_000}}))["result"]["task"]
        assert begun["status"] == "working" and begun["ttl"] == 60_000 and begun["pollInterval"] > 0
        asked = {"taskId": begun["taskId"]}
        fetching = await wire.ask("tasks/result", asked)
        assert (await wire.request("tasks/get", asked))["result"]["status"] == "working"
        assert (await wire.request("tasks/list"))["result"]["tasks"][0]["taskId"] == begun["taskId"]
        held.rollback()
        result = (await wire.answer(fetching))["result"]
        assert result["structuredContent"]["report"]["name"] == "order_pipeline" and result["content"]
        assert result["_meta"]["io.modelcontextprotocol/related-task"] == asked
        assert (await wire.request("tasks/get", asked))["result"]["status"] == "completed"
        done = (await wire.request("tasks/cancel", asked))["error"]
        assert done["code"] == -32602
        bad = (await wire.request("tools/call", {**REPORT, "arguments": {"report": "no"}, "task": {}}))["result"][
            "task"
        ]
        failed = (await wire.request("tasks/result", {"taskId": bad["taskId"]}))["result"]
        assert failed["isError"] and failed["structuredContent"]["error"] == "REPORT_NOT_FOUND"
        assert (await wire.request("tasks/get", {"taskId": bad["taskId"]}))["result"]["status"] == "failed"
        assert (await wire.request("tasks/update", {**asked, "inputResponses": {}}))["error"]["code"] == -32601
        short = (await wire.request("tools/call", {"name": "whoami", "arguments": {}, "task": {}}))["error"]
        assert short["code"] == -32601
        for name in ("nothing_like_it", "get_schema"):
            unknown = (await wire.request("tools/call", {"name": name, "arguments": {}, "task": {}}))["error"]
            assert unknown == {"code": -32602, "message": f"Unknown tool: {name}"}
        # reads' ended rows are written in batches: a server that is killed may hold some
        assert await wire.end() == 0
    phases = "select array_agg(phase order by call_id, id) from crm.audit_log where id > %s and tool = 'run_report'"
    assert owner_asks(phases, last)[:2] == ["begun", "ended"]


async def test_a_client_of_2026_07_28_is_given_a_task_where_the_call_is_long(home, slow):
    async with serving(home.root, user="ada@demo.example", shake=False) as wire:
        about = (await wire.request("server/discover", _declaring()))["result"]["capabilities"]
        assert about["extensions"]["io.modelcontextprotocol/tasks"] == {} and "tasks" not in about
        begun = (await wire.request("tools/call", _declaring(**slow)))["result"]
        assert begun["resultType"] == "task" and begun["status"] == "working" and begun["ttlMs"] > 0
        asked = {"taskId": begun["taskId"]}
        for method in ("tasks/get", "tasks/cancel", "tasks/update"):
            refused = (await wire.request(method, _silent(**asked)))["error"]
            assert refused["code"] == -32021 and refused["data"] == {
                "requiredCapabilities": {"extensions": EXTENSION}
            }
        for method in ("tasks/result", "tasks/list"):
            assert (await wire.request(method, _declaring(**asked)))["error"]["code"] == -32601
        updated = await wire.request("tasks/update", _declaring(**asked, inputResponses={}))
        assert updated["result"]["resultType"] == "complete"
        async with asyncio.timeout(60):
            while (told := (await wire.request("tasks/get", _declaring(**asked)))["result"])["status"] == "working":
                assert told["resultType"] == "complete" and "result" not in told
                await asyncio.sleep(0.02)
        # Postgres ends the statement; that is a result of the tool, and no error of the protocol
        assert told["status"] == "completed" and CallToolResult.model_validate(told["result"]).is_error
        assert told["result"]["structuredContent"]["error"] == "QUERY_TOO_SLOW"
        soon = (await wire.request("tools/call", _declaring(**REPORT)))["result"]
        assert soon["resultType"] == "complete" and soon["structuredContent"]["report"]["rows"]
        missing = (await wire.request("tasks/get", _declaring(taskId="nothing")))["error"]
        assert missing["code"] == -32602


async def test_who_does_not_take_tasks_waits_for_the_result(home, held):
    async with serving(home.root, user="ada@demo.example", shake=False) as wire:
        waiting = await wire.ask("tools/call", _silent(**REPORT))
        await until(lambda: _asked(home, WAITING) == 1)
        held.rollback()
        assert (await wire.answer(waiting))["result"]["structuredContent"]["report"]["rows"]


def _asked(home, sql):
    with psycopg.connect(home.conninfo("postgres")) as conn:
        return conn.execute(sql).fetchone()[0]


@pytest.mark.parametrize("era", ["2025-11-25", "2026-07-28"])
async def test_a_task_that_is_given_up_ends_on_the_server_and_in_the_audit(home, slow, owner_asks, era):
    is_core = era == "2025-11-25"
    last = owner_asks("select max(id) from crm.audit_log")
    async with serving(home.root, user="ada@demo.example", shake=is_core) as wire:

        def params(**given):
            return given if is_core else _declaring(**given)

        told = (await wire.request("tools/call", params(**slow, **({"task": {}} if is_core else {}))))["result"]
        asked = {"taskId": (told["task"] if is_core else told)["taskId"]}
        await until(lambda: _asked(home, RUNS) == 1)
        ended = (await wire.request("tasks/cancel", params(**asked)))["result"]
        assert ended["status"] == "cancelled" if is_core else "status" not in ended
        assert _asked(home, RUNS) == 0
        assert (await wire.request("tasks/get", params(**asked)))["result"]["status"] == "cancelled"
        count = "select count(*) from crm.audit_log where id > %s and tool = 'run_report' and outcome = 'CANCELLED'"
        assert owner_asks(count, last) == 1
        if is_core:
            assert (await wire.request("tasks/result", asked))["error"]["code"] == -32800


class OfTask(RequestParams):
    model_config = ConfigDict(populate_by_name=True)
    taskId: str


class Told(Result):
    model_config = ConfigDict(extra="allow")


async def _get(client, identity):
    asked = Request[OfTask, str](method="tasks/get", params=OfTask(taskId=identity))
    return await client.session.send_request(asked, Told)


async def test_a_task_of_another_principal_is_missing_and_so_is_ones_own_after_a_change_of_rights(
    connect, home, person, owner_asks
):
    shared = Tasks()
    ada, sam = await person("ada@demo.example"), await person("sam@demo.example")

    async def doing(progress):
        return {"content": [], "isError": False}

    task = shared.start(ada, None, doing)
    await task.over()
    said: list[tuple[int, str]] = []
    async with connect("sam@demo.example", mode="legacy") as other, connect("ada@demo.example", mode="legacy") as own:
        other.app.tasks = own.app.tasks = shared
        for identity in (task.id, "never"):
            with pytest.raises(MCPError) as no:
                await _get(other, identity)
            said.append((no.value.error.code, no.value.error.message))
        assert said[0] == said[1] and shared.of(sam) == []
        assert (await _get(own, task.id)).model_extra["status"] == "completed"
        changed = "update crm.memberships m set version = version + 1 from crm.users u where u.id = m.user_id and u.email = 'ada@demo.example'"
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            conn.execute(changed)
        with pytest.raises(MCPError):
            await _get(own, task.id)


async def test_tasks_are_bounded_in_number_and_in_time(person):
    ada, mia, tasks, goes_on = (
        await person("ada@demo.example"),
        await person("mia@demo.example"),
        Tasks(),
        asyncio.Event(),
    )

    async def waits(progress):
        await goes_on.wait()
        return {}

    begun = [tasks.start(ada, timedelta(days=9), waits) for _ in range(MOST_OF_ONE)]
    assert all(begun) and {task.ttl for task in begun} == {LONGEST}
    assert tasks.start(ada, None, waits) is None and tasks.start(mia, None, waits) is not None
    goes_on.set()
    await begun[0].over()
    await asyncio.gather(*(task.over() for task in begun))
    assert tasks.start(ada, None, waits) is not None and len(tasks.of(ada)) == MOST_OF_ONE
    tasks._expire(begun[-1].id)
    assert begun[-1] not in tasks.of(ada)
    await tasks.close()
    assert tasks.of(ada) == tasks.of(mia) == []


async def test_a_crash_says_nothing_of_itself(person):
    tasks = Tasks()

    async def crashes(progress):
        raise RuntimeError("DETAIL: Key (email)")

    task = tasks.start(await person("ada@demo.example"), None, crashes)
    await task.over()
    assert task.status == "failed" and "DETAIL" not in str(tasking._error_of(task).error)
