"""Pages that say one thing: sign in, this link is spent, not here, something went wrong."""

import re

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..errors import Refusal
from .render import message, page

FOR_PEOPLE = "This page is for people who approve what agents draft."
LATE = "late"
"""Query parameter: the draft had been decided when this person answered."""
STATUS = {
    "CHANGED_SINCE_SHOWN": 409,
    "NOT_AN_APPROVER": 403,
    "BUSY": 503,
    "DATABASE_UNAVAILABLE": 503,
    "PASSKEY_NEEDED": 403,
    "PASSKEY_UNKNOWN": 403,
    "PASSKEY_CLONED": 403,
}
_BOUNCED = "here"
_LOCAL = re.compile(
    r"/(?:history|passkeys|exports|exports/exp_[1-9]\d{0,17}(?:/file)?|audit|audit/calls/[1-9]\d{0,18}|drafts/draft_[1-9]\d{0,17}(?:/edit|/group)?)?",
    re.ASCII,
)
_ERRORS = {
    400: ("That could not be read", "The form arrived damaged. Go back and try again."),
    404: ("Nothing here", "There is no such page, draft or export."),
    405: ("Not like that", "This address does not take what was sent."),
    413: ("Too large", "The form is larger than this page takes."),
    415: ("That could not be read", "This page takes only its own forms."),
}


def local(path: str | None) -> str:
    """Return one of this page's own addresses: the one given, else the queue."""
    return path if path is not None and _LOCAL.fullmatch(path) else "/"


def sign_in_first(request: Request, *, mails: bool) -> Response:
    """Say how to sign in, or come back once: after a link on another site, browsers hold a Strict cookie back."""
    came_from_elsewhere = request.headers.get("sec-fetch-site", "") in ("cross-site", "same-site")
    if request.method == "GET" and came_from_elsewhere and _BOUNCED not in request.query_params:
        again = f"{local(request.url.path)}?{_BOUNCED}=1"
        return message(None, 200, "One moment", "The page is opening.", refresh=again)
    return door("Sign in first", FOR_PEOPLE, mails=mails, status=401, then=local(request.url.path))


def link_is_spent(*, mails: bool) -> Response:
    return door("This link no longer works", "It was used before, or is too old.", mails=mails, status=403)


def door(title: str, text: str, *, mails: bool, status: int = 200, then: str = "/", asked: bool = False) -> Response:
    """Return the page on which somebody asks for a link, or reads where one comes from."""
    return page("door.html", None, status=status, title=title, text=text, mails=mails, next=then, asked=asked)


async def http_error(request: Request, problem: Exception) -> Response:
    status = problem.status_code if isinstance(problem, HTTPException) else 500
    title, text = _ERRORS.get(status, ("That did not work", "This page cannot do that."))
    return message(None, status, title, text)


def fell(request: Request, refusal: Refusal | None) -> Response:
    """Return the page of a crash, or of a problem that passes."""
    if refusal is not None:
        return message(None, STATUS.get(refusal.error, 503), "Not right now", refusal.hint)
    text = "It was not your doing. If you were deciding a draft, open it again: it says what was done, if anything."
    return message(None, 500, "Something went wrong", text)
