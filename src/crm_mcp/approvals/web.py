"""The approvals page: where a person sees what an agent would do, and says yes or no."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from ..db import Database
from .answers import fell, http_error
from .desk import Desk, Public, Routes
from .executor import Executor
from .guard import Guard
from .live import Live
from .pages import auditing, deciding, editing, grouping, listing, mailing, passkeys, signing, taking, watching
from .postern import Postern
from .render import HERE
from .sign_in_mail import Mailer

_STATIC = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "passkeys.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


def build_page(db: Database, *, origin: str, mailer: Mailer | None = None, live: Live | None = None) -> Starlette:
    """Return the page as an application.

    `db` connects as crm_approver; `origin` is where browsers find it; `mailer` sends links to who asks for one;
    `live` tells open pages what moved, without it they are reloaded by hand.
    """
    origin = origin.rstrip("/")
    desk = Desk(db, Executor(db), origin, Postern(db, mailer, origin), live)
    app = Starlette(
        routes=[at.route(desk) for at in ROUTES],
        middleware=[Middleware(Guard, origin=desk.origin, fallback=fell)],
        exception_handlers={HTTPException: http_error},
    )
    app.router.redirect_slashes = False
    app.state.desk = desk
    return app


async def health(desk: Desk, request: Request) -> Response:
    return PlainTextResponse("ok\n")


async def static(desk: Desk, request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _STATIC:
        raise HTTPException(404)
    return FileResponse(HERE / "static" / name, media_type=_STATIC[name])


ROUTES: Routes = (
    Public("/healthz", health),
    Public("/static/{name}", static),
    *passkeys.ROUTES,
    *signing.ROUTES,
    *listing.ROUTES,
    *deciding.ROUTES,
    *editing.ROUTES,
    *mailing.ROUTES,
    *grouping.ROUTES,
    *watching.ROUTES,
    *auditing.ROUTES,
    *taking.ROUTES,
)
