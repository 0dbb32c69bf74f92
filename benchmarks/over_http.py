"""The same call over HTTP: a real `serve --http` process and one connection that is kept."""

import hashlib
import http.client
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import psycopg

from crm_mcp.embedded import Home

from .subjects import ORG, SELLER, Material, Sheet
from .wire import META, STATELESS, ToolFailed


class OverHttp:
    """A server and a client with a key, in the stateless era."""

    def __init__(self, home: Home, env: Mapping[str, str], stuff: Material) -> None:
        self._stuff, key = stuff, _key(home)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "crm_mcp", "serve", "--http", "127.0.0.1:0", "--requests-per-minute", "1000000"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=dict(env),
            text=True,
        )
        assert self._process.stderr
        said = next(json.loads(line) for line in self._process.stderr if '"serving"' in line)
        self._wire = http.client.HTTPConnection(said["url"].split("/")[2], timeout=30)
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "Mcp-Protocol-Version": STATELESS,
            "Mcp-Method": "tools/call",
            "Mcp-Name": "get_customer",
        }

    def __enter__(self) -> "OverHttp":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wire.close()
        self._process.terminate()
        self._process.wait(timeout=30)
        assert self._process.stderr
        self._process.stderr.close()

    def reads(self, sheet: Sheet, times: int) -> None:
        for _ in range(times):
            call = {
                "name": "get_customer",
                "arguments": {"customer": f"cust_{self._stuff.customer()}"},
                "_meta": META,
            }
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call})
            began = time.perf_counter()
            self._wire.request("POST", "/mcp", body, self._headers)
            raw = self._wire.getresponse().read()
            sheet["http get_customer"].append(time.perf_counter() - began)
            answer: dict[str, Any] = json.loads(raw)
            if answer.get("result", {}).get("isError", True):
                raise ToolFailed(str(answer))


def _key(home: Home) -> str:
    """Make an API key as `crm-mcp keys create` does."""
    key = "crm_" + secrets.token_urlsafe(32)
    digest = hashlib.sha256(hashlib.sha256(key.encode()).digest()).digest()
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute(
            """insert into crm.api_keys(digest, org_id, user_id, name, expires_at) select %s, o.id, u.id, 'bench',
            now() + interval '1 day' from crm.orgs o, crm.users u where o.slug = %s and u.email_norm = %s""",
            (digest, ORG, SELLER),
        )
    return key
