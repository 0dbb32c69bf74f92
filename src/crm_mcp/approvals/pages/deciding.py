"""One draft: seen by the approver's own run of it, then approved, rejected, withdrawn, or undone once approved."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ...errors import Refusal
from .. import group, keyring, letter, receipt
from .. import undo as undoing
from ..answers import LATE, STATUS
from ..cells import zone_of
from ..course import course_of
from ..desk import Desk, Routes, SignedIn, address_of, draft_in
from ..diff import Change, changes_of
from ..editing import may_edit
from ..forms import reason_of
from ..held import Outcome
from ..passkey import Signature, party_of
from ..render import page
from ..session import Session, digest_of
from ..trail import may_see
from ..views import draft_of

_CALL = re.compile(r"[1-9]\d{0,18}", re.ASCII)


async def draft(desk: Desk, request: Request, who: Session) -> Response:
    return await show(desk, who, draft_in(request), late=LATE in request.query_params)


async def show(
    desk: Desk,
    who: Session,
    draft: int,
    *,
    status: int = 200,
    problem: str | None = None,
    late: bool = False,
    reason: str = "",
    reason_problem: str | None = None,
    moved: Sequence[Change] = (),
) -> Response:
    """Show a draft with all that a decision needs, and what was wrong with the last one."""
    shown = await desk.visible(who, draft)
    call = shown.draft["decided_call"] if shown.draft["state"] == "approved" else None
    wrote = [] if call is None else await receipt.written(desk.db, who.who, draft, call)
    now = datetime.now(UTC)
    seen = draft_of(shown, wrote, who.who, now)
    email = letter.email_in(shown.draft)
    post = None if email is None else await letter.post_of(desk.db, who.who, email, now)
    is_mine = shown.draft["approver"] == who.who.user
    course = await course_of(desk.db, who.who, shown.draft, now)
    together = await group.members(desk.db, who.who, draft) if seen.is_waiting and seen.letter else []
    has_passkey = shown.passkey is not None and bool((await keyring.keyring(desk.db, who.who)).own)
    return page(
        "draft.html",
        who,
        status=status,
        draft=seen,
        passkey=shown.passkey,
        has_passkey=has_passkey,
        takes_passkeys=party_of(desk.origin) is not None,
        post=post,
        together=len(together),
        may_send=who.who.may_approve and who.who.may_send_email,
        problem=problem,
        reason=reason,
        reason_problem=reason_problem,
        is_mine=is_mine,
        course=course,
        moved=moved,
        may_edit=seen.is_waiting and may_edit(who.who, shown.draft["requester"]),
        version=shown.draft["version"],
        call=shown.draft["decided_call"] or shown.draft["call_id"] if may_see(who.who) else None,
        late=late and not seen.is_waiting and not is_mine,
    )


async def refused(desk: Desk, who: Session, draft: int, no: Refusal) -> Response:
    """Show the draft anew, with why nothing was done."""
    if no.error == "NOT_FOUND":
        raise HTTPException(404)
    return await show(desk, who, draft, status=STATUS.get(no.error, 409), problem=no.hint)


async def approve(desk: Desk, request: Request, who: Session) -> Response:
    draft, seen = draft_in(request), request.state.form.get("hash", "")[:200]
    try:
        outcome = await desk.executor.approve(who.who, draft, seen, signature_in(desk, request, who))
    except Refusal as no:
        return await refused(desk, who, draft, no)
    return _decided(request, draft, outcome)


async def reject(desk: Desk, request: Request, who: Session) -> Response:
    draft, seen = draft_in(request), request.state.form.get("hash", "")[:200]
    reason, wrong = reason_of(request.state.form)
    if wrong is not None:
        return await show(desk, who, draft, status=422, reason=reason, reason_problem=wrong)
    try:
        outcome = await desk.executor.reject(who.who, draft, reason, seen, signature_in(desk, request, who))
    except Refusal as no:
        return await refused(desk, who, draft, no)
    return _decided(request, draft, outcome)


async def discard(desk: Desk, request: Request, who: Session) -> Response:
    draft = draft_in(request)
    if await desk.executor.discard(who.who, draft):
        return RedirectResponse(address_of(draft), 303)
    problem = "Only whoever drafted it can withdraw it, and only while it waits."
    return await show(desk, who, draft, status=409, problem=problem)


async def undo(desk: Desk, request: Request, who: Session) -> Response:
    """Draft the undo of an approved draft, and show it."""
    draft = draft_in(request)
    await desk.visible(who, draft)
    reason, wrong = reason_of(request.state.form)
    if wrong is not None:
        return await show(desk, who, draft, status=422, reason=reason, reason_problem=wrong)
    try:
        return RedirectResponse(address_of(await undoing.propose(desk.db, who.who, draft, reason)), 303)
    except Refusal as no:
        if no.error != "CHANGED_SINCE":
            return await refused(desk, who, draft, no)
    rows = await undoing.moved(desk.db, who.who, draft)
    moved = changes_of(rows, who.who.currency, zone_of(who.who.timezone))
    problem = "What it did was changed again since. Undo that first, or change it anew; below is what moved."
    return await show(desk, who, draft, status=409, problem=problem, reason=reason, moved=moved)


def signature_in(
    desk: Desk, request: Request, who: Session, among: Sequence[tuple[int, str]] = ()
) -> Signature | None:
    """Return what a passkey signed, where a form brings it; `among` is the list that a signature of several covers."""
    credential = request.state.form.get("credential", "")
    return Signature(credential, desk.origin, digest_of(who.secret), among) if credential else None


def _decided(request: Request, draft: int, outcome: Outcome) -> Response:
    """Go back to the draft, which now says how it was decided, by whom, and what was done; or to the group it came from."""
    call = request.state.form.get("group", "")
    if outcome.won and _CALL.fullmatch(call):
        return RedirectResponse(f"/groups/{call}", 303)
    return RedirectResponse(address_of(draft) + ("" if outcome.won else f"?{LATE}=1"), 303)


ROUTES: Routes = (
    SignedIn("/drafts/{draft}", draft),
    SignedIn("/drafts/{draft}/approve", approve, "POST"),
    SignedIn("/drafts/{draft}/reject", reject, "POST"),
    SignedIn("/drafts/{draft}/discard", discard, "POST"),
    SignedIn("/drafts/{draft}/undo", undo, "POST"),
)
