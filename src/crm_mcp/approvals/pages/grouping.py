"""The changes that one call proposed: each decided by itself, or all together once they were read."""

import re

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from .. import group as groups
from ..desk import Desk, Routes, SignedIn
from ..render import page
from ..session import Session
from . import together
from .passkeys import cannot

_CALL = re.compile(r"[1-9]\d{0,18}", re.ASCII)
CHANGES = "changes"


async def group(desk: Desk, request: Request, who: Session) -> Response:
    return await _show(desk, who, _call_in(request))


async def approve(desk: Desk, request: Request, who: Session) -> Response:
    """Approve each change that was shown, if their number was confirmed; each stands for itself."""
    call, seen = _call_in(request), together.seen_in(request)
    await _see_that_they_are_of_it(desk, who, call, list(seen))
    if (problem := groups.miscounted(request.state.form, seen, CHANGES)) is not None:
        return await _show(desk, who, call, status=422, problem=problem)
    return await _show(desk, who, call, results=await together.approve(desk, request, who, seen))


async def ask_to_approve(desk: Desk, request: Request, who: Session) -> Response:
    """Ask for one signature over every change that the form shows."""
    call, seen = _call_in(request), together.seen_in(request)
    await _see_that_they_are_of_it(desk, who, call, list(seen))
    if (problem := groups.miscounted(request.state.form, seen, CHANGES)) is not None:
        return cannot(problem)
    return await together.ask_to_sign(desk, who, seen)


async def _show(
    desk: Desk,
    who: Session,
    call: int,
    *,
    status: int = 200,
    problem: str | None = None,
    results: dict[str, str] | None = None,
) -> Response:
    shown = await together.read(desk, who, await groups.of_call(desk.db, who.who, call))
    waiting = [one for one in shown.drafts if one.is_waiting]
    said = {**shown.said(), "waiting": waiting, "call": call, "problem": problem, "results": results}
    return page("changes.html", who, status=status, **said)


def _call_in(request: Request) -> int:
    text = request.path_params["call"]
    if not _CALL.fullmatch(text) or int(text) >= 2**63:
        raise HTTPException(404)
    return int(text)


async def _see_that_they_are_of_it(desk: Desk, who: Session, call: int, numbers: list[int]) -> None:
    """See that a form names drafts of its own group alone.

    Raises:
        HTTPException: 400.
    """
    if not set(numbers) <= set(await groups.of_call(desk.db, who.who, call)):
        raise HTTPException(400)


ROUTES: Routes = (
    SignedIn("/groups/{call}", group),
    SignedIn("/groups/{call}/approve", approve, "POST"),
    SignedIn("/groups/{call}/approve/options", ask_to_approve, "POST"),
)
