"""How a server over HTTP lives and ends: health, TLS, a stop that cuts nothing short, and sudden deaths under load."""

import asyncio
import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import uuid

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from remote_server import (
    CONNECT,
    asked,
    client_of,
    environment,
    headed,
    make_key,
    remote,
    until,
    whoami,
)

from crm_mcp import revision
from crm_mcp.embedded import join
from crm_mcp.embedded.processes import postmaster
from crm_mcp.remote.front import Front
from crm_mcp.remote.guard import Guard

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
EXPECTED = {"DATABASE_UNAVAILABLE", "UNSETTLED", "COMMITTED"}


async def test_health_needs_no_key_and_says_no_more_than_a_word(server, http):
    for path in ("/healthz", "/readyz"):
        told = await http.get(server.origin + path)
        assert (told.status_code, told.text) == (200, "ok\n")
        assert (await http.head(server.origin + path)).status_code == 200


async def test_a_server_without_its_database_lives_and_is_not_ready(home, http):
    nowhere = "postgresql://crm_agent:secret@127.0.0.1:9/crm"
    with remote(home, CRM_DATABASE_URL=nowhere) as lonely:
        assert (await http.get(lonely.origin + "/healthz")).status_code == 200
        told = await http.get(lonely.origin + "/readyz")
        assert (told.status_code, told.text) == (503, "database\n")
        lonely.stop()
        assert "secret" not in lonely.said


@pytest.mark.parametrize(
    ("at", "oldest", "status", "word"),
    [
        (revision.CURRENT, revision.OLDEST_CLIENT, 200, "ok"),
        ("9999", revision.OLDEST_CLIENT, 200, "ok"),
        ("9999", "9999", 503, "schema"),
        ("0001", "0001", 503, "schema"),
    ],
)
async def test_a_schema_that_does_not_fit_is_not_ready(at, oldest, status, word):
    class Db:
        async def schema(self):
            return at, oldest

    front = Front(Db(), lambda client: None, Guard("127.0.0.1", 80, (), schemes=("http",)))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(front), base_url="http://127.0.0.1") as http:
        told = await http.get("/readyz")
        assert (told.status_code, told.text) == (status, f"{word}\n")
        front.is_stopping = True
        assert (await http.get("/readyz")).text == "stopping\n"


WRONG = {
    ("0.0.0.0:0",): "keys would travel in the clear",
    ("crm.example.com:0",): "keys would travel in the clear",
    ("[::]:0",): "keys would travel in the clear",
    ("127.0.0.1",): "--http wants HOST:PORT",
    ("127.0.0.1:99999",): "--http wants HOST:PORT",
    ("127.0.0.1:0", "--user", "sam@demo.example"): "leave --user and --org away",
    ("127.0.0.1:0", "--tls-cert", "/dev/null"): "go together",
    ("127.0.0.1:0", "--requests-per-minute", "0"): "a number above zero",
}


@pytest.mark.parametrize("words", WRONG, ids=range(len(WRONG)))
def test_what_would_be_unsafe_is_refused_with_the_way_out(words, capsys):
    from crm_mcp.serving import main

    with pytest.raises(SystemExit):
        main(["--http", *words])
    assert WRONG[words] in capsys.readouterr().err


def test_the_limits_are_stated_in_the_help(capsys):
    from crm_mcp.serving import main

    with pytest.raises(SystemExit):
        main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "600 requests a minute and 16 at once per key" in said and "1 MB a request" in said


async def test_over_tls_a_key_goes_only_to_a_server_whose_certificate_holds(home, key_of, tmp_path):
    made = subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=crm",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
        ],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("openssl makes no certificate here")
    cert, key = str(tmp_path / "cert.pem"), key_of()
    with remote(home, "--tls-cert", cert, "--tls-key", str(tmp_path / "key.pem")) as secure:
        assert secure.url.startswith("https://")
        trusting = ssl.create_default_context(cafile=cert)
        async with httpx2.AsyncClient(verify=trusting, trust_env=False) as http:
            assert (await whoami(http, secure, key, origin=secure.origin)).status_code == 200
            assert (await whoami(http, secure, key, origin=secure.origin.replace("https", "http"))).status_code == 403
        env = environment(home, CRM_API_KEY=key, SSL_CERT_FILE=cert)
        bridge = StdioServerParameters(command=sys.executable, args=[*CONNECT, secure.url], env=env)
        async with Client(bridge) as client:
            assert not (await client.call_tool("whoami", {})).is_error
        env.pop("SSL_CERT_FILE")
        hello = '{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{}}\n'
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, *CONNECT, secure.url],
            input=hello,
            capture_output=True,
            text=True,
            env=env,
            check=False,
        )
        assert "could not be verified" in done.stdout and "could not be verified" in done.stderr


async def test_a_stop_lets_calls_in_flight_end_and_leaves_a_whole_audit(home, key_of, order, owner_asks):
    key = key_of()
    with remote(home) as stopped:
        await _stop_during_calls(stopped, key, order, owner_asks)
    assert "Traceback" not in stopped.said and "Exception" not in stopped.said


