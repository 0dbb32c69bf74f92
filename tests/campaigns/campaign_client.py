"""A client of a real `crm-mcp serve` process, as little as it takes."""

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PATIENCE = 60
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "campaign", "version": "1"}}
PATIENT = "import crm_mcp.queries as queries; queries.SECONDS = queries.DEADLINE = 120"
SERVE = "import sys; from crm_mcp.serving import main; main(sys.argv[1:])"


class Hung(Exception):
    """A call was not answered in time."""


class Server:
    """A serve process; `call` returns its structured answer, or None where the process died before it answered."""

    def __init__(
        self,
        home: Any,
        point: str | None = None,
        *words: str,
        user: str = "sam@demo.example",
        patient: bool = False,
        first: str | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        """A patient one gives queries two minutes: what ends them sooner is something else.

        `first` is Python that its process runs before it serves; `more` is set in its environment.
        """
        program = ["-m", "crm_mcp", "serve"]
        if patient or first is not None:
            program = ["-c", "\n".join([PATIENT if patient else "", first or "", SERVE])]
        if point is not None:
            program = [str(Path(__file__).with_name("campaign_serve.py")), point]
        self.process = subprocess.Popen(
            [sys.executable, *program, "--user", user, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={
                **os.environ,
                "CRM_HOME": str(home.root),
                "CRM_OPEN_BROWSER": "never",
                "CRM_CALLS_PER_MINUTE": "1000000",
                **(more or {}),
            },
        )
        self._unread, self._ids = b"", 0
        self._heard: dict[int, dict[str, Any]] = {}
        self._ask("initialize", HELLO)
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
        answer = self._ask("tools/call", {"name": tool, "arguments": arguments})
        return None if answer is None else answer["result"]["structuredContent"]

    def send(self, tool: str, arguments: dict[str, Any]) -> int:
        """Send a call without waiting for its answer; return its id."""
        return self._send("tools/call", {"name": tool, "arguments": arguments})

    def answer(self, number: int) -> dict[str, Any] | None:
        """Return the structured answer to what was sent."""
        answer = self._answer(number)
        return None if answer is None else answer["result"]["structuredContent"]

    def cancel(self, number: int) -> None:
        self._write({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}})

    def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        try:
            return self._answer(self._send(method, params))
        except BrokenPipeError:
            return None

    def _send(self, method: str, params: dict[str, Any]) -> int:
        self._ids += 1
        self._write({"jsonrpc": "2.0", "id": self._ids, "method": method, "params": params})
        return self._ids

    def _answer(self, number: int) -> dict[str, Any] | None:
        while number not in self._heard and (line := self._line()) is not None:
            told = json.loads(line)
            if "method" not in told and "id" in told:
                self._heard[told["id"]] = told
        return self._heard.pop(number, None)

    def _write(self, message: dict[str, Any]) -> None:
        self.process.stdin.write(json.dumps(message).encode() + b"\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]

    def _line(self) -> bytes | None:
        wire = self.process.stdout.fileno()  # type: ignore[union-attr]
        while b"\n" not in self._unread:
            if not select.select([wire], [], [], PATIENCE)[0]:
                raise Hung
            chunk = os.read(wire, 1 << 16)
            if not chunk:
                return None
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return line
