"""What a stranger, a hostile page and a greedy client get from a real server over HTTP: one clear status each."""

import asyncio
import json
import socket

import pytest
from remote_server import ACCEPT, asked, headed, revoke, whoami

from crm_mcp.remote import limits


def raw(server, data, *, chunks=()):
    """Send bytes; return everything that comes back until the server closes or is quiet."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as wire:
        wire.sendall(data)
        for chunk in chunks:
            wire.sendall(chunk)
        wire.settimeout(20)
        got = b""
        while True:
            part = wire.recv(65536)
            if not part:
                return got
            got += part


def post(server, *lines, host=None):
    shown = host if host is not None else f"127.0.0.1:{server.port}"
    return "\r\n".join([f"POST /mcp HTTP/1.1\r\nHost: {shown}\r\nConnection: close", *lines, "", ""]).encode()


async def test_no_key_a_wrong_one_an_expired_one_and_a_revoked_one_are_answered_alike(home, server, key_of, http):
    revoked = key_of()
    revoke(home, revoked)
    wrong = [key_of(expired=True), revoked, "crm_" + "x" * 43]
    told = [await whoami(http, server, key) for key in wrong]
    bare = await whoami(http, server, None)
    basic = await whoami(http, server, None, authorization="Basic YTpi")
    assert {one.status_code for one in (*told, bare, basic)} == {401}
    assert len({one.text for one in (*told, bare, basic)}) == 1
    assert len({one.headers["www-authenticate"] for one in told}) == 1
    assert bare.headers["www-authenticate"] == 'Bearer realm="crm-mcp"'
    assert not any(key in one.text for one in told for key in wrong)


@pytest.mark.parametrize(
    "given",
    [
        "evil.example",
        "evil.example:80",
        "localhost.evil.example:{port}",
        "127.0.0.1:1",
        "127.0.0.1",
        "127.0.0.1:{port}@evil.example",
        "2130706433:{port}",
        "",
    ],
)
def test_an_unknown_host_is_misdirected_even_for_health(server, given):
    host = given.format(port=server.port)
    for path in ("/mcp", "/healthz", "/readyz"):
        got = raw(server, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert got.split(b" ")[1] in (b"421", b"400"), got
    assert raw(server, b"GET /healthz HTTP/1.0\r\n\r\n").split(b" ")[1] == b"421"


async def test_pages_of_other_origins_are_refused_and_clients_without_one_are_not(server, key_of, http):
    key = key_of()
    for origin in ("https://evil.example", "null", "http://localhost:1", "http://localhost.evil.example", "file://"):
        told = await whoami(http, server, key, origin=origin)
        assert (told.status_code, "access-control-allow-origin" in told.headers) == (403, False), origin
    preflight = await http.options(
        server.url, headers={"origin": "https://evil.example", "access-control-request-method": "POST"}
    )
    assert preflight.status_code == 403
    assert (await whoami(http, server, key, origin=server.origin)).status_code == 200
    assert (await whoami(http, server, key)).status_code == 200


async def test_a_name_behind_a_proxy_is_answered_once_it_is_allowed(strict, key_of, http):
    for host, status in {"crm.example.com": 200, "CRM.example.com:443": 200, "crm.example.com:9": 421}.items():
        assert (await whoami(http, strict, key_of(), host=host)).status_code == status
    told = await whoami(http, strict, key_of(), host="crm.example.com", origin="https://crm.example.com")
    assert told.status_code == 200


async def test_ten_megabytes_are_refused_and_the_next_request_is_answered(server, key_of, http):
    key = key_of()
    big = json.dumps(asked("tools/call", {"name": "whoami", "arguments": {"x": "y" * (10 << 20)}})).encode()
    told = await http.post(server.url, content=big, headers=headed(key, "tools/call", "whoami"))
    assert (told.status_code, "1 MB" in told.text) == (413, True)

    async def in_parts():
        for at in range(0, len(big), 1 << 16):
            yield big[at : at + (1 << 16)]

    told = await http.post(server.url, content=in_parts(), headers=headed(key, "tools/call", "whoami"))
    assert told.status_code == 413
    large = big[: 512 << 10]
    assert (
        await http.post(server.url, content=large, headers=headed(None, "tools/call", "whoami"))
    ).status_code == 401
    assert (await whoami(http, server, key)).status_code == 200


def test_a_client_that_waits_for_a_word_before_it_sends_too_much_hears_no_at_once(server, key_of):
    got = raw(
        server,
        post(
            server,
            f"Authorization: Bearer {key_of()}",
            "Content-Type: application/json",
            "Content-Length: 10485760",
            "Expect: 100-continue",
        ),
    )
    assert got.split(b" ")[1] == b"413"


def test_what_is_no_http_is_answered_and_ends_the_connection(server):
    for data in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9,
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ):
        assert raw(server, data).split(b" ")[1] == b"400"
    smuggled = (
        post(server, "Content-Length: 4", "Transfer-Encoding: chunked") + b"0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n"
    )
    assert raw(server, smuggled).count(b"HTTP/1.1") == 1


def test_headers_without_end_are_refused(server):
    endless = post(server, *(f"X-{n}: {'y' * 1000}" for n in range(100))).removesuffix(b"\r\n\r\n")
    assert raw(server, endless).split(b" ")[1] == b"400"


BAD = [
    (b"{", 400),
    (b"[]", 400),
    (b"17", 400),
    (b'{"jsonrpc":"2.0","id":5,"result":{}}', 400),
    (b'[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]', 400),
    (b"[" * 100_000, 400),
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"x":' + b"9" * 5000 + b"}}", 400),
    (b"\xff\xfe", 400),
]


@pytest.mark.parametrize(("body", "status"), BAD, ids=range(len(BAD)))
async def test_a_bad_body_is_answered_without_what_broke(server, key_of, http, body, status):
    key = key_of()
    for headers in (headed(key, "tools/list"), {**ACCEPT, "authorization": f"Bearer {key}"}):
        told = await http.post(server.url, content=body, headers=headers)
        assert 400 <= told.status_code < 500, told.text
        assert "Traceback" not in told.text and 'File "' not in told.text and key not in told.text
    assert (await whoami(http, server, key)).status_code == 200


async def test_only_mcp_and_health_are_there(server, key_of, http):
    for path in ("/", "/mcp/", "/sse", "/approvals", "/metrics", "/mcp%00"):
        told = await http.post(server.origin + path, json={}, headers={"authorization": f"Bearer {key_of()}"})
        assert told.status_code == 404, path
    assert (await http.put(server.url, headers={"authorization": f"Bearer {key_of()}"})).status_code == 405


async def test_a_key_that_asks_too_often_waits_and_others_do_not(strict, key_of, http):
    greedy, other = key_of(), key_of("fin@demo.example")
    told = [await whoami(http, strict, greedy) for _ in range(7)]
    assert [one.status_code for one in told[:5]] == [200] * 5
    assert told[6].status_code == 429 and 1 <= int(told[6].headers["retry-after"]) <= 60
    assert (await whoami(http, strict, other)).status_code == 200


async def test_a_peer_that_tries_keys_waits_and_a_key_in_use_goes_on(strict, key_of, http):
    peer = {"x-forwarded-for": "8.8.8.8, 192.0.2.7"}
    good = key_of()
    assert (await whoami(http, strict, good, **peer)).status_code == 200
    told = [await whoami(http, strict, f"crm_{n:043d}", **peer) for n in range(30)]
    assert [one.status_code for one in told[:20]] == [401] * 20
    assert told[29].status_code == 429 and int(told[29].headers["retry-after"]) >= 1
    assert (await whoami(http, strict, good, **peer)).status_code == 200
    assert (await whoami(http, strict, key_of(), **peer)).status_code == 429
    assert (await whoami(http, strict, key_of(), **{"x-forwarded-for": "192.0.2.8"})).status_code == 200


async def test_a_key_has_so_many_requests_answered_at_once(server, key_of, http):
    key = key_of()
    unfinished = post(server, f"Authorization: Bearer {key}", "Content-Type: application/json", "Content-Length: 9")
    wires = []
    try:
        assert (await whoami(http, server, key)).status_code == 200
        for at in range(limits.AT_ONCE):  # all within the seconds that a body may take, however slow an answer is
            if at == limits.AT_ONCE - 1:
                assert (await whoami(http, server, key)).status_code == 200
            wires.append(await asyncio.open_connection("127.0.0.1", server.port))
            wires[-1][1].write(unfinished)
        async with asyncio.timeout(limits.BODY_SECONDS):
            while (told := await whoami(http, server, key)).status_code == 200:
                await asyncio.sleep(0)
        assert (told.status_code, told.headers["retry-after"]) == (429, "1")
        assert (await whoami(http, server, key_of())).status_code == 200
        for _, writer in wires:
            writer.write(b"no json!!")
        assert b" 406 " in await wires[0][0].readline()
        async with asyncio.timeout(limits.BODY_SECONDS):
            while (told := await whoami(http, server, key)).status_code == 429:
                await asyncio.sleep(0)
        assert told.status_code == 200
    finally:
        for _, writer in wires:
            writer.close()


async def test_a_forged_session_a_forged_version_and_forged_headers_open_nothing(server, key_of, http):
    key = key_of()
    plain = {**ACCEPT, "authorization": f"Bearer {key}"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    for session in ("0" * 32, "'; drop table", "\u00e9"):
        told = await http.post(server.url, json=body, headers={**plain, "mcp-session-id": session.encode()})
        assert told.status_code in (400, 404)
    told = await http.post(server.url, json=body, headers={**plain, "mcp-protocol-version": "2099-01-01"})
    assert told.status_code == 400
    told = await whoami(http, server, key, **{"x-crm-org": "other", "x-forwarded-user": "ada@demo.example"})
    assert told.json()["result"]["structuredContent"]["me"]["email"] == "sam@demo.example"
    liar = await http.post(
        server.url,
        json=asked("tools/call", {"name": "create_order_draft", "arguments": {}}),
        headers=headed(key, "tools/call", "whoami"),
    )
    assert liar.status_code == 400