async def _stop_during_calls(stopped, key, order, owner_asks):
    async with client_of(stopped, key, "legacy") as old, client_of(stopped, key) as new:
        for client in (old, new):
            await client.list_tools()  # which the SDK's client does after a first call otherwise
        held = await new.call_tool("create_order_draft", {**order, "comment": uuid.uuid4().hex})
        draft = held.structured_content["draft"]["id"]
        last = owner_asks("select max(id) from crm.audit_log")
        calls = [
            asyncio.create_task(client.call_tool("get_draft", {"draft": draft, "wait_seconds": 4}))
            for client in (old, new)
        ]
        began = "select count(*) from crm.audit_log where id > %s and tool = 'get_draft' and phase = 'begun'"
        await until(lambda: owner_asks(began, last) == 2)
        stopped.process.send_signal(signal.SIGTERM)
        async with httpx2.AsyncClient(trust_env=False) as http:
            while (await http.get(stopped.origin + "/readyz")).status_code == 200:
                await asyncio.sleep(0.01)
            told = await whoami(http, stopped, key)
            assert told.status_code == 503 and "retry-after" in told.headers
        for call in calls:
            assert (await call).structured_content["draft"]["id"] == draft
        assert await asyncio.to_thread(stopped.ended) == 0
    unended = "select count(*) from (select call_id from crm.audit_log where id > %s group by call_id having count(*) <> 2) x"
    assert owner_asks(unended, last) == 0


CUSTOMER = (
    "select 'cust_' || min(c.id) from crm.customers c join crm.orgs o on o.id = c.org_id and o.slug = 'demo'"
    " where c.archived_at is null"
)


class Writers:
    """Clients that write notes at once, of which every answer is kept."""

    def __init__(self, server, key, customer):
        self.mark, self.told, self.broke = uuid.uuid4().hex, {}, 0
        self._tasks = [asyncio.create_task(self._write(server, key, customer, n)) for n in range(6)]

    async def _write(self, server, key, customer, writer):
        async with httpx2.AsyncClient(timeout=60, trust_env=False) as http:
            for turn in range(10_000):
                body = f"{self.mark} {writer}.{turn}"
                call = {"name": "add_note", "arguments": {"about": customer, "body": body, "reason": "told so"}}
                try:
                    told = await http.post(
                        server.url, json=asked("tools/call", call), headers=headed(key, "tools/call", "add_note")
                    )
                except httpx2.TransportError:
                    self.broke += 1
                    return
                self.told[body] = told.json()["result"]["structuredContent"]

    @property
    def succeeded(self):
        return {body for body, said in self.told.items() if said.get("type") == "result"}

    async def stop(self):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def done(self):
        await asyncio.gather(*self._tasks)


def assert_audit_is_whole(writers, owner_asks, doubtful=()):
    """What was answered is there, what is there was recorded with it, and nothing is there twice."""
    kept = owner_asks("select coalesce(jsonb_agg(body), '[]') from crm.notes where body like %s", f"{writers.mark}%")
    assert len(kept) == len(set(kept))
    assert writers.succeeded <= set(kept)
    begun = owner_asks(
        "select coalesce(jsonb_agg(call_id), '[]') from crm.audit_log where tool = 'add_note' and phase = 'begun'"
        " and payload::text like %s",
        f"%{writers.mark}%",
    )
    ended = owner_asks(
        "select count(*) from crm.audit_log where phase = 'ended' and outcome = 'ok' and call_id in"
        " (select jsonb_array_elements_text(%s)::bigint)",
        json.dumps(begun),
    )
    assert ended == len(kept) <= len(begun)


async def test_a_server_killed_under_load_leaves_every_answered_write_and_none_by_halves(home, key_of, owner_asks):
    with remote(home, "--requests-per-minute", "100000") as killed:
        writers = Writers(killed, key_of(), owner_asks(CUSTOMER))
        await until(lambda: len(writers.succeeded) > 30)
        await asyncio.to_thread(killed.stop, signal.SIGKILL)
        await writers.done()
    assert writers.broke == 6
    await until(
        lambda: (
            owner_asks("select count(*) from pg_stat_activity where usename = 'crm_agent' and state <> 'idle'") == 0
        )
    )
    assert_audit_is_whole(writers, owner_asks)


def crash(home):
    """End Postgres without a checkpoint, as a power cut would."""
    found = postmaster(home.pgdata.resolve(), "")
    assert found is not None
    os.kill(found.pid, signal.SIGQUIT)
    deadline = time.monotonic() + 20
    while postmaster(home.pgdata.resolve(), "") is not None:
        assert time.monotonic() < deadline
        with contextlib.suppress(ChildProcessError):
            os.waitpid(found.pid, os.WNOHANG)
        time.sleep(0.01)


async def test_a_database_that_dies_under_load_costs_errors_and_no_answered_write(home, server, owner_asks, let_go):
    key = make_key(home, "sam@demo.example")
    writers = Writers(server, key, owner_asks(CUSTOMER))
    try:
        await until(lambda: len(writers.succeeded) > 30)
        before = len(writers.succeeded)
        await asyncio.to_thread(crash, home)
        await until(lambda: len(writers.succeeded) > before + 30)
    finally:
        await writers.stop()
        await let_go()  # the connections that were kept broke
        join(
            home, revision=revision.CURRENT, oldest=revision.OLDEST_CLIENT, idle=0.2, settings={"fsync": "off"}
        ).close()
    assert {said.get("error") for said in writers.told.values()} <= {None, *EXPECTED}
    await until(
        lambda: (
            owner_asks("select count(*) from pg_stat_activity where usename = 'crm_agent' and state <> 'idle'") == 0
        )
    )
    assert_audit_is_whole(writers, owner_asks)
