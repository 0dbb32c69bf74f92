"""Calls that wait for a decision: so many of one client at once, that the others always find a place."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from .news import Changed, News

MOST = 16


class Waits:
    """Counts the calls that wait. `most` of them may; the next is answered as things are."""

    def __init__(self, most: int = MOST) -> None:
        self._left = most

    @asynccontextmanager
    async def following(self, news: News, org: int, draft: int) -> AsyncGenerator[Changed | None]:
        """Give what waits for a draft's next change; None where too many wait already."""
        if not self._left:
            yield None
            return
        self._left -= 1
        try:
            async with news.following(org, draft) as changed:
                yield changed
        finally:
            self._left += 1
