"""E-mails: one as a file or queued to be sent, and a run of them read and approved together."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ... import ids
from .. import group as groups
from .. import letter
from ..desk import Desk, Routes, SignedIn, address_of, draft_in
from ..render import page
from ..session import Session
from . import together
from .deciding import show
from .passkeys import cannot


async def message(desk: Desk, request: Request, who: Session) -> Response:
    """Hand an approved e-mail to a mail program, as a file."""
    draft = draft_in(request)
    email = letter.email_in((await desk.visible(who, draft)).draft)
    if email is None:
        raise HTTPException(404)
    headers = {"Content-Disposition": f'attachment; filename="{ids.show("emails", email)}.eml"'}
    return Response(await letter.file_of(desk.db, who.who, email), 200, headers, "message/rfc822")


async def send(desk: Desk, request: Request, who: Session) -> Response:
    """Queue an approved e-mail that was not sent."""
    draft = draft_in(request)
    email = letter.email_in((await desk.visible(who, draft)).draft)
    if email is None:
        raise HTTPException(404)
    if await letter.send(desk.db, who.who, draft, email):
        return RedirectResponse(address_of(draft), 303)
    problem = "Only what was not sent can be sent now, by somebody who may approve and send e-mail."
    return await show(desk, who, draft, status=409, problem=problem)


async def group(desk: Desk, request: Request, who: Session) -> Response:
    """Show a run of e-mails, each by the approver's own run of it."""
    return await _group(desk, who, draft_in(request))


async def approve_group(desk: Desk, request: Request, who: Session) -> Response:
    """Approve each e-mail that was shown, if their number was confirmed; each stands for itself."""
    draft, seen = draft_in(request), together.seen_in(request)
    if (problem := groups.miscounted(request.state.form, seen)) is not None:
        return await _group(desk, who, draft, status=422, problem=problem)
    return await _group(desk, who, draft, results=await together.approve(desk, request, who, seen))


async def ask_to_approve_group(desk: Desk, request: Request, who: Session) -> Response:
    """Ask for one signature over every e-mail that the form shows."""
    seen = together.seen_in(request)
    if (problem := groups.miscounted(request.state.form, seen)) is not None:
        return cannot(problem)
    return await together.ask_to_sign(desk, who, seen)


async def _group(
    desk: Desk,
    who: Session,
    draft: int,
    *,
    status: int = 200,
    problem: str | None = None,
    results: dict[str, str] | None = None,
) -> Response:
    numbers = (
        [ids.parse("drafts", each) for each in results] if results else await groups.members(desk.db, who.who, draft)
    )
    shown = await together.read(desk, who, numbers)
    said = {**shown.said(), "letters": shown.drafts, "problem": problem, "results": results}
    return page("group.html", who, status=status, **said)


ROUTES: Routes = (
    SignedIn("/drafts/{draft}/message.eml", message),
    SignedIn("/drafts/{draft}/send", send, "POST"),
    SignedIn("/drafts/{draft}/group", group),
    SignedIn("/drafts/{draft}/group", approve_group, "POST"),
    SignedIn("/drafts/{draft}/group/options", ask_to_approve_group, "POST"),
)
