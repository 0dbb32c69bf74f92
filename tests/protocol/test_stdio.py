"""A real server process over stdio, in both protocol eras, against whatever a client may send."""

import asyncio
import json
import os
import signal
import sys

import pytest
from mcp import Client, StdioServerParameters
from wire import environment, serving

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and pipes of POSIX")


async def until(condition, seconds=60):
    """Poll a condition of the database."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
async def living(home):
    """A server for whatever a server outlives."""
    async with serving(home.root) as wire:
        yield wire


@pytest.fixture
def wire(living):
    living.lines.clear()
    yield living
    assert all(line.get("jsonrpc") == "2.0" for line in living.lines)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_both_eras_list_and_call(home, mode):
    words = ["-m", "crm_mcp", "serve", "--user", "sam@demo.example"]
    server = StdioServerParameters(command=sys.executable, args=words, env=environment(home.root))
    async with Client(server, mode=mode) as client:
        tools = (await client.list_tools()).tools
        assert {"whoami", "get_customer"} <= {tool.name for tool in tools}
        me = (await client.call_tool("whoami", {})).structured_content["me"]
        assert (me["email"], me["role"]) == ("sam@demo.example", "sales")


BAD = [
    b"{",
    b"not json at all",
    b"",
    b"   \t ",
    b'{"id": 5}',
    b'{"jsonrpc": "1.0", "id": 5, "method": "ping"}',
    b"[]",
    b"17",
    b"null",
    b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":[]}',
    b'{"jsonrpc":"2.0","id":{},"method":"ping"}',
    b'{"jsonrpc":"2.0","id":5,"method":"\xff\xfe"}',
    b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"whoami","arguments":{"a":"\\ud800"}}}',
    b'{"jsonrpc":"2.0","id":5,"method":"no/such/method"}',
    b'{"jsonrpc":"2.0","method":"notifications/no_such"}',
    b'{"jsonrpc":"2.0","id":5,"result":{}}',
    b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"no\\u0000tool","arguments":{}}}',
    b'{"jsonrpc":"2.0","id":5,"method":"tools/call"}',
    b'{"jsonrpc":"2.0","id":5,"method":"ping","params":{"x":' + b"9" * 5000 + b"}}",
]
"""Lines that are no JSON, no JSON-RPC, or ask for what there is not."""


async def test_bad_lines_are_answered_or_passed_over_and_every_next_request_works(wire):
    for line in BAD:
        await wire.send(line + b"\n")
        assert (await wire.call("whoami", {}))["me"]["email"] == "sam@demo.example", line
        if line.startswith(b'{"jsonrpc":"2.0","id":5,"method"'):
            # An id is repeated where the line is JSON.
            number = None if b"\xff" in line or b"999" in line else 5
            told = await wire.heard(lambda said, number=number: "error" in said and said["id"] == number)
            assert "Traceback" not in json.dumps(told) and "psycopg" not in json.dumps(told)
        wire.lines.clear()


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"a":' * 50_000], ids=["arrays", "objects"])
async def test_a_line_nested_without_end_does_not_end_the_server(wire, line):
    await wire.send(line + b"\n")
    assert (await wire.call("whoami", {}))["me"]["email"] == "sam@demo.example"


async def test_a_line_that_is_too_long_is_answered_and_what_follows_it_is_read_in_order(wire):
    follow = b"".join(
        json.dumps(
            {"jsonrpc": "2.0", "id": 1000 + n, "method": "ping", "params": {"_meta": {"pad": "p" * 2000}}}
        ).encode()
        + b"\n"
        for n in range(200)
    )
    await wire.send(b'{"a":"' + b"x" * (17 << 20) + b'"}\n' + follow)
    for n in range(200):
        assert "result" in await wire.answer(1000 + n)
    refused = [line for line in wire.lines if "error" in line]
    assert [line["id"] for line in refused] == [None]
    assert (await wire.call("whoami", {}))["me"]["role"] == "sales"


async def test_a_server_that_announces_changed_lists_says_so_at_first(home):
    async with serving(home.root, shake=False) as wire:
        assert (await wire.shake())["capabilities"]["tools"]["listChanged"] is True


async def test_a_cancelled_call_is_recorded_and_the_server_goes_on(wire, order, owner_asks):
    held = (await wire.call("create_order_draft", order))["draft"]["id"]
    last = owner_asks("select max(id) from crm.audit_log")
    waiting = await wire.ask("tools/call", {"name": "get_draft", "arguments": {"draft": held, "wait_seconds": 30}})
    await until(lambda: owner_asks("select count(*) from crm.audit_log where id > %s and tool = 'get_draft'", last))
    note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": waiting}}
    await wire.send(json.dumps(note).encode() + b"\n")
    await until(
        lambda: owner_asks("select count(*) from crm.audit_log where id > %s and outcome = 'CANCELLED'", last)
    )
    assert (await wire.call("whoami", {}))["me"]["role"] == "sales"
    assert (await wire.call("discard_draft", {"draft": held, "reason": "test over"}))["draft"]["state"] == "discarded"


async def test_calls_that_wait_keep_no_other_waiting_and_end_with_their_own_decision(wire, order, executor, person):
    mia = await person("mia@demo.example")
    drafts = [
        (await wire.call("create_order_draft", {**order, "idempotency_key": f"wait {n}"}))["draft"]["id"]
        for n in range(2)
    ]
    calls = [
        await wire.ask(
            "tools/call",
            {
                "name": "get_draft",
                "arguments": {"draft": draft, "wait_seconds": 30},
                "_meta": {"progressToken": draft},
            },
        )
        for draft in drafts
    ]
    for draft in drafts:
        await wire.heard(lambda line, draft=draft: line.get("params", {}).get("progressToken") == draft)
    whoami = await wire.ask("tools/call", {"name": "whoami", "arguments": {}})
    await wire.answer(whoami)
    for draft, call in reversed(list(zip(drafts, calls, strict=True))):
        await executor.reject(mia, int(draft[6:]), "No.")
        told = (await wire.answer(call))["result"]["structuredContent"]
        assert told["draft"]["state"] == "rejected"
    answered = [line["id"] for line in wire.lines if line.get("id") in (*calls, whoami)]
    assert answered == [whoami, calls[1], calls[0]]


async def test_a_client_that_leaves_in_the_middle_of_a_call_ends_the_server_with_a_whole_audit(
    home, order, owner_asks
):
    async with serving(home.root) as wire:
        held = (await wire.call("create_order_draft", order))["draft"]["id"]
        last = owner_asks("select max(id) from crm.audit_log")
        await wire.call("whoami", {})
        await wire.ask("tools/call", {"name": "get_draft", "arguments": {"draft": held, "wait_seconds": 30}})
        await until(
            lambda: owner_asks("select count(*) from crm.audit_log where id > %s and tool = 'get_draft'", last)
        )
        async with asyncio.timeout(20):  # the call itself would wait for longer
            assert await wire.end() == 0
    open_calls = "select count(*) from (select call_id from crm.audit_log where id > %s group by call_id having count(*) <> 2) x"
    assert owner_asks(open_calls, last) == 0


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
async def test_a_client_that_leaves_by_a_signal_leaves_a_whole_audit(home, owner_asks, name):
    last = owner_asks("select max(id) from crm.audit_log")
    async with serving(home.root) as wire:
        for _ in range(3):
            await wire.call("whoami", {})
        wire.process.send_signal(name)
        wire.process.send_signal(name)
        async with asyncio.timeout(60):
            assert await wire.process.wait() == 0
    phases = "select jsonb_agg(distinct p) from (select array_agg(phase order by id) p from crm.audit_log where id > %s and tool = 'whoami' group by call_id) x"
    assert owner_asks(phases, last) == [["begun", "ended"]]


async def test_a_server_killed_in_the_middle_of_writes_leaves_nothing_half_written(home, order, owner_asks):
    before = owner_asks("select max(id) from crm.audit_log")
    async with serving(home.root) as wire:
        for number in range(20):
            asked = {**order, "comment": f"killed {os.getpid()} {number}"}
            await wire.ask("tools/call", {"name": "create_order_draft", "arguments": asked})
        await wire.heard(lambda line: "structuredContent" in line.get("result", {}))
        wire.process.send_signal(signal.SIGKILL)
        await wire.process.wait()
    await until(
        lambda: (
            not owner_asks(
                "select count(*) from pg_stat_activity where usename = 'crm_agent' and state = 'idle in transaction'"
            )
        )
    )
    drafts = owner_asks("select count(*) from crm.drafts where args like %s", f"%killed {os.getpid()} %")
    ended = owner_asks(
        "select count(*) from crm.audit_log where id > %s and phase = 'ended' and tool = 'create_order_draft' and draft_id is not null",
        before,
    )
    assert drafts == ended > 0
    assert owner_asks("select count(*) from crm.orders where comment like %s", f"%killed {os.getpid()}%") == 0


async def test_two_clients_at_once_are_each_served_as_themselves(home):
    async with serving(home.root) as sam, serving(home.root, user="sue@demo.example") as sue:
        told = await asyncio.gather(*(wire.call("whoami", {}) for _ in range(20) for wire in (sam, sue)))
        assert [me["me"]["email"] for me in told] == ["sam@demo.example", "sue@demo.example"] * 20


async def test_stderr_is_json_without_arguments_or_secrets(home, order):
    async with serving(home.root) as wire:
        await wire.call("search_customers", {"query": "SECRETQUERY"})
        await wire.call("search_customers", {"query": "SECRETQUERY", "nonsense": 1})
        await wire.call("add_note", {"about": order["customer"], "body": "SECRETBODY", "reason": "SECRETREASON"})
        await wire.call("run_report", {"report": "SECRETREPORT"})
        assert await wire.end() == 0
        said = "".join(wire.said)
    assert "SECRET" not in said
    assert home.secret("crm_agent") not in said and "SCRAM" not in said
    for line in said.splitlines():
        json.loads(line)


async def test_a_changed_role_counts_from_the_next_call_and_is_announced(home, person_of, owner_asks):
    member = person_of("sales")
    async with serving(home.root, user=member.email) as wire:
        assert "create_order_draft" in {
            tool["name"] for tool in (await wire.request("tools/list"))["result"]["tools"]
        }
        member.becomes("support")
        assert (await wire.call("whoami", {}))["me"]["role"] == "support"
        await wire.heard(lambda line: line.get("method") == "notifications/tools/list_changed")
        assert "create_order_draft" not in {t["name"] for t in (await wire.request("tools/list"))["result"]["tools"]}
        assert (await wire.call("create_order_draft", {}))["code"] == -32602
        member.becomes("admin")
        assert (await wire.call("add_note", {"about": "cust_999999999999", "body": "x", "reason": "a test"}))[
            "error"
        ] == "CUSTOMER_NOT_FOUND"
        assert (await wire.call("whoami", {}))["me"]["role"] == "admin"


async def test_an_ended_membership_ends_the_service_but_not_the_server(home, person_of):
    member = person_of("sales")
    async with serving(home.root, user=member.email) as wire:
        assert (await wire.call("whoami", {}))["me"]["email"] == member.email
        member.leaves()
        for _ in range(2):
            assert (await wire.call("whoami", {}))["error"] == "SIGN_IN_FAILED"
        assert "SIGN_IN_FAILED" in (await wire.request("tools/list"))["error"]["message"]
        member.returns()
        assert (await wire.call("whoami", {}))["me"]["email"] == member.email


async def test_a_stranger_is_told_so_on_the_first_request_and_the_server_lives(home):
    async with serving(home.root, user="nobody@demo.example") as wire:
        for _ in range(2):
            told = await wire.call("whoami", {})
            assert told["error"] == "SIGN_IN_FAILED"
            assert "crm-mcp users" in told["context"]["hint"]
        assert "SIGN_IN_FAILED" in (await wire.request("tools/list"))["error"]["message"]
        assert "result" in await wire.request("ping")


async def test_a_client_may_not_break_the_audit_by_its_name(home):
    async with serving(home.root, shake=False) as wire:
        await wire.shake("evil\0name")
        assert (await wire.call("whoami", {}))["me"]["role"] == "sales"


@pytest.mark.parametrize("uri", ["crm://schema/a\0b/c", "crm://drafts/draft_1\0", "crm://nothing/\0"])
async def test_a_resource_with_a_nul_in_its_name_is_not_found(wire, uri):
    told = (await wire.request("resources/read", {"uri": uri}))["error"]
    assert told["code"] == -32602
    assert "NOT_FOUND" in told["message"] or "INVALID_ID" in told["message"]
    reference = {"type": "ref/resource", "uri": "crm://drafts/{id}"}
    offered = await wire.request("completion/complete", {"ref": reference, "argument": {"name": "id", "value": "\0"}})
    assert offered["result"]["completion"]["values"] == []


def test_the_list_of_tools_needs_no_library_of_writes_and_what_follows_it_warms_them(home):
    import subprocess

    driver = """
