"""`crm-mcp connect URL`: a server over HTTP for clients that speak stdio alone, or keep no headers.

The messages pass as they are, so that both protocol eras, progress, cancellation and questions of the server work as
without it. It finds its way back to a server that was restarted.
"""

import argparse
import asyncio
import contextlib
import gc
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2
import mcp.types as t
from mcp.client.streamable_http import MCP_SESSION_ID, streamable_http_client
from mcp.shared.inbound import (
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PROTOCOL_VERSION_HEADER,
    NAME_BEARING_METHODS,
    encode_header_value,
)
from mcp.shared.message import ClientMessageMetadata, SessionMessage
from mcp_types import INTERNAL_ERROR, PROTOCOL_VERSION_META_KEY

from .. import log
from ..config import Settings
from ..jsonvalue import is_object
from ..log import logger
from ..stdio import stdio
from .address import PATH, UrlInvalid, checked, is_loopback

RETURNS = 20
"""Seconds for which a request waits for a server that was there before."""
LINGER = 10
"""Seconds for which answers are awaited after the client closed its end."""
_PAUSES = (0.1, 0.3, 1.0)
_ASKS_ONLY = frozenset(
    {
        "initialize",
        "server/discover",
        "ping",
        "tools/list",
        "resources/list",
        "resources/templates/list",
        "prompts/list",
    }
)
"""Methods that may be sent twice: where the connection breaks, whether a call was carried out is not known."""


def main(words: Sequence[str]) -> None:
    """Bridge stdin and stdout to the server until the client closes its end."""
    known = argparse.ArgumentParser(
        prog="crm-mcp connect",
        allow_abbrev=False,
        description="Bridge an MCP client over stdio to a server over HTTP; the key comes from CRM_API_KEY.",
    )
    known.add_argument(
        "url", metavar="URL", help="where `crm-mcp serve --http` is reached, for example https://host/mcp"
    )
    given, settings = known.parse_args(words), Settings()
    log.configure(settings.log_level)
    if settings.api_key is None:
        known.error("set CRM_API_KEY to the key that `crm-mcp keys create` printed")
    key = settings.api_key.get_secret_value().strip()
    if not key.isascii() or not key.isprintable() or not key:
        known.error("CRM_API_KEY does not hold a key")
    try:
        url = checked(given.url)
    except UrlInvalid as problem:
        known.error(str(problem))
    gc.freeze()
    gc.enable()
    asyncio.run(bridge(url, key))


async def bridge(url: str, key: str) -> None:
    """Pass messages both ways until the client closes its end and has its answers."""
    where = urlsplit(url)
    async with (
        Http(f"{where.scheme}://{where.netloc}", key, is_near=is_loopback(where.hostname or "")) as http,
        streamable_http_client(url, http_client=http) as (from_server, to_server),
        stdio() as (from_client, to_client),
    ):
        passing = Passing()

        async def answers() -> None:
            async for message in from_server:
                if isinstance(message, Exception):
                    logger().warning("the server sent what is no message", problem=type(message).__name__)
                    continue
                passing.came(message.message)
                await to_client.send(message)
                passing.passed(message.message)

        hears = asyncio.create_task(answers())
        async for message in from_client:
            if isinstance(message, SessionMessage):  # what was no message is answered by stdio itself
                headers = passing.headers(message.message)
                await to_server.send(SessionMessage(message.message, ClientMessageMetadata(headers=headers)))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                await passing.nothing_open.wait()
        hears.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await hears
        await to_client.aclose()


class Passing:
    """What a bridge has to know of the messages it passes: their headers, and which are unanswered."""

    def __init__(self) -> None:
        self._open: dict[str | int, str] = {}
        self._version: str | None = None
        self.nothing_open = asyncio.Event()
        self.nothing_open.set()

    def headers(self, message: t.JSONRPCMessage) -> dict[str, str]:
        """Return the headers with which a message of the client is sent."""
        method: str | None = getattr(message, "method", None)
        params: Mapping[str, Any] = getattr(message, "params", None) or {}
        if isinstance(message, t.JSONRPCRequest):
            self._open[message.id] = message.method
            self.nothing_open.clear()
        elif method == "notifications/cancelled":
            self._closed(params.get("requestId"))
        meta = params.get("_meta")
        stated = meta.get(PROTOCOL_VERSION_META_KEY) if is_object(meta) else None
        version = stated if isinstance(stated, str) else self._version
        headers = {} if version is None or method == "initialize" else {MCP_PROTOCOL_VERSION_HEADER: version}
        if method is not None:
            headers[MCP_METHOD_HEADER] = encode_header_value(method)
            name = params.get(NAME_BEARING_METHODS.get(method, ""))
            if isinstance(name, str):
                headers[MCP_NAME_HEADER] = encode_header_value(name)
        return headers

    def came(self, message: t.JSONRPCMessage) -> None:
        """Take note of a message of the server, before the client has it."""
        if isinstance(message, t.JSONRPCResponse) and self._open.get(message.id) == "initialize":
            version = message.result.get("protocolVersion")
            self._version = version if isinstance(version, str) else None

    def passed(self, message: t.JSONRPCMessage) -> None:
        """Take note that the client has a message of the server."""
        if isinstance(message, t.JSONRPCResponse | t.JSONRPCError):
            self._closed(message.id)

    def _closed(self, number: Any) -> None:
        if isinstance(number, str | int):
            self._open.pop(number, None)
        if not self._open:
            self.nothing_open.set()


