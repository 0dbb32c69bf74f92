"""The process that listens: its socket, TLS, time limits of a connection, and an end that cuts nothing short."""

import asyncio
import importlib
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .. import listener
from ..app import App, Client
from ..audit import Flusher
from ..catalog import every_tool
from ..db import Database
from ..log import logger
from ..principal import Agent
from ..tls import shown
from . import limits
from .address import PATH, is_loopback, netloc
from .front import Front
from .guard import Guard


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server listens, and by which names it is reached."""

    host: str
    port: int
    allowed: tuple[str, ...] = ()
    cert: Path | None = None
    key: Path | None = None
    behind_proxy: bool = False

    @property
    def schemes(self) -> tuple[str, ...]:
        """How pages of this server would be addressed: its own way, and a proxy's."""
        own = "https" if self.cert else "http"
        return (own, "https") if self.behind_proxy else (own,)


class PlaceInvalid(Exception):
    """The server cannot listen as it was told; the text says why."""


def place(address: str, allowed: tuple[str, ...], cert: Path | None, key: Path | None, behind_proxy: bool) -> Place:
    """Return where to listen.

    Raises:
        PlaceInvalid: not HOST:PORT, half a certificate, or a key would travel in the clear.
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise PlaceInvalid("--http wants HOST:PORT, for example 127.0.0.1:8765 or [::1]:8765")
    if (cert is None) != (key is None):
        raise PlaceInvalid("--tls-cert and --tls-key go together")
    for file in (cert, key):
        if file is not None and not file.is_file():
            raise PlaceInvalid(f"there is no file {file}")
    if cert is None and not behind_proxy and not is_loopback(host):
        raise PlaceInvalid(
            f"{host} is reached from other machines, and API keys would travel in the clear. Give --tls-cert and "
            "--tls-key; or --behind-proxy, where only a proxy of yours that speaks TLS can reach this address"
        )
    return Place(host, int(port), allowed, cert, key, behind_proxy)


def listen(where: Place) -> socket.socket:
    """Bind the address.

    Raises:
        PlaceInvalid: it cannot be bound.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)[0]
        listening = listener.tcp(family)
        listening.bind(address)
        listening.listen(512)
    except OSError as problem:
        raise PlaceInvalid(f"{netloc(where.host, where.port)}: {problem.strerror or 'cannot be bound'}") from None
    return listening


class Patient(H11Protocol):
    """HTTP/1.1 whose headers have to arrive in time: uvicorn would wait for ever."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:  # pyright: ignore[reportUnnecessaryComparison]
            self._stop_waiting()
        else:
            self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_headers(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(limits.HEADER_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Listening(uvicorn.Server):
    """A server that, told to stop, first asks: its front lets calls in flight end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop = asyncio.get_running_loop()
        self.told_to_stop = asyncio.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.told_to_stop.is_set():
            self.should_exit = self.force_exit = True
        self._loop.call_soon_threadsafe(self.told_to_stop.set)


async def serve(
    where: Place,
    listener: socket.socket,
    db: Database,
    app_for: Callable[[Client, Flusher], App],
    agent: Agent | None,
    per_minute: int,
) -> None:
    """Serve until told to stop; then calls in flight end, and every audit row is written."""
    for tool in every_tool():
        logger().debug("imported", tool=tool.name)
    importlib.import_module("crm_mcp.write")
    flusher = Flusher(db)
    port: int = listener.getsockname()[1]
    front = Front(
        db,
        lambda client: app_for(client, flusher),
        Guard(where.host, port, where.allowed, schemes=where.schemes),
        agent=agent,
        per_minute=per_minute,
        behind_proxy=where.behind_proxy,
    )
    server = _Listening(
        uvicorn.Config(
            front,
            http=Patient,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=limits.CONNECTIONS,
            h11_max_incomplete_event_size=limits.HEADERS,
            timeout_keep_alive=limits.IDLE_SECONDS,
            timeout_graceful_shutdown=5,
            ssl_context_factory=shown(where.cert, where.key) if where.cert and where.key else None,
        )
    )
    ending = asyncio.create_task(_end(front, server))
    care = asyncio.create_task(front.look_after())
    scheme = "https" if where.cert else "http"
    logger().info("serving", url=f"{scheme}://{netloc(where.host, port)}{PATH}")
    try:
        await server.serve(sockets=[listener])
    finally:
        for task in (ending, care):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await front.close()
        await flusher.close()
        await db.close()


async def _end(front: Front, server: _Listening) -> None:
    """Once told to stop, take nothing new, wait for what is being answered, end the streams, then the server."""
    await server.told_to_stop.wait()
    logger().info("stopping", active=front.active)
    with suppress(TimeoutError):
        await asyncio.wait_for(front.drain(), limits.DRAIN)
    await front.close()
    server.should_exit = True
