"""One key: its MCP server, its sessions, its clients heard apart, and what it may still ask."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from mcp.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.types import Receive, Scope, Send

from ..app import App
from ..server import Context, build_server_of
from . import limits
from .limits import Bucket


class Conversations:
    """The app of each client of one key, so that each has its name in the audit and hears each decision once.

    A session is one client. Without sessions a client is what it calls itself: two that say the same are one.
    """

    def __init__(self, make: Callable[[], App], most: int = 2 * limits.SESSIONS) -> None:
        self._make, self._most = make, most
        self._apps: OrderedDict[str, App] = OrderedDict()

    def __call__(self, ctx: Context) -> App:
        name = _name(ctx)
        if (app := self._apps.get(name)) is None:
            app = self._apps[name] = self._make()
            if len(self._apps) > self._most:
                _, oldest = self._apps.popitem(last=False)
                oldest.beside(oldest.leave())
        self._apps.move_to_end(name)
        return app

    async def close(self) -> None:
        """End what is done for the clients beside their calls."""
        for app in self._apps.values():
            await app.leave()


def _name(ctx: Context) -> str:
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS and ctx.request is not None:
        return f"session {ctx.request.headers.get('mcp-session-id')}"
    said = ctx.session.client_params
    return f"client {said.client_info.name} {said.client_info.version}"[:200] if said is not None else "client"


class Served:
    """A key that signed somebody in. Its sessions are its own: the id of another key's session is unknown here."""

    def __init__(self, make: Callable[[], App], per_minute: int, now: float) -> None:
        self._conversations = Conversations(make)
        server: Server[object] = build_server_of(self._conversations)  # pyright: ignore[reportAssignmentType]
        server.get_tool_input_schema = _no_headers
        self._manager = StreamableHTTPSessionManager(
            server,
            session_idle_timeout=limits.SESSION_IDLE,
            max_sessions=limits.SESSIONS,
            max_request_body_size=limits.BODY,
        )
        self.rate = Bucket(per_minute, now)
        self.used = now
        self.active = 0
        """Requests that are being answered."""
        self.streams = 0
        """Streams that are being listened on."""
        self.is_over = False
        self._over, self._ready = asyncio.Event(), asyncio.Event()
        self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with self._manager.run():
            self._ready.set()
            await self._over.wait()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._ready.wait()
        await self._manager.handle_request(scope, receive, send)

    async def close(self) -> None:
        """End its sessions, their streams, and what they still do."""
        self.is_over = True
        self._over.set()
        await asyncio.wait([self._running])
        await self._conversations.close()


def _no_headers(tool: str) -> None:
    """No tool's argument travels as a header, so there is no schema to hold headers against."""
