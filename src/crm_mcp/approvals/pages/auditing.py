"""The audit: calls searched, and one followed both ways; for administrators, and approvers as far as drafts go."""

import re
from datetime import UTC, datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ...crm.drafts import sees_all
from .. import trail
from ..asking import Asked
from ..desk import Desk, Routes, SignedIn
from ..render import page
from ..session import Session

_CALL = re.compile(r"[1-9]\d{0,18}", re.ASCII)


async def search(desk: Desk, request: Request, who: Session) -> Response:
    _only_for(who)
    asked = Asked(request.query_params, trail.FIELDS)
    if _CALL.fullmatch(asked["record"]):
        return RedirectResponse(f"/audit/calls/{asked['record']}", 303)
    after = request.query_params.get("after", "")[:30]
    found = await trail.found(desk.db, who.who, asked, after, datetime.now(UTC))
    return page(
        "audit.html",
        who,
        status=422 if asked.problems else 200,
        trail=found,
        asked=asked,
        sees_all=sees_all(who.who),
        next=asked.link("/audit", after=found.after) if found.after else None,
        start=asked.link("/audit"),
    )


async def call(desk: Desk, request: Request, who: Session) -> Response:
    _only_for(who)
    number = request.path_params["call"]
    if not _CALL.fullmatch(number) or int(number) >= 2**63:
        raise HTTPException(404)
    found = await trail.followed(desk.db, who.who, int(number), datetime.now(UTC))
    if found is None:
        raise HTTPException(404)
    return page("call.html", who, call=found, sees_all=sees_all(who.who))


def _only_for(who: Session) -> None:
    """Answer to others as if there were no such page."""
    if not trail.may_see(who.who):
        raise HTTPException(404)


ROUTES: Routes = (SignedIn("/audit", search), SignedIn("/audit/calls/{call}", call))
