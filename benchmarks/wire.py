"""A client that costs next to nothing: JSON lines written to a server's pipe, answers timed before they are parsed."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

HANDSHAKE, STATELESS = "2025-11-25", "2026-07-28"
"""The two eras: sessions that begin with `initialize`, and requests that each say everything."""
ME = {"name": "bench", "version": "1"}
META = {
    "io.modelcontextprotocol/protocolVersion": STATELESS,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": ME,
}


class ToolFailed(Exception):
    """A measured call did not succeed, so its time means nothing."""


class Served:
    """A server process and the pipe to it."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], era: str = HANDSHAKE) -> None:
        self.era = era
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(env)
        )
        self._ids = 0
        if era == STATELESS:
            self.ask("server/discover", {})
        else:
            hello = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": ME}
            self.ask("initialize", hello)
            self._write(_line({"jsonrpc": "2.0", "method": "notifications/initialized"}))

    def __enter__(self) -> "Served":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._in.close()
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._out.close()

    @property
    def _in(self) -> Any:
        return self.process.stdin

    @property
    def _out(self) -> Any:
        return self.process.stdout

    def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return its result."""
        return self._answer(self._send(method, params))

    def list_tools(self) -> float:
        """Return the seconds from the process's start to the answer of tools/list."""
        self.ask("tools/list", {})
        return time.perf_counter() - self.began

    def call(self, tool: str, arguments: dict[str, Any]) -> tuple[float, dict[str, Any]]:
        """Return the seconds of one call and its result; neither writing nor reading JSON counts.

        Raises:
            ToolFailed: the answer is an error.
        """
        line = self._request("tools/call", {"name": tool, "arguments": arguments})
        began = time.perf_counter()
        self._write(line)
        raw = self._out.readline()
        took = time.perf_counter() - began
        return took, _succeeded(self._parsed(raw, self._ids))

    def at_once(self, tool: str, arguments: Sequence[dict[str, Any]], width: int) -> float:
        """Return calls a second with `width` of them in flight on this one connection."""
        lines = [self._request("tools/call", {"name": tool, "arguments": args}) for args in arguments]
        answers: list[bytes] = []
        began = time.perf_counter()
        self._write(b"".join(lines[:width]))
        for line in lines[width:]:
            answers.append(self._out.readline())
            self._write(line)
        answers += [self._out.readline() for _ in range(width)]
        took = time.perf_counter() - began
        for raw in answers:
            _succeeded(json.loads(raw)["result"])
        return len(lines) / took

    def resident(self) -> float | None:
        """Return the resident memory in MB; None where the system does not say."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return None
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))

    def _send(self, method: str, params: dict[str, Any]) -> int:
        self._write(self._request(method, params))
        return self._ids

    def _request(self, method: str, params: dict[str, Any]) -> bytes:
        self._ids += 1
        if self.era == STATELESS:
            params = {**params, "_meta": META}
        return _line({"jsonrpc": "2.0", "id": self._ids, "method": method, "params": params})

    def _write(self, data: bytes) -> None:
        self._in.write(data)
        self._in.flush()

    def _answer(self, number: int) -> dict[str, Any]:
        return self._parsed(self._out.readline(), number)

    def _parsed(self, raw: bytes, number: int) -> dict[str, Any]:
        """Return the result of a request; notifications between are passed over.

        Raises:
            ToolFailed: the server is gone or answered with an error.
        """
        while raw:
            answer = json.loads(raw)
            if answer.get("id") == number:
                if "result" not in answer:
                    raise ToolFailed(str(answer))
                return answer["result"]
            raw = self._out.readline()
        raise ToolFailed(f"the server ended with {self.process.wait()}")


def crm(user: str) -> list[str]:
    """Return the command that serves the CRM as a client would start it."""
    return [sys.executable, "-m", "crm_mcp", "serve", "--user", user]


def bare() -> list[str]:
    """Return the command of the bare server."""
    return [sys.executable, str(Path(__file__).with_name("bare_server.py"))]


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _succeeded(result: dict[str, Any]) -> dict[str, Any]:
    if result.get("isError"):
        raise ToolFailed(str(result.get("structuredContent") or result))
    return result
