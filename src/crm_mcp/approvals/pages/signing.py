"""Signing in by a one-time link, asking for one, and signing out."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from .. import session
from ..answers import FOR_PEOPLE, door, link_is_spent, local
from ..desk import Desk, Public, Routes, SignedIn
from ..forms import form_of
from ..render import message, page
from ..session import Session, session_of


async def offer_login(desk: Desk, request: Request) -> Response:
    """Ask before the link is used, so that what previews links does not use it up."""
    secret = request.path_params["secret"]
    if not session.is_secret(secret):
        return link_is_spent(mails=desk.postern.is_open)
    return page("login.html", None, secret=secret, next=local(request.query_params.get("next")))


async def login(desk: Desk, request: Request) -> Response:
    form = await form_of(request)
    was = await session_of(desk.db, request)
    secret = await session.begin(desk.db, form.get("secret", ""))
    if secret is None and was is None:
        return link_is_spent(mails=desk.postern.is_open)
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


async def knock(desk: Desk, request: Request) -> Response:
    then = local(request.query_params.get("next"))
    return door("Sign in to approvals", FOR_PEOPLE, mails=desk.postern.is_open, then=then)


async def mail_link(desk: Desk, request: Request) -> Response:
    """Have a link mailed; who is known and who is not hears the same."""
    form = await form_of(request)
    peer = request.client.host if request.client else ""
    if not desk.postern.ask(form.get("email", ""), peer, local(form.get("next"))):
        return message(None, 429, "Too many at once", "Try again in a quarter of an hour.")
    return door("Look into your mail", "", mails=desk.postern.is_open, asked=desk.postern.is_open)


ROUTES: Routes = (
    Public("/login", knock),
    Public("/login/mail", mail_link, "POST"),
    Public("/login/{secret}", offer_login),
    Public("/login", login, "POST"),
    SignedIn("/logout", logout, "POST"),
)
