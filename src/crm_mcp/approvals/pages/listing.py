"""The lists: what waits for a decision, and what was decided."""

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from .. import past, queue, risk
from ..asking import Asked
from ..desk import Desk, Routes, SignedIn
from ..render import page
from ..session import Session


async def waiting(desk: Desk, request: Request, who: Session) -> Response:
    asked = Asked(request.query_params, queue.FIELDS)
    found = await queue.waiting(desk.db, who.who, asked, _after(request), datetime.now(UTC))
    return page(
        "queue.html",
        who,
        status=422 if asked.problems else 200,
        queue=found,
        asked=asked,
        rules=risk.rules(who.who, found.sure),
        next=asked.link("/", after=found.after) if found.after else None,
        start=asked.link("/"),
    )


async def history(desk: Desk, request: Request, who: Session) -> Response:
    asked = Asked(request.query_params, past.FIELDS)
    found = await past.past(desk.db, who.who, asked, _after(request), datetime.now(UTC))
    return page(
        "history.html",
        who,
        status=422 if asked.problems else 200,
        past=found,
        asked=asked,
        next=asked.link("/history", after=found.after) if found.after else None,
        start=asked.link("/history"),
    )


def _after(request: Request) -> str:
    return request.query_params.get("after", "")[:100]


ROUTES: Routes = (SignedIn("/", waiting), SignedIn("/history", history))
