"""`crm-mcp connect` as a client of stdio starts it: everything passes, and what is wrong is said in a sentence."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import uuid
from contextlib import asynccontextmanager

import mcp.types as t
import pytest
from mcp import Client, MCPError, StdioServerParameters
from remote_server import CONNECT, PATIENCE, Remote, environment, make_key, member, remote, revoke, until

from crm_mcp.remote.address import UrlInvalid, checked

BOTH = pytest.mark.parametrize("mode", ["auto", "legacy"])


@asynccontextmanager
async def bridged(home, url, key, mode, errlog=None, **options):
    server = StdioServerParameters(
        command=sys.executable, args=[*CONNECT, url], env=environment(home, CRM_API_KEY=key)
    )
    async with Client(server, mode=mode, **options) as client:
        yield client


async def called(client, tool, **arguments):
    return (await client.call_tool(tool, arguments)).structured_content


@BOTH
async def test_a_client_lists_calls_and_drafts_through_the_bridge(home, server, key_of, mode, order):
    said = []

    async def progress(done, total, message):
        said.append(message)

    async with bridged(home, server.origin, key_of(), mode) as client:
        assert "get_customer" in {tool.name for tool in (await client.list_tools()).tools}
        assert (await called(client, "whoami"))["me"]["email"] == "sam@demo.example"
        uris = {str(one.uri) for one in (await client.list_resources()).resources}
        assert uris and (await client.read_resource(uris.pop())).contents
        held = await called(client, "create_order_draft", **order, comment=uuid.uuid4().hex)
        assert held["type"] == "approval_required"
        draft = held["draft"]["id"]
        await client.call_tool("get_draft", {"draft": draft, "wait_seconds": 1}, progress_callback=progress)
        assert "waiting for a person to decide" in said
        with pytest.raises(MCPError, match="Unknown tool: no_such"):
            await client.call_tool("no_such", {})
        assert (await called(client, "discard_draft", draft=draft, reason="test over"))["draft"][
            "state"
        ] == "discarded"


@BOTH
async def test_a_cancelled_call_is_cancelled_at_the_server(home, server, key_of, mode, order, owner_asks):
    async with bridged(home, server.url, key_of(), mode) as client:
        draft = (await called(client, "create_order_draft", **order, comment=uuid.uuid4().hex))["draft"]["id"]
        last = owner_asks("select max(id) from crm.audit_log")
        waits = asyncio.create_task(client.call_tool("get_draft", {"draft": draft, "wait_seconds": 30}))
        began = "select count(*) from crm.audit_log where id > %s and tool = 'get_draft'"
        await until(lambda: owner_asks(began, last))
        waits.cancel()
        ended = "select count(*) from crm.audit_log where id > %s and tool = 'get_draft' and outcome = 'CANCELLED'"
        await until(lambda: owner_asks(ended, last))
        await called(client, "discard_draft", draft=draft, reason="test over")


@BOTH
async def test_a_server_that_was_killed_and_started_again_is_found_again(home, mode):
    first = Remote(home)
    address = f"127.0.0.1:{first.port}"
    heard = []

    async def handler(message):
        heard.append(getattr(message, "method", ""))

    email, change = member(home, "sales")
    key = make_key(home, email)
    async with bridged(home, first.url, key, mode, message_handler=handler) as client:
        assert (await called(client, "whoami"))["me"]["email"] == email
        first.stop(signal.SIGKILL)
        later = asyncio.create_task(called(client, "whoami"))
        with remote(home, address=address):
            assert (await later)["me"]["email"] == email
            assert (await client.list_tools()).tools
            if mode == "legacy":
                change("role", "support")
                await called(client, "whoami")
                await until(lambda: "notifications/tools/list_changed" in heard)


async def test_a_question_of_the_server_reaches_the_client_and_its_answer_the_server(home):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    asking = subprocess.Popen([sys.executable, __file__.replace("test_bridge", "asking_server"), str(port)])

    def listens():
        with socket.socket() as wire:
            return wire.connect_ex(("127.0.0.1", port)) == 0

    async def answer(ctx, params):
        assert params.message == "Which?"
        return t.ElicitResult(action="accept", content={"which": "this"})

    try:
        await until(listens)
        url = f"http://127.0.0.1:{port}/mcp"
        async with bridged(home, url, "any", "legacy", elicitation_callback=answer) as client:
            told = await client.call_tool("ask", {})
            assert told.content[0].text == "accept {'which': 'this'}"
    finally:
        asking.kill()
        asking.wait()


HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}},
}


def run(home, url, key, *lines, **env):
    """Run a bridge over lines of input; return its answers and what it said."""
    env = {"CRM_API_KEY": key, **env} if key is not None else env
    done = subprocess.run(
        [sys.executable, *CONNECT, url],
        input="".join(json.dumps(line) + "\n" for line in lines or [HELLO]),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(home, **env),
        check=False,
    )
    assert key is None or key not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_refused_key_an_unreachable_host_and_a_wrong_address_are_said(home, server, key_of):
    revoked = key_of()
    revoke(home, revoked)
    told, said = run(home, server.url, revoked)
    assert told[0]["id"] == 1 and "valid API key" in told[0]["error"]["message"]
    assert "the key in CRM_API_KEY was refused" in said
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        told, said = run(home, f"http://127.0.0.1:{closed.getsockname()[1]}/mcp", revoked)
    assert "could not be reached" in told[0]["error"]["message"] and "could not be reached" in said
    told, said = run(home, f"{server.origin}/wrong", key_of())
    assert "MCP is spoken at /mcp" in told[0]["error"]["message"] and "no MCP server answers there" in said
    told, said = run(home, server.url.replace("http", "https"), key_of())
    assert "does not speak TLS" in told[0]["error"]["message"]


def test_answers_are_waited_for_when_the_client_closes_its_end(home, server, key_of):
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    calls = [
        {"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": {"name": "whoami", "arguments": {}}}
        for n in range(2, 6)
    ]
    first, _ = run(home, server.url, key_of(), HELLO)
    assert first[0]["result"]["serverInfo"]["name"] == "crm-mcp"
    told, _ = run(home, server.url, key_of(), HELLO, ready, *calls)
    assert sorted(one["id"] for one in told) == [1, 2, 3, 4, 5]


def test_without_a_key_nothing_is_started(home, server):
    assert "set CRM_API_KEY" in run(home, server.url, None)[1]
    assert "does not hold a key" in run(home, server.url, "crm_ä")[1]


def test_a_url_that_would_give_the_key_away_is_refused_without_being_repeated():
    for bad in (
        "http://crm.example.com/mcp",
        "http://10.0.0.5:8765/mcp",
        "http://localhost.evil.example/mcp",
        "https://user:hunter2@crm.example.com/mcp",
        "https://crm.example.com/mcp?key=hunter2",
        "ftp://crm.example.com",
        "crm.example.com/mcp",
        "https://",
        "https://crm.example.com:99999/mcp",
        "http://[::1",
    ):
        with pytest.raises(UrlInvalid) as told:
            checked(bad)
        assert "hunter2" not in str(told.value)
    assert checked("http://localhost:8765") == "http://localhost:8765/mcp"
    assert checked("https://crm.example.com/tools/crm") == "https://crm.example.com/tools/crm"
    assert checked("http://[::1]:8765/") == "http://[::1]:8765/mcp"
