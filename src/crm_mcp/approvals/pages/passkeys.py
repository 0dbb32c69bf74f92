"""Passkeys: one's own and others', the questions a browser puts to them, and signing in by one."""

from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from ...errors import Refusal, refusal_for
from ...invisible import is_blank
from ...principal import Principal
from .. import keyring, session
from ..answers import STATUS, door, local
from ..cells import zone_of
from ..desk import Desk, Public, Routes, SignedIn, draft_in
from ..forms import form_of
from ..keyring import LONGEST_NAME, MOST, Passkey
from ..passkey import NotVerified, party_of
from ..render import page
from ..session import Session, session_of
from ..views import Time, time_of

_DONE = {"added": "The passkey was added.", "renamed": "It has its new name.", "revoked": "The passkey was revoked."}
_OLD = "You signed in more than ten minutes ago. Sign in again to add a passkey."
NONE = "You have no passkey yet: add one first."
HERE = "Browsers keep no passkeys for this address."


@dataclass(frozen=True, slots=True)
class Row:
    """A passkey as the page lists it."""

    id: int
    person: str
    name: str
    created: Time
    last_used: Time | None


async def passkeys(desk: Desk, request: Request, who: Session) -> Response:
    return await _show(desk, who, done=_DONE.get(request.query_params.get("done", "")))


async def _show(
    desk: Desk,
    who: Session,
    *,
    status: int = 200,
    problem: str | None = None,
    done: str | None = None,
    name: str = "",
    name_problem: str | None = None,
) -> Response:
    ring, now = await keyring.keyring(desk.db, who.who), datetime.now(UTC)
    return page(
        "passkeys.html",
        who,
        status=status,
        own=[_row(one, who.who, now) for one in ring.own],
        others=[_row(one, who.who, now) for one in ring.others],
        takes_passkeys=party_of(desk.origin) is not None,
        fresh=await keyring.is_fresh(desk.db, who),
        origin=desk.origin,
        problem=problem,
        done=done,
        name=name,
        name_problem=name_problem,
    )


async def ask_to_enrol(desk: Desk, request: Request, who: Session) -> Response:
    if party_of(desk.origin) is None:
        return cannot(HERE)
    options = await keyring.ask_to_enrol(desk.db, who, desk.origin)
    return cannot(_OLD) if options is None else JSONResponse(options)


async def enrol(desk: Desk, request: Request, who: Session) -> Response:
    """Add a passkey that a browser made."""
    name, wrong = _name_in(request)
    if wrong is not None:
        return await _show(desk, who, status=422, name=name, name_problem=wrong)
    try:
        made = await keyring.enrol(desk.db, who, request.state.form.get("credential", ""), name, desk.origin)
    except NotVerified as no:
        return await _show(desk, who, status=409, name=name, problem=no.hint)
    if not made:
        problem = (
            f"That took more than five minutes, or you have {MOST} passkeys already, or this one twice. Try again."
        )
        return await _show(desk, who, status=409, name=name, problem=problem)
    return RedirectResponse("/passkeys?done=added", 303)


async def rename(desk: Desk, request: Request, who: Session) -> Response:
    name, wrong = _name_in(request)
    if wrong is not None:
        return await _show(desk, who, status=422, problem=wrong)
    if not await keyring.rename(desk.db, who.who, _number_in(request), name):
        raise HTTPException(404)
    return RedirectResponse("/passkeys?done=renamed", 303)


async def revoke(desk: Desk, request: Request, who: Session) -> Response:
    """Revoke one's own passkey, or as an administrator another's."""
    if not await keyring.revoke(desk.db, who.who, _number_in(request)):
        raise HTTPException(404)
    return RedirectResponse("/passkeys?done=revoked", 303)


async def ask_to_sign_in(desk: Desk, request: Request) -> Response:
    if party_of(desk.origin) is None:
        return cannot(HERE)
    return JSONResponse(await keyring.ask_to_sign_in(desk.db, desk.origin))


