"""A waiting draft edited: its arguments as a form, saved as its next version, which is then looked at anew."""

import re
from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ...errors import Refusal, sqlstate
from .. import editing, fields
from ..answers import STATUS
from ..cells import zone_of
from ..desk import Desk, Routes, SignedIn, address_of, draft_in
from ..editing import Opened
from ..fields import NotThisForm, Typed
from ..forms import Bounds, reason_of
from ..render import message, page
from ..rerun import BROKEN
from ..session import Session
from ..text import label

BOUNDS = Bounds(largest=512_000, fields=2_000)
"""A letter of 20,000 characters, each nine bytes once it is encoded, and a hundred lines of five fields."""
_OWN = frozenset({"csrf", "version", "reason", "add"})
_VERSION = re.compile(r"[1-9]\d{0,8}", re.ASCII)
_MORE = 5
"""Rows that pressing "More rows" adds."""


async def form(desk: Desk, request: Request, who: Session) -> Response:
    draft = draft_in(request)
    found = await _opened(desk, who, draft)
    if not editing.may_edit(who.who, found.held.requester):
        return message(who, 403, "You may not edit this", "Only whoever asked for it and who may approve can.")
    if found.state != "pending":
        return RedirectResponse(address_of(draft), 303)
    zone = zone_of(who.who.timezone)
    return _shown(who, found, fields.prefilled(found.fields, found.args, zone))


async def save(desk: Desk, request: Request, who: Session) -> Response:
    draft, sent = draft_in(request), request.state.form
    found = await _opened(desk, who, draft)
    if not editing.may_edit(who.who, found.held.requester) or found.tool is None:
        return _shown(who, found, {}, status=403)
    typed, version = _typed(found, sent, who), str(sent.get("version", ""))
    reason, wrong = reason_of(sent)
    inputs = typed.inputs
    if "add" in sent:
        return _shown(who, found, inputs, reason=reason, spare={str(sent["add"])[:60]: _MORE})
    given = {**found.args, **typed.arguments}
    problems = fields.problems_of(found.tool, given, found.fields) | typed.problems
    if wrong is not None:
        problems["reason"] = wrong
    if problems:
        return _shown(who, found, inputs, status=422, reason=reason, problems=problems, version=version)
    try:
        if not _VERSION.fullmatch(version):
            raise HTTPException(400)
        await desk.executor.edit(who.who, draft, int(version), typed.arguments, reason)
    except Refusal as no:
        if no.error == "NOT_FOUND":
            raise HTTPException(404) from None
        status = 409 if no.error == "DRAFT_CHANGED" else STATUS.get(no.error, 422)
        blamed = str(no.context.get("argument", ""))
        known = {field.name for field in found.fields}
        problems = {blamed: no.hint} if blamed in known else {"": no.hint}
        again = await _opened(desk, who, draft)
        return _shown(
            who,
            again,
            inputs,
            status=status,
            reason=reason,
            problems=problems,
            was=version if status == 409 else None,
        )
    except DBAPIError as problem:
        if not (sqlstate(problem) or "").startswith("23"):
            raise
        said = {"": f"Like that {BROKEN}."}
        return _shown(who, found, inputs, status=422, reason=reason, problems=said, version=version)
    return RedirectResponse(address_of(draft), 303)


async def _opened(desk: Desk, who: Session, draft: int) -> Opened:
    found = await editing.opened(desk.db, who.who, draft)
    if found is None:
        raise HTTPException(404)
    return found


def _typed(found: Opened, sent: Mapping[str, str], who: Session) -> Typed:
    """Return what was typed.

    Raises:
        HTTPException: 400, the form holds a field that its page has not.
    """
    own = {name for name in sent if not name.startswith(fields.PREFIX)}
    if own - _OWN:
        raise HTTPException(400)
    inputs = {name.removeprefix(fields.PREFIX): text for name, text in sent.items() if name not in own}
    try:
        return fields.read(found.fields, inputs, found.args, zone_of(who.who.timezone))
    except NotThisForm:
        raise HTTPException(400) from None


def _shown(
    who: Session,
    found: Opened,
    inputs: Mapping[str, str],
    *,
    status: int = 200,
    reason: str = "",
    problems: Mapping[str, str] | None = None,
    spare: Mapping[str, int] | None = None,
    version: str | None = None,
    was: str | None = None,
) -> Response:
    """Show the form; `was` is the version that was edited, where another one or a decision came first."""
    rows = {
        field.name: fields.rows_of(field, inputs, (spare or {}).get(field.name, 0))
        for field in found.fields
        if field.columns
    }
    return page(
        "edit.html",
        who,
        status=status,
        found=found,
        action=label(found.held.tool),
        inputs=inputs,
        rows=rows,
        reason=reason,
        problems=defaultdict(str, problems or {}),
        version=version or str(found.held.version),
        meanwhile=was is not None,
        is_waiting=found.state == "pending",
        is_own=found.held.requester == who.who.user and found.held.agent is None,
    )


ROUTES: Routes = (
    SignedIn("/drafts/{draft}/edit", form),
    SignedIn("/drafts/{draft}/edit", save, "POST", BOUNDS),
)
