"""A real `crm-mcp serve --http` process on a free port, and keys that open it."""

import asyncio
import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx2
import psycopg
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from crm_mcp.embedded import Home

PATIENCE = 60
CONNECT = ["-m", "crm_mcp", "connect"]
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "probe", "version": "1"},
}
ACCEPT = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


def environment(home: Home, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CRM_")}
    return {**kept, "CRM_HOME": str(home.root), "CRM_OPEN_BROWSER": "never", **more}


class Remote:
    """A server process; `url` is its MCP address, `said` what it wrote to stderr so far."""

    def __init__(self, home: Home, *words: str, address: str = "127.0.0.1:0", **env: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "crm_mcp", "serve", "--http", address, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment(home, **env),
            text=True,
        )
        self.url, self.first = "", []
        assert self.process.stderr
        for line in self.process.stderr:
            self.first.append(line)
            if '"serving"' in line:
                self.url = json.loads(line)["url"]
                return
        raise AssertionError(f"it did not start: {self.first}")

    @property
    def origin(self) -> str:
        return self.url.removesuffix("/mcp")

    @property
    def port(self) -> int:
        return int(self.origin.rpartition(":")[2])

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(sig)
        return self.ended()

    def ended(self) -> int:
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            assert self.process.stderr
            self.said = self.process.stderr.read()
            self.process.stderr.close()


@contextmanager
def remote(home: Home, *words: str, **options: str) -> Generator[Remote]:
    running = Remote(home, *words, **options)
    try:
        yield running
    finally:
        if running.process.returncode is None:
            running.stop()


def make_key(home: Home, email: str, org: str = "demo", *, agent: str | None = None, expired: bool = False) -> str:
    """Make an API key as `crm-mcp keys create` does."""
    key = "crm_" + secrets.token_urlsafe(32)
    digest = hashlib.sha256(hashlib.sha256(key.encode()).digest()).digest()
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        made = conn.execute(
            """insert into crm.api_keys(digest, org_id, user_id, agent, name, expires_at)
            select %s, o.id, u.id, %s, %s, now() + make_interval(days => %s) from crm.orgs o, crm.users u
            where o.slug = %s and u.email_norm = lower(%s) returning id""",
            (digest, agent, key[:12], -1 if expired else 1, org, email),
        ).fetchone()
    assert made
    return key


def revoke(home: Home, key: str) -> None:
    digest = hashlib.sha256(hashlib.sha256(key.encode()).digest()).digest()
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("update crm.api_keys set revoked_at = now() where digest = %s", (digest,))


def member(home: Home, role: str) -> tuple[str, Callable[[str, object], None]]:
    """Make a person of the demo org; return their address, and what changes a column of their membership."""
    email = f"{uuid.uuid4().hex}@demo.example"

    def tell(sql: str, value: object = None) -> None:
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            conn.execute(sql, {"email": email, "value": value})  # type: ignore[arg-type]

    def change(column: str, value: object) -> None:
        whose = "user_id = (select id from crm.users where email = %(email)s)"
        tell(f"update crm.memberships set {column} = %(value)s where {whose}", value)

    tell("insert into crm.users(email, name) values (%(email)s, 'Chan Ging')")
    tell(
        "insert into crm.memberships(org_id, user_id, role) select o.id, u.id, %(value)s"
        " from crm.orgs o, crm.users u where o.slug = 'demo' and u.email = %(email)s",
        role,
    )
    return email, change


@asynccontextmanager
async def client_of(server: Remote, key: str, mode: Any = "auto", **options: Any) -> AsyncGenerator[Client]:
    """Connect the SDK's own client with a key."""
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE, trust_env=False) as http,
        Client(streamable_http_client(server.url, http_client=http), mode=mode, **options) as client,
    ):
        yield client


def asked(method: str, params: dict[str, Any] | None = None, *, number: int = 1) -> dict[str, Any]:
    """Return a request of the stateless era."""
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": {**(params or {}), "_meta": META}}


def headed(key: str | None, method: str, name: str | None = None, **more: str) -> dict[str, str]:
    """Return the headers of a request of the stateless era."""
    headers = {**ACCEPT, "mcp-protocol-version": "2026-07-28", "mcp-method": method}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    if name is not None:
        headers["mcp-name"] = name
    return {**headers, **more}


async def whoami(http: httpx2.AsyncClient, server: Remote, key: str | None, **more: str) -> httpx2.Response:
    """Call whoami with plain HTTP."""
    body = asked("tools/call", {"name": "whoami", "arguments": {}})
    return await http.post(server.url, json=body, headers=headed(key, "tools/call", "whoami", **more))


async def until(condition: Any, seconds: float = PATIENCE) -> None:
    """Poll a condition."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)
