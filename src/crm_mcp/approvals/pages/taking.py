"""Exports: listed, shown, downloaded and deleted, by whom they were made for and administrators."""

from datetime import UTC, datetime
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from ... import ids
from ...errors import Refusal
from .. import taking
from ..desk import Desk, Routes, SignedIn
from ..render import page
from ..session import Session
from ..taking import Taken

GONE = "gone"


async def listed(desk: Desk, request: Request, who: Session) -> Response:
    found = await taking.there_are(desk.db, who.who, datetime.now(UTC))
    own = [one for one in found if one.is_mine]
    others = [one for one in found if not one.is_mine]
    return page("exports.html", who, own=own, others=others, gone=GONE in request.query_params)


async def one(desk: Desk, request: Request, who: Session) -> Response:
    return page("export.html", who, export=await _there(desk, request, who))


async def file(desk: Desk, request: Request, who: Session) -> Response:
    """Give the file, as one that is saved and never shown; a HEAD is told what it is, and takes nothing."""
    export = await _there(desk, request, who)
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._-") else "_" for c in export.name)
    headers = {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(export.name, safe='')}",
        "Content-Length": str(export.size),
        "Accept-Ranges": "none",
    }
    media_type = taking.MEDIA_TYPES[export.format]
    if request.method == "HEAD":
        return Response(headers=headers, media_type=media_type)
    await taking.note_download(desk.db, who.who, export)
    parts = taking.bytes_of(desk.db, who.who, export.number)
    return StreamingResponse(parts, headers=headers, media_type=media_type)


async def delete(desk: Desk, request: Request, who: Session) -> Response:
    export = await _there(desk, request, who)
    await taking.end(desk.db, who.who, export.number)
    return RedirectResponse(f"/exports?{GONE}=1", 303)


async def _there(desk: Desk, request: Request, who: Session) -> Taken:
    """Return the export of an address.

    Raises:
        HTTPException: 404; another person's, another org's and one that has expired are as one that never was.
    """
    try:
        number = ids.parse("exports", request.path_params["export"])
    except Refusal:
        raise HTTPException(404) from None
    found = await taking.there_are(desk.db, who.who, datetime.now(UTC), number)
    if not found:
        raise HTTPException(404)
    return found[0]


ROUTES: Routes = (
    SignedIn("/exports", listed),
    SignedIn("/exports/{export}", one),
    SignedIn("/exports/{export}/file", file),
    SignedIn("/exports/{export}/delete", delete, "POST"),
)
