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
from .pages import deciding, listing, mailing, signing
from .postern import Postern
from .render import HERE
from .sign_in_mail import Mailer

_STATIC = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


def build_page(db: Database, *, origin: str, mailer: Mailer | None = None) -> Starlette:
    """Return the page as an application.

    `db` connects as crm_approver; `origin` is where browsers find it; `mailer` sends links to who asks for one.
    """
    origin = origin.rstrip("/")
    desk = Desk(db, Executor(db), origin, Postern(db, mailer, origin))
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
    *signing.ROUTES,
    *listing.ROUTES,
    *deciding.ROUTES,
    *mailing.ROUTES,
)