async def ask_again(desk: Desk, request: Request, who: Session) -> Response:
    """Ask for one of their own passkeys, to sign in anew with."""
    ring = await keyring.keyring(desk.db, who.who)
    if party_of(desk.origin) is None or not ring.own:
        return cannot(NONE)
    return JSONResponse(await keyring.ask_to_sign_in(desk.db, desk.origin, [one.known for one in ring.own]))


async def sign_in(desk: Desk, request: Request) -> Response:
    """Begin a session by a passkey, in place of one that there may have been."""
    form = await form_of(request)
    was = await session_of(desk.db, request)
    try:
        secret = await keyring.enter(desk.db, form.get("credential", ""), desk.origin)
    except Exception as problem:
        refusal = refusal_for(problem)
        if refusal is None:
            raise
        return _not_in(desk, refusal)
    if secret is None:
        return _not_in(
            desk, Refusal("PASSKEY_UNKNOWN", "This passkey was revoked, is not known here, or took too long.")
        )
    answer = RedirectResponse(local(form.get("next")), 303)
    session.give(answer, secret, secure=desk.is_secure)
    if was is not None:
        await session.end(desk.db, was)
    return answer


async def ask_to_approve(desk: Desk, request: Request, who: Session) -> Response:
    return await _ask_to_decide(desk, request, who, "approved")


async def ask_to_reject(desk: Desk, request: Request, who: Session) -> Response:
    return await _ask_to_decide(desk, request, who, "rejected")


async def _ask_to_decide(desk: Desk, request: Request, who: Session, decision: str) -> Response:
    """Ask for a signature over what the form shows; whether that is what the draft does, the executor sees."""
    draft, seen = draft_in(request), request.state.form.get("hash", "")[:64]
    if party_of(desk.origin) is None:
        return cannot(HERE)
    options = await keyring.ask_to_sign(desk.db, who, draft, seen, decision, desk.origin)
    return cannot(NONE) if options is None else JSONResponse(options)


def _row(one: Passkey, who: Principal, now: datetime) -> Row:
    zone = zone_of(who.timezone)
    used = None if one.last_used is None else time_of(one.last_used, zone, now)
    return Row(one.id, one.person_name, one.name, time_of(one.created, zone, now), used)


def _name_in(request: Request) -> tuple[str, str | None]:
    """Return the name in a form, and what is wrong with it."""
    name = request.state.form.get("name", "").strip()
    if is_blank(name) or "\0" in name or len(name) > LONGEST_NAME:
        return name.replace("\0", "")[:LONGEST_NAME], f"Give it a name of at most {LONGEST_NAME} characters."
    return name, None


def _number_in(request: Request) -> int:
    """Return the number of the passkey in an address.

    Raises:
        HTTPException: 404.
    """
    text = request.path_params["passkey"]
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise HTTPException(404)
    return int(text)


def cannot(problem: str) -> Response:
    """Tell the script why a browser is asked for nothing."""
    return JSONResponse({"problem": problem}, 409)


def _not_in(desk: Desk, no: Refusal) -> Response:
    status = STATUS.get(no.error, 403)
    return door("You are not signed in", no.hint, mails=desk.postern.is_open, status=status)


ROUTES: Routes = (
    SignedIn("/passkeys", passkeys),
    SignedIn("/passkeys", enrol, "POST"),
    SignedIn("/passkeys/options", ask_to_enrol, "POST"),
    SignedIn("/passkeys/again", ask_again, "POST"),
    SignedIn("/passkeys/{passkey}/rename", rename, "POST"),
    SignedIn("/passkeys/{passkey}/revoke", revoke, "POST"),
    Public("/login/passkey/options", ask_to_sign_in, "POST"),
    Public("/login/passkey", sign_in, "POST"),
    SignedIn("/drafts/{draft}/approve/options", ask_to_approve, "POST"),
    SignedIn("/drafts/{draft}/reject/options", ask_to_reject, "POST"),
)