import json, sys
from crm_mcp import serving
warm = serving.warm

async def watched(app):
    await app.listed.wait()
    print(json.dumps(sorted({*sys.modules})), file=sys.stderr, flush=True)
    await warm(app)
    print(json.dumps(sorted({*sys.modules})), file=sys.stderr, flush=True)

serving.warm = watched
serving.main(["--user", "sam@demo.example"])
"""
    about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    lines = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "whoami", "arguments": {}}},
        {"jsonrpc": "2.0", "id": 3, "method": "tools/list"},
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", driver], stdin=-1, stdout=-1, stderr=-1, env=environment(home.root), text=True
    )
    assert process.stdin and process.stdout
    for line in lines:
        process.stdin.write(json.dumps(line) + "\n")
        process.stdin.flush()
        if "id" in line:
            assert "result" in json.loads(process.stdout.readline())
    assert process.stderr
    loaded, warmed = (set(json.loads(process.stderr.readline())) for _ in range(2))
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert "psycopg" in loaded
    assert {
        "crm_mcp.write",
        "crm_mcp.tools.orders.create_order_draft",
        "sqlalchemy.dialects.postgresql.psycopg",
    } <= warmed
    # The SDK itself brings click, starlette and uvicorn.
    assert not {"sqlalchemy", "alembic", "jinja2", "anthropic", "crm_mcp.cli", "crm_mcp.write"} & loaded
    assert not {"pydantic_ai", "openai", "yaml", "crm_mcp.agents"} & (loaded | warmed)
