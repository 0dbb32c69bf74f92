"""E-mails: one as a file or queued to be sent, and a run of them read and approved together."""

from datetime import UTC, datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from ... import ids
from ...errors import Refusal
from .. import group as groups
from .. import keyring, letter
from ..desk import Desk, Routes, SignedIn, address_of, draft_in
from ..passkey import party_of
from ..render import page
from ..session import Session
from ..views import draft_of
from .deciding import show, signature_in
from .passkeys import HERE, NONE, cannot


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
    draft, form = draft_in(request), request.state.form
    seen = groups.seen_in(form.get("seen", "")[: 100 * groups.MOST])
    if seen is None:
        raise HTTPException(400)
    if (problem := groups.miscounted(form, seen)) is not None:
        return await _group(desk, who, draft, status=422, problem=problem)
    signature = signature_in(desk, request, who, tuple(seen.items()))
    results: dict[str, str] = {}
    for number, shown_hash in seen.items():
        try:
            outcome = await desk.executor.approve(who.who, number, shown_hash, signature)
            results[ids.show("drafts", number)] = outcome.state
        except Refusal as no:
            results[ids.show("drafts", number)] = no.hint
    return await _group(desk, who, draft, results=results)


async def ask_to_approve_group(desk: Desk, request: Request, who: Session) -> Response:
    """Ask for one signature over every e-mail that the form shows."""
    form = request.state.form
    seen = groups.seen_in(form.get("seen", "")[: 100 * groups.MOST])
    if seen is None:
        raise HTTPException(400)
    if (problem := groups.miscounted(form, seen)) is not None:
        return cannot(problem)
    if party_of(desk.origin) is None:
        return cannot(HERE)
    options = await keyring.ask_to_sign_all(desk.db, who, seen, desk.origin)
    return cannot(NONE) if options is None else JSONResponse(options)


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
    if not numbers:
        raise HTTPException(404)
    now = datetime.now(UTC)
    shown = [await desk.visible(who, number) for number in numbers]
    letters = [draft_of(one, [], who.who, now) for one in shown]
    signs = {ids.show("drafts", one.draft["id"]): one.passkey for one in shown if one.passkey is not None}
    has_passkey = bool(signs) and party_of(desk.origin) is not None
    has_passkey = has_passkey and bool((await keyring.keyring(desk.db, who.who)).own)
    can = [
        seen
        for seen in letters
        if seen.is_waiting
        and seen.hash
        and not seen.stale
        and not seen.may_not
        and (has_passkey or seen.item.id not in signs)
    ]
    passkey = next((signs[seen.item.id] for seen in can if seen.item.id in signs), None)
    said = {
        "letters": letters,
        "versions": {ids.show("drafts", one.draft["id"]): one.draft["version"] for one in shown},
        "can": can,
        "signs": signs,
        "passkey": passkey,
        "takes_passkeys": party_of(desk.origin) is not None,
        "problem": problem,
        "results": results,
    }
    return page("group.html", who, status=status, **said)


ROUTES: Routes = (
    SignedIn("/drafts/{draft}/message.eml", message),
    SignedIn("/drafts/{draft}/send", send, "POST"),
    SignedIn("/drafts/{draft}/group", group),
    SignedIn("/drafts/{draft}/group", approve_group, "POST"),
    SignedIn("/drafts/{draft}/group/options", ask_to_approve_group, "POST"),
)
