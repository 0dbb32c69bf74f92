"""Which drafts a client follows, and telling it that one has changed: in the handshake era by resources/subscribe, from
2026-07-28 on by a subscriptions/listen stream. Told is that something changed; what, is read as always."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from typing import Protocol

from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourceUpdated,
    ToolsListChanged,
)

from . import ids
from .errors import DatabaseUnavailable, Refusal
from .log import logger
from .news import News

LIST = "crm://drafts"
MOST = 500
"""URIs that one client may follow."""
STREAMS = 32
"""Streams that one client may hold open."""
PATIENCE = 10.0
"""Seconds until a database that brings no news is called unavailable."""


class Session(Protocol):
    """What is needed of a connection of the handshake era."""

    async def send_resource_updated(self, uri: str) -> None: ...


def uri_of(draft: int) -> str:
    return f"{LIST}/{ids.show('drafts', draft)}"


def draft_of(uri: str) -> int | None:
    """Return the number of the draft that a URI names, None for the list of them.

    Raises:
        Refusal: RESOURCE_NOT_FOUND, for what does not change while somebody looks; INVALID_ID.
    """
    if uri == LIST:
        return None
    if not uri.startswith(f"{LIST}/"):
        hint = f"{LIST} and {LIST}/{{id}} can be followed; other resources do not change while you look."
        raise Refusal("RESOURCE_NOT_FOUND", hint, uri=uri[:200])
    return ids.parse("drafts", uri[len(LIST) + 1 :])


class Updates:
    """What one principal's client follows.

    `news` gives the one connection that listens, made with the first URI that is followed. `sees` says whether the
    principal may see a draft, by the rights of now.
    """

    def __init__(self, org: int, news: Callable[[], News], sees: Callable[[int], Awaitable[bool]]) -> None:
        self._org, self._news, self._sees = org, news, sees
        self._bus = InMemorySubscriptionBus()
        self.listen = ListenHandler(self._bus, max_subscriptions=STREAMS)
        self._sessions: dict[str, dict[object, Session]] = {}
        self._streams: dict[str, int] = {}
        self._following: asyncio.Task[None] | None = None
        self._hears = asyncio.Event()

    async def hear(self) -> None:
        """Listen from now on, if that is not done yet; return once nothing is missed any more.

        Raises:
            Refusal: DATABASE_UNAVAILABLE.
        """
        if self._following is None or self._following.done():
            self._hears.clear()
            self._following = asyncio.create_task(self._follow())
        try:
            async with asyncio.timeout(PATIENCE):
                await self._hears.wait()
        except TimeoutError:
            raise DatabaseUnavailable from None

    def subscribe(self, uri: str, connection: object, session: Session) -> None:
        """Tell a connection of the handshake era of a URI.

        Raises:
            Refusal: TOO_MANY_SUBSCRIPTIONS.
        """
        if uri not in self._sessions and len(self._sessions) >= MOST:
            raise Refusal("TOO_MANY_SUBSCRIPTIONS", f"Unsubscribe from some: {MOST} at once are enough.")
        self._sessions.setdefault(uri, {})[connection] = session

    def unsubscribe(self, uri: str, connection: object) -> None:
        if connection in self._sessions.get(uri, {}):
            del self._sessions[uri][connection]
            if not self._sessions[uri]:
                del self._sessions[uri]
        self._rest()

    def forget(self, connection: object) -> None:
        """Let go of a connection that ended."""
        for uri in list(self._sessions):
            self.unsubscribe(uri, connection)

    @contextmanager
    def streaming(self, uris: Iterable[str]) -> Generator[None]:
        """Count the URIs of an open stream among what is followed."""
        held = list(uris)
        for uri in held:
            self._streams[uri] = self._streams.get(uri, 0) + 1
        try:
            yield
        finally:
            for uri in held:
                self._streams[uri] -= 1
                if not self._streams[uri]:
                    del self._streams[uri]
            self._rest()

    async def lists_changed(self) -> None:
        """Tell the streams that asked for it that the lists of tools and of prompts are others."""
        await self._bus.publish(ToolsListChanged())
        await self._bus.publish(PromptsListChanged())

    async def close(self) -> None:
        self.listen.close()
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following

    def _rest(self) -> None:
        """Hear nothing while nothing is followed."""
        if self._following is not None and not self._followed:
            self._following.cancel()
            self._following = None

    @property
    def _followed(self) -> Mapping[str, object]:
        return {**self._sessions, **self._streams}

    async def _follow(self) -> None:
        async with self._news().of(self._org) as queue:
            while True:
                draft = await queue.get()
                try:
                    if draft is None:
                        await self._look_again()
                    else:
                        await self._changed(draft)
                except Exception as problem:
                    logger().warning("an update was not told", problem=type(problem).__name__)

    async def _look_again(self) -> None:
        """What happened meanwhile is not known: everything followed may have changed."""
        if not self._hears.is_set():  # the first word: from here on nothing is missed
            self._hears.set()
            return
        for uri in list(self._followed):
            await self._tell(uri)

    async def _changed(self, draft: int) -> None:
        uris = [uri for uri in (uri_of(draft), LIST) if uri in self._followed]
        if uris and await self._sees(draft):
            for uri in uris:
                await self._tell(uri)

    async def _tell(self, uri: str) -> None:
        await self._bus.publish(ResourceUpdated(uri))
        for connection, session in list(self._sessions.get(uri, {}).items()):
            try:
                await session.send_resource_updated(uri)
            except Exception:
                logger().debug("a connection that followed is gone", uri=uri)
                self.forget(connection)
