"""Live updates: a stream of which drafts moved, and how one of them stands."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from .. import editing, held
from ..desk import Desk, Routes, SignedIn, draft_in
from ..live import STREAM
from ..session import Session, session_of


async def news(desk: Desk, request: Request, who: Session) -> Response:
    """Stream news, or say that there are none (204) or too many streams (429): a browser then asks no more."""
    if desk.live is None:
        return Response(status_code=204)
    if not desk.live.may_open(who):
        return Response(status_code=429)

    async def still_there() -> Session | None:
        return None if await request.is_disconnected() else await session_of(desk.db, request)

    return StreamingResponse(desk.live.stream(who, still_there), 200, media_type="text/event-stream")


async def standing(desk: Desk, request: Request, who: Session) -> Response:
    """Say how a draft stands, without running it."""
    found = await editing.opened(desk.db, who.who, draft_in(request))
    if found is None:
        raise HTTPException(404)
    row = found.held
    return JSONResponse({"state": held.state_of(row), "version": row.version, "by": row.approver_name})


ROUTES: Routes = (SignedIn(STREAM, news), SignedIn("/drafts/{draft}/standing", standing))
