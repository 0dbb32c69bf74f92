"""A client that writes bytes to a real server process and reads what comes back, line by line."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

PATIENCE = 120
"""Seconds until a missing answer is a failure."""


class Wire:
    """One `crm-mcp serve` process. `lines` is everything it wrote to stdout, `said` to stderr."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.said: list[str] = []
        self._heard = asyncio.Condition()
        self._next = 0
        self.tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._listen())]

    async def _read(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            # Whatever is not JSON fails here: stdout is the wire.
            self.lines.append(json.loads(line))
            async with self._heard:
                self._heard.notify_all()
        async with self._heard:
            self._heard.notify_all()

    async def _listen(self) -> None:
        assert self.process.stderr
        async for line in self.process.stderr:
            self.said.append(line.decode())

    async def send(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)
        await self.process.stdin.drain()

    async def ask(self, method: str, params: dict[str, Any] | None = None) -> int:
        """Send a request; return its id."""
        self._next += 1
        message = {"jsonrpc": "2.0", "id": self._next, "method": method, "params": params or {}}
        await self.send(json.dumps(message).encode() + b"\n")
        return self._next

    async def heard(self, wanted: Any) -> dict[str, Any]:
        """Wait for a line that `wanted` accepts."""

        def found() -> dict[str, Any] | None:
            return next((line for line in self.lines if wanted(line)), None)

        async with asyncio.timeout(PATIENCE), self._heard:
            await self._heard.wait_for(lambda: found() is not None or self.tasks[0].done())
        told = found()
        assert told is not None, f"the server closed its end; it said: {self.said}"
        return told

    async def answer(self, number: int) -> dict[str, Any]:
        return await self.heard(lambda line: line.get("id") == number and "method" not in line)

    async def request(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        return await self.answer(await self.ask(method, params))

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool; return its structured content, or the JSON-RPC error."""
        told = await self.request("tools/call", {"name": tool, "arguments": arguments})
        return told["result"]["structuredContent"] if "result" in told else told["error"]

    async def shake(self, name: str = "test") -> dict[str, Any]:
        """Open a connection of the handshake era."""
        about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": name, "version": "1"}}
        told = await self.request("initialize", about)
        await self.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        return told["result"]

    async def end(self) -> int:
        """Close stdin and wait for the process."""
        assert self.process.stdin
        self.process.stdin.close()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*self.tasks)
            return await self.process.wait()


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CRM_")}
    return {**kept, "CRM_HOME": str(home), "CRM_OPEN_BROWSER": "never"}


@asynccontextmanager
async def serving(
    home: Path, *words: str, user: str = "sam@demo.example", shake: bool = True
) -> AsyncGenerator[Wire]:
    """Run a server and end it whatever happens; everything on its stdout was a JSON-RPC message."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "crm_mcp", "serve", "--user", user, *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(home),
        limit=1 << 24,
    )
    wire = Wire(process)
    try:
        if shake:
            await wire.shake()
        yield wire
    finally:
        if process.returncode is None:
            process.kill()
        await asyncio.gather(*wire.tasks, return_exceptions=True)
        await process.wait()
    assert all(line.get("jsonrpc") == "2.0" for line in wire.lines)
