"""What the page's handlers share, and how a handler is tied to an address."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import wraps

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .. import ids
from ..db import Database
from ..errors import Refusal
from . import receipt
from .answers import sign_in_first
from .executor import Executor
from .forms import form_of
from .held import Shown
from .postern import Postern
from .render import message
from .session import Session, session_of


@dataclass(frozen=True, slots=True)
class Desk:
    """The page of one origin. `db` connects as crm_approver, as does the executor."""

    db: Database
    executor: Executor
    origin: str
    postern: Postern

    @property
    def is_secure(self) -> bool:
        return self.origin.startswith("https:")

    async def visible(self, who: Session, draft: int) -> Shown:
        """Run a draft dry, for somebody who may see it; another org's is as unknown as one that never was.

        Raises:
            HTTPException: 404.
        """
        shown = await self.executor.show(who.who, draft)
        if shown is None or not (receipt.sees_every_draft(who.who) or shown.draft["requester"] == who.who.user):
            raise HTTPException(404)
        return shown


ForAnybody = Callable[[Desk, Request], Awaitable[Response]]
ForPeople = Callable[[Desk, Request, Session], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Public:
    """An address that needs no session."""

    path: str
    handler: ForAnybody
    method: str = "GET"

    def route(self, desk: Desk) -> Route:
        @wraps(self.handler)
        async def endpoint(request: Request) -> Response:
            return await self.handler(desk, request)

        return Route(self.path, endpoint, methods=[self.method])


@dataclass(frozen=True, slots=True)
class SignedIn:
    """An address for people who are signed in; a form's token is checked here, for every one."""

    path: str
    handler: ForPeople
    method: str = "GET"

    def route(self, desk: Desk) -> Route:
        @wraps(self.handler)
        async def endpoint(request: Request) -> Response:
            found = await session_of(desk.db, request)
            if found is None:
                return sign_in_first(request, mails=desk.postern.is_open)
            if request.method == "POST":
                form = await form_of(request)
                if not found.owns(form.get("csrf", "")):
                    return message(found, 403, "That form is out of date", "Nothing was done. Open the page again.")
                request.state.form = form
            return await self.handler(desk, request, found)

        return Route(self.path, endpoint, methods=[self.method])


Routes = Sequence[Public | SignedIn]


def draft_in(request: Request) -> int:
    """Return the number of the draft in an address.

    Raises:
        HTTPException: 404.
    """
    try:
        return ids.parse("drafts", request.path_params["draft"])
    except Refusal:
        raise HTTPException(404) from None


def address_of(draft: int) -> str:
    return f"/drafts/{ids.show('drafts', draft)}"
