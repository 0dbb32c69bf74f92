"""What a signed-in browser is told while it looks on: that drafts it may see were made, edited or decided."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable

from .. import ids
from ..db import Database
from ..errors import refusal_for
from ..news import News
from ..principal import Principal
from .receipt import sees_every_draft
from .session import Session

STREAM = "/news"
STREAMS = 4
"""Streams of one session at a time: a browser keeps six connections to a host, and needs some for pages."""
BEAT = 15.0
"""Seconds after which a silent stream sees whether its session and its browser are still there."""
_BATCH = 0.25
"""Seconds in which news gather, so that a hundred of them are one."""
_MINE = "select id from crm.drafts where org_id = %s and requester = %s and id = any(%s)"
StillThere = Callable[[], Awaitable[Session | None]]


class Live:
    """The streams of one page."""

    def __init__(self, db: Database, news: News, *, beat: float = BEAT) -> None:
        self._db, self._news, self._beat = db, news, beat
        self._open: Counter[str] = Counter()
        self._over = asyncio.Event()

    def close(self) -> None:
        """End every stream, so that the page can stop."""
        self._over.set()

    def may_open(self, session: Session) -> bool:
        return not self._over.is_set() and self._open[session.secret] < STREAMS

    async def stream(self, session: Session, still_there: StillThere) -> AsyncGenerator[str]:
        """Yield events until the session, the browser's interest or the page ends; each is preceded by a look at that."""
        self._open[session.secret] += 1
        try:
            yield "retry: 3000\n\n"
            async with self._news.of(session.who.org) as queue:
                while True:
                    heard = await self._next(queue)
                    if self._over.is_set() or (now := await still_there()) is None or now.who.org != session.who.org:
                        return
                    said = await self._said(now.who, heard)
                    if said is not None:
                        yield said
        except Exception as problem:
            if refusal_for(problem) is None:
                raise
        finally:
            self._open[session.secret] -= 1
            if not self._open[session.secret]:
                del self._open[session.secret]

    async def _next(self, queue: "asyncio.Queue[int | None]") -> set[int | None]:
        """Return what was heard, gathered; nothing once it was silent for a beat or the page stops."""
        waiting = {asyncio.ensure_future(queue.get()), asyncio.ensure_future(self._over.wait())}
        try:
            done, _ = await asyncio.wait(waiting, timeout=self._beat, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        heard: set[int | None] = {task.result() for task in done if not isinstance(task.result(), bool)}
        if heard and not self._over.is_set():
            await asyncio.sleep(_BATCH)
            while not queue.empty():
                heard.add(queue.get_nowait())
        return heard

    async def _said(self, who: Principal, heard: set[int | None]) -> str | None:
        """Return the event of what was heard, as far as a person sees it; a comment where nothing was."""
        if not heard:
            return ": still here\n\n"
        if None in heard:
            return "event: drafts\ndata: all\n\n"
        drafts = sorted(draft for draft in heard if draft is not None)
        if not sees_every_draft(who):
            async with self._db.begin(who, ids.new_call()) as conn:
                drafts = sorted((await conn.exec_driver_sql(_MINE, (who.org, who.user, drafts))).scalars())
        named = " ".join(ids.show("drafts", draft) for draft in drafts)
        return f"event: drafts\ndata: {named}\n\n" if drafts else None