class Http(httpx2.AsyncClient):
    """A client of one server: what cannot be reached or was refused becomes an answer that says so.

    A session that the server no longer knows, since it was restarted, is opened again as the client opened it.
    """

    def __init__(self, origin: str, key: str, *, is_near: bool) -> None:
        super().__init__(
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx2.Timeout(30, read=300),
            verify=httpx2.create_ssl_context(),  # SSL_CERT_FILE counts, for a certificate of one's own
            trust_env=not is_near,  # a proxy of the environment is no way to this machine
            limits=httpx2.Limits(max_connections=200, max_keepalive_connections=20, keepalive_expiry=30),
        )
        self._origin = origin
        self._was_there = False
        self._hello: httpx2.Request | None = None
        self._session: str | None = None
        self._opening = asyncio.Lock()

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        """Send a request; of what goes wrong on the way, only answers are left."""
        method = request.headers.get(MCP_METHOD_HEADER, "")
        if method == "initialize":
            self._session = None
        used = self._stamp(request)
        response = await self._reach(request, method, how)
        if (
            response.status_code == 404
            and used is not None
            and request.method != "DELETE"
            and self._hello is not None
        ):
            await response.aclose()
            if not await self._open_again(used):
                return _instead(
                    request, 503, "The session could not be opened again. Restart this server in the client."
                )
            self._stamp(request)
            response = await self._reach(request, method, how)
        if method == "initialize" and response.status_code == 200:
            self._hello = request
            self._session = response.headers.get(MCP_SESSION_ID)
        return response

    def _stamp(self, request: httpx2.Request) -> str | None:
        """Name the session of now in a request that names one; return it."""
        if MCP_SESSION_ID not in request.headers:
            return None
        if self._session is not None:
            request.headers[MCP_SESSION_ID] = self._session
        return request.headers[MCP_SESSION_ID]

    async def _reach(self, request: httpx2.Request, method: str, how: dict[str, Any]) -> httpx2.Response:
        """Send, and send again where nothing had arrived; a stream that is listened on waits for as long as it takes."""
        until = asyncio.get_running_loop().time() + RETURNS
        pauses = iter(_PAUSES)
        while True:
            try:
                response = await super().send(request, **how)
                self._was_there = True
                return await self._looked_at(request, response)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as problem:
                sentence, is_final = self._unreachable(problem)
                waits = request.method == "GET" or asyncio.get_running_loop().time() < until
                if is_final or not waits or not self._was_there or request.method == "DELETE":
                    return self._refused(request, 503, sentence)
            except httpx2.TransportError as problem:
                logger().warning("the connection broke", problem=type(problem).__name__, method=method)
                again = (
                    request.method == "GET" or method in _ASKS_ONLY
                ) and asyncio.get_running_loop().time() < until
                if not again:
                    return _instead(
                        request,
                        502,
                        "The connection to the server broke. Whether the call was carried out is not "
                        "known: look (list_drafts shows what waits) before you call again.",
                    )
            await asyncio.sleep(next(pauses, 2.0))

    def _unreachable(self, problem: BaseException) -> tuple[str, bool]:
        cause: BaseException | None = problem
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return f"The certificate of {self._origin} could not be verified: {cause.verify_message}.", True
            if isinstance(cause, ssl.SSLError):
                return f"{self._origin} does not speak TLS; is it an http address?", True
            cause = cause.__cause__ or cause.__context__
        return f"{self._origin} could not be reached. Is the server running, and the address right?", False

    async def _looked_at(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        """Say in the log why a server refuses, and keep what breaks while it is read from breaking the bridge."""
        kind = response.headers.get("content-type", "").partition(";")[0]
        if response.status_code == 401:
            logger().error("the key in CRM_API_KEY was refused: wrong, expired or revoked", server=self._origin)
        elif response.status_code in (404, 405, 406, 421) and MCP_SESSION_ID not in request.headers:
            logger().error("no MCP server answers there", server=self._origin, status=response.status_code)
        if request.method == "POST" and response.status_code >= 400 and kind != "application/json":
            sentence = f"{self._origin} answered {response.status_code}; MCP is usually at {PATH}. Check the URL."
            await response.aclose()
            return _instead(request, response.status_code, sentence)
        if isinstance(response.stream, httpx2.AsyncByteStream):
            response.stream = _Ending(response.stream)
        return response

    def _refused(self, request: httpx2.Request, status: int, sentence: str) -> httpx2.Response:
        logger().error(sentence)
        return _instead(request, status, sentence)

    async def _open_again(self, lost: str) -> bool:
        """Open a session as the client did; true once there is another than the lost one."""
        async with self._opening:
            if self._session != lost:
                return self._session is not None
            assert self._hello is not None
            kept = {name: value for name, value in self._hello.headers.items() if name != "content-length"}
            hello = self.build_request("POST", self._hello.url, content=self._hello.content, headers=kept)
            response = await self._reach(hello, "initialize", {})
            session = response.headers.get(MCP_SESSION_ID)
            if response.status_code != 200 or session is None:
                return False
            ready = self.build_request(
                "POST",
                self._hello.url,
                json={"jsonrpc": "2.0", "method": "notifications/initialized"},
                headers={"accept": kept.get("accept", "*/*"), MCP_SESSION_ID: session},
            )
            await self._reach(ready, "notifications/initialized", {})
            self._session = session
            logger().info("connected again", server=self._origin)
            return True


class _Ending(httpx2.AsyncByteStream):
    """A body that just ends where its connection broke: whoever reads it sees that it is not whole."""

    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._inner:
                yield part
        except httpx2.TransportError as problem:
            logger().warning("an answer broke off", problem=type(problem).__name__)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _instead(request: httpx2.Request, status: int, sentence: str) -> httpx2.Response:
    """Return an answer with a sentence for the client, in place of what came or did not come."""
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": INTERNAL_ERROR, "message": sentence}}
    return httpx2.Response(status, json=body, request=request)
