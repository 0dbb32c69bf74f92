"""The front of the HTTP server: host, health, key, limits and size, in this order, before any MCP is spoken."""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from .. import auth, revision
from ..app import App, Client
from ..db import Database
from ..errors import DatabaseUnavailable, NobodyThere, refusal_for
from ..log import logger
from ..principal import Agent, Principal
from ..waiting import Waits
from . import limits
from .address import PATH
from .answers import said, too_many, unauthorized, unavailable
from .bearer import key_in, peer_of
from .guard import Guard
from .limits import Failures
from .served import Served

PROBE_SECONDS = 2
"""How long /readyz waits for the database."""
ROUND = 30
"""Seconds between two looks at keys that only listen."""
_HEADERS = {"X-Content-Type-Options": "nosniff"}


class _Answered(Exception):
    """The request is answered here."""

    def __init__(self, response: Response, *, is_read: bool = False) -> None:
        """`is_read`: nothing of the request is left to be read."""
        super().__init__(response.status_code)
        self.response, self.is_read = response, is_read


class Front:
    """Finds the server of each key and keeps every key to its limits.

    A key is asked of the database with every request, so one that expired or was revoked ends with the next.
    """

    def __init__(
        self,
        db: Database,
        app_for: Callable[[Client], App],
        guard: Guard,
        *,
        agent: Agent | None = None,
        per_minute: int = limits.PER_MINUTE,
        behind_proxy: bool = False,
    ) -> None:
        self._db, self._app_for, self._guard, self._agent = db, app_for, guard, agent
        self._per_minute, self._behind_proxy = per_minute, behind_proxy
        self.keys: dict[bytes, Served] = {}
        """The servers of keys that signed somebody in, by their SHA-256."""
        self._proofs: dict[bytes, auth.Proof] = {}
        self._failures = Failures()
        self._probe: asyncio.Task[str | None] | None = None
        self.is_stopping = False
        self._quiet = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = False

        async def sent(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("Cache-Control", "no-store")
                if message["status"] >= 400 and not _has_no_body(scope):
                    # what is refused unread must not be taken for the next request
                    headers["Connection"] = "close"
            await send(message)

        try:
            try:
                await self._answer(scope, receive, sent)
            except _Answered as answered:
                if not answered.is_read and not _has_no_body(scope):
                    await _read(receive, Headers(scope=scope), limits.BODY)
                await answered.response(scope, receive, sent)
        except Exception as problem:
            logger().error("request crashed", path=scope["path"][:100], exc_info=problem)
            if started:
                raise
            await said(500, "Something went wrong on our side; see the server's log.")(scope, receive, sent)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if (refused := self._guard.turned_away(scope, headers)) is not None:
            raise _Answered(refused)
        match scope["path"]:
            case "/healthz":
                raise _Answered(PlainTextResponse("ok\n"))
            case "/readyz":
                reason = await self._unready()
                raise _Answered(PlainTextResponse(f"{reason or 'ok'}\n", 503 if reason else 200))
            case path if path != PATH:
                raise _Answered(said(404, f"There is nothing here; MCP is spoken at {PATH}."))
            case _:
                pass
        if self.is_stopping:
            raise _Answered(unavailable("The server is stopping. Try again in a few seconds."))
        served = await self._served(headers, peer_of(scope, headers, self._behind_proxy))
        with self._admitted(served, scope, headers):
            body = await _body(receive, headers)
            if served.is_over:
                raise _Answered(unauthorized(True), is_read=True)
            await served.answer(scope, body, send)

    @contextmanager
    def _admitted(self, served: Served, scope: Scope, headers: Headers) -> Generator[None]:
        """Count a request against the limits of its key while it is answered."""
        now = time.monotonic()
        if wait := served.rate.take(now):
            raise _Answered(too_many("Too many requests with this key. Wait a little.", wait))
        listens = scope["method"] == "GET" or headers.get("mcp-method") == "subscriptions/listen"
        most, has = (limits.SESSIONS, served.streams) if listens else (limits.AT_ONCE, served.active)
        if has >= most:
            raise _Answered(too_many("Too many requests of this key are being answered. Wait for some.", 1))
        served.used = now
        served.active += not listens
        served.streams += listens
        try:
            yield
        finally:
            served.used = time.monotonic()
            served.active -= not listens
            served.streams -= listens
            if self.is_stopping and not self.active:
                self._quiet.set()

    async def _served(self, headers: Headers, peer: str) -> Served:
        """Return the server of the key that a request bears, made for a key that signs somebody in."""
        key = key_in(headers)
        digest = hashlib.sha256(key.encode()).digest() if key else b""
        known = self.keys.get(digest)
        if known is None and (wait := self._failures.wait(peer, time.monotonic())):
            raise _Answered(too_many("Too many requests without a valid key. Wait a little.", wait))
        if key is None:
            if "authorization" in headers:
                self._failures.count(peer, time.monotonic())
            raise _Answered(unauthorized("authorization" in headers))
        proof = self._proofs.get(digest) or auth.by_key(key, self._agent)
        try:
            who = await self._db.sign_in(proof)
        except NobodyThere:
            self._failures.count(peer, time.monotonic())
            logger().warning("a key was refused", peer=peer, known=known is not None)
            await self._forget(digest)
            raise _Answered(unauthorized(True)) from None
        except Exception as problem:
            refusal = refusal_for(problem)
            if known is not None and isinstance(refusal, DatabaseUnavailable):
                return known  # whose call says so itself, to the model
            if refusal is None:
                raise
            raise _Answered(unavailable(f"{refusal.error}: {refusal.hint}")) from None
        return self.keys.get(digest) or self._remember(digest, proof, who)

    def _remember(self, digest: bytes, proof: auth.Proof, who: Principal) -> Served:
        waits = Waits(limits.WAITS)

        def make() -> App:
            app = self._app_for(Client(proof, principal=who, org=who.org))
            app.waits = waits
            return app

        served = Served(make, self._per_minute, time.monotonic())
        self.keys[digest], self._proofs[digest] = served, proof
        return served

    async def _forget(self, digest: bytes) -> None:
        served = self.keys.pop(digest, None)
        self._proofs.pop(digest, None)
        if served is not None:
            await served.close()

    async def look_after(self) -> None:
        """Let go, now and again, of keys that are long unused or too many, and of those that no longer sign in."""
        while True:
            await asyncio.sleep(ROUND)
            try:
                await self.look_once(time.monotonic())
            except Exception as problem:
                logger().error("a round failed", exc_info=problem)

    async def look_once(self, now: float) -> None:
        """Do one round."""
        idle = [(served.used, digest) for digest, served in self.keys.items() if not served.active + served.streams]
        idle.sort()
        surplus = len(self.keys) - limits.KEYS
        for number, (used, digest) in enumerate(idle):
            if number < surplus or now - used > limits.KEY_IDLE:
                await self._forget(digest)
        for digest in [digest for digest, served in self.keys.items() if served.streams]:
            try:
                await self._db.sign_in(self._proofs[digest])
            except NobodyThere:
                await self._forget(digest)
            except Exception as problem:
                logger().debug("could not look at a key", problem=type(problem).__name__)
                return

    async def _unready(self) -> str | None:
        """Return in a word why no request should come here; None where one may.

        One question to the database is under way at most, whoever asks how often.
        """
        if self.is_stopping:
            return "stopping"
        if self._probe is None:
            self._probe = asyncio.create_task(self._database_problem())
        probe = self._probe
        done, _ = await asyncio.wait([probe], timeout=PROBE_SECONDS)
        if not done:
            return "database"
        self._probe = None if self._probe is probe else self._probe
        return probe.result()

    async def _database_problem(self) -> str | None:
        try:
            at, oldest = await self._db.schema()
        except Exception as problem:
            logger().warning("not ready", problem=type(problem).__name__)
            return "database"
        return None if oldest <= revision.CURRENT <= at else "schema"

    @property
    def active(self) -> int:
        """How many requests are being answered, without those that listen."""
        return sum(served.active for served in self.keys.values())

    async def drain(self) -> None:
        """Take nothing new, and wait for what is being answered."""
        self.is_stopping = True
        if self.active:
            await self._quiet.wait()

    async def close(self) -> None:
        """End every session, and whatever still runs in one."""
        for digest in list(self.keys):
            await self._forget(digest)
        if self._probe is not None:
            self._probe.cancel()


def _has_no_body(scope: Scope) -> bool:
    return scope["method"] in ("GET", "HEAD", "DELETE", "OPTIONS")


async def _body(receive: Receive, headers: Headers) -> Receive:
    """Read a request whole, within its size and time; return what gives it out again."""
    body, is_whole = await _read(receive, headers, limits.WASTE)
    if body is None:
        raise _Answered(said(413, _TOO_LARGE), is_read=True)
    if not is_whole:
        raise _Answered(said(408, "The request did not arrive in time."), is_read=True)
    left = deque[Message]([{"type": "http.request", "body": body, "more_body": False}])

    async def again() -> Message:
        return left.popleft() if left else await receive()

    return again


async def _read(receive: Receive, headers: Headers, most: int) -> tuple[bytes | None, bool]:
    """Read a request's body, up to `most` bytes; return it, None where it is too large, and whether it is whole.

    What is too large is read on and thrown away: a client that is still sending would lose the answer. One that asks
    before it sends is not told to go on.
    """
    declared = headers.get("content-length", "0")
    if "expect" in headers and (not declared.isdecimal() or int(declared) > limits.BODY):
        return None, False
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.BODY_SECONDS):
            while size <= most:
                message = await receive()
                if message["type"] != "http.request":
                    return None if size > limits.BODY else b"", False
                part: bytes = message.get("body", b"")
                size += len(part)
                if size <= limits.BODY:
                    parts.append(part)
                else:
                    parts.clear()
                if not message.get("more_body", False):
                    return None if size > limits.BODY else b"".join(parts), True
    except TimeoutError:
        pass
    return None if size > limits.BODY else b"", False


_TOO_LARGE = f"A request may have {limits.BODY >> 20} MB."
