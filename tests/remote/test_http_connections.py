"""Connections that are slow or many, on a server within this process whose limits are short."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import uvicorn
from uvicorn.server import ServerState

from crm_mcp.errors import DatabaseUnavailable, NobodyThere
from crm_mcp.remote import limits
from crm_mcp.remote.front import Front
from crm_mcp.remote.guard import Guard
from crm_mcp.remote.listening import Patient

KEY = "crm_" + "k" * 43


class Db:
    """A database that knows everybody, nobody, or is away."""

    def __init__(self):
        self.problem = None

    async def sign_in(self, proof):
        if self.problem is not None:
            raise self.problem
        return SimpleNamespace(org=1)


@asynccontextmanager
async def listening(db):
    """Yield the port of a front on a real socket, and the front."""
    loop = asyncio.get_running_loop()
    front = Front(db, lambda client: None, Guard("127.0.0.1", 0, ("crm",), schemes=("http",)))
    config = uvicorn.Config(front, lifespan="off", log_config=None, ws="none")
    config.load()
    state = ServerState()
    server = await loop.create_server(lambda: Patient(config, state, {}), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], front
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await front.close()
        await asyncio.gather(*state.tasks, return_exceptions=True)


async def exchange(port, *parts):
    """Send what there is; return everything until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    try:
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def post(*lines, body=b""):
    head = "\r\n".join(["POST /mcp HTTP/1.1", "Host: crm", "Content-Type: application/json", *lines, "", ""])
    return head.encode() + body


@pytest.mark.parametrize("sent", [b"", b"POST /mcp HT", b"POST /mcp HTTP/1.1\r\nHost: crm\r\n"])
async def test_headers_that_do_not_arrive_in_time_end_the_connection(monkeypatch, sent):
    monkeypatch.setattr(limits, "HEADER_SECONDS", 0.05)
    async with listening(Db()) as (port, _):
        assert await exchange(port, sent) == b""


async def test_a_second_request_on_a_connection_has_to_arrive_in_time_too(monkeypatch):
    monkeypatch.setattr(limits, "HEADER_SECONDS", 0.05)
    async with listening(Db()) as (port, _):
        got = await exchange(port, b"GET /healthz HTTP/1.1\r\nHost: crm\r\n\r\n", b"GET /healthz HT")
        assert got.count(b"HTTP/1.1 200") == 1


async def test_a_body_that_does_not_arrive_in_time_is_answered_so(monkeypatch):
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.05)
    async with listening(Db()) as (port, front):
        got = await exchange(port, post(f"Authorization: Bearer {KEY}", "Content-Length: 10", body=b"abc"))
        assert got.split(b" ")[1] == b"408"
        assert front.active == 0


async def test_a_body_that_is_too_large_is_never_kept(monkeypatch):
    monkeypatch.setattr(limits, "BODY", 1000)
    async with listening(Db()) as (port, _):
        got = await exchange(
            port, post(f"Authorization: Bearer {KEY}", "Content-Length: 5000000"), *[b"x" * 50_000] * 100
        )
        assert got.split(b" ")[1] == b"413"


async def test_a_key_opens_so_many_sessions_and_no_more(monkeypatch):
    monkeypatch.setattr(limits, "SESSIONS", 3)
    hello = (
        b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
        b'"clientInfo":{"name":"a","version":"1"}}}'
    )
    asked = post(
        f"Authorization: Bearer {KEY}",
        "Accept: application/json, text/event-stream",
        f"Content-Length: {len(hello)}",
        "Connection: close",
        body=hello,
    )
    async with listening(Db()) as (port, _):
        statuses = [(await exchange(port, asked)).split(b" ")[1] for _ in range(5)]
    assert statuses == [b"200"] * 3 + [b"503"] * 2


async def test_a_key_that_no_longer_signs_in_is_let_go_and_one_that_cannot_be_asked_is_not():
    db = Db()
    async with listening(db) as (port, _):
        asked = post(f"Authorization: Bearer {KEY}", "Content-Length: 0", "Connection: close")
        assert (await exchange(port, asked)).split(b" ")[1] in (b"400", b"406")
        db.problem = DatabaseUnavailable()
        assert (await exchange(port, asked)).split(b" ")[1] in (b"400", b"406")
        strange = asked.replace(KEY.encode(), b"crm_" + b"s" * 43)
        got = await exchange(port, strange)
        assert (got.split(b" ")[1] == b"503" and b"Retry-After" in got) or b"retry-after" in got
        db.problem = NobodyThere("no")
        assert (await exchange(port, asked)).split(b" ")[1] == b"401"


async def test_keys_that_are_long_unused_are_let_go(monkeypatch):
    async with listening(Db()) as (port, front):
        for n in range(3):
            key = f"crm_{n:043d}"
            await exchange(port, post(f"Authorization: Bearer {key}", "Content-Length: 0", "Connection: close"))
        assert len(front.keys) == 3
        monkeypatch.setattr(limits, "KEYS", 2)
        loop = asyncio.get_running_loop()
        await front.look_once(loop.time())
        assert len(front.keys) == 2
        await front.look_once(loop.time() + limits.KEY_IDLE + 1)
        assert not front.keys
