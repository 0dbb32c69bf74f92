"""The lists: what waits for a decision, and what was decided."""

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from .. import receipt
from ..desk import Desk, Routes, SignedIn
from ..render import page
from ..session import Session
from ..views import item_of


async def queue(desk: Desk, request: Request, who: Session) -> Response:
    return await _list(desk, who, waiting=True)


async def history(desk: Desk, request: Request, who: Session) -> Response:
    return await _list(desk, who, waiting=False)


async def _list(desk: Desk, who: Session, *, waiting: bool) -> Response:
    rows, now = await desk.executor.queue(who.who, waiting=waiting), datetime.now(UTC)
    if not receipt.sees_every_draft(who.who):
        rows = [row for row in rows if row["requester"] == who.who.user]
    return page("list.html", who, waiting=waiting, items=[item_of(row, who.who, now) for row in rows])


ROUTES: Routes = (SignedIn("/", queue), SignedIn("/history", history))
