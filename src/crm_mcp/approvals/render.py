"""The page's templates: HTML escaped always, and nothing undefined."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from ..suspicious.finding import in_words, patterns_in
from .session import Session
from .text import has_hidden, visible
from .trail import may_see

HERE = Path(__file__).parent
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["visible"] = visible
_ENVIRONMENT.filters["hides"] = has_hidden
_ENVIRONMENT.filters["suspicion"] = lambda text: in_words(patterns_in(str(text)))


def page(template: str, session: Session | None, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a page for whoever is signed in."""
    searches = session is not None and may_see(session.who)
    shown = _ENVIRONMENT.get_template(template).render(session=session, searches=searches, **values)
    return HTMLResponse(shown, status)


def message(
    session: Session | None,
    status: int,
    title: str,
    text: str,
    *,
    command: str | None = None,
    refresh: str | None = None,
) -> HTMLResponse:
    """Render a page that says one thing; `refresh` is the path it goes on to by itself."""
    return page("message.html", session, status=status, title=title, text=text, command=command, refresh=refresh)
