"""Signing in by a one-time link, and signing out."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from .. import session
from ..answers import link_is_spent, local
from ..desk import Desk, Public, Routes, SignedIn
from ..forms import form_of
from ..render import message, page
from ..session import Session, session_of


async def offer_login(desk: Desk, request: Request) -> Response:
    """Ask before the link is used, so that what previews links does not use it up."""
    secret = request.path_params["secret"]
    if not session.is_secret(secret):
        return link_is_spent()
    return page("login.html", None, secret=secret, next=local(request.query_params.get("next")))


async def login(desk: Desk, request: Request) -> Response:
    form = await form_of(request)
    was = await session_of(desk.db, request)
    secret = await session.begin(desk.db, form.get("secret", ""))
    if secret is None and was is None:
        return link_is_spent()
    answer = RedirectResponse(local(form.get("next")), 303)
    if secret is not None:
        session.give(answer, secret, secure=desk.is_secure)
        if was is not None:
            await session.end(desk.db, was)
    return answer


async def logout(desk: Desk, request: Request, who: Session) -> Response:
    await session.end(desk.db, who)
    answer = message(None, 200, "You are signed out", "To come back, run", command="crm-mcp open")
    session.take(answer, secure=desk.is_secure)
    return answer


ROUTES: Routes = (
    Public("/login/{secret}", offer_login),
    Public("/login", login, "POST"),
    SignedIn("/logout", logout, "POST"),
)
