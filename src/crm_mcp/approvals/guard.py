"""What every request meets first: the right host, the right origin, headers that keep the page to itself."""

from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import Refusal, refusal_for
from ..log import logger

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""`same-origin` and not `no-referrer`: with the latter, browsers send the forms' Origin as null."""
_READS = ("GET", "HEAD")

Fallback = Callable[[Request, Refusal | None], Response]
"""Makes the page of a problem: a refusal that may be said, or a crash."""


class Guard:
    """Outermost: turns away what does not come from this page, and answers a crash calmly."""

    def __init__(self, app: ASGIApp, *, origin: str, fallback: Fallback) -> None:
        self._app, self._origin, self._fallback = app, origin, fallback
        self._host = urlsplit(origin).netloc

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        started = False

        async def sent(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        turned_away = self._turned_away(scope)
        if turned_away is not None:
            await turned_away(scope, receive, sent)
            return
        try:
            await self._app(scope, receive, sent)
        except Exception as problem:
            refusal = refusal_for(problem)
            if refusal is None:
                # the endpoint's name: a path may hold a login link's secret
                where = getattr(scope.get("endpoint"), "__name__", None)
                logger().error("page crashed", page=where, exc_info=problem)
            if started:
                raise
            await self._fallback(Request(scope), refusal)(scope, receive, sent)

    def _turned_away(self, scope: Scope) -> Response | None:
        """Return the answer to what a foreign page or a rebound name sends; None for our own."""
        headers = Headers(scope=scope)
        if headers.getlist("host") != [self._host]:
            return PlainTextResponse(f"This is the approvals page of {self._origin}.\n", 421)
        if scope["method"] in _READS or self._is_ours(headers):
            return None
        return PlainTextResponse("This form was not sent from the approvals page.\n", 403)

    def _is_ours(self, headers: Headers) -> bool:
        origins = headers.getlist("origin")
        if origins:
            return origins == [self._origin]
        referer = urlsplit(headers.get("referer", ""))
        return f"{referer.scheme}://{referer.netloc}" == self._origin
