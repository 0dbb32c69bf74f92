"""Forms as they arrive: small, urlencoded, UTF-8, and trusted with nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

from ..invisible import is_blank

LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a form may be, in bytes; a reason of 500 characters takes at most 6,000."""

    largest: int = 16_384
    fields: int = 10


SMALL = Bounds()


async def form_of(request: Request, bounds: Bounds = SMALL) -> Mapping[str, str]:
    """Read a form.

    Raises:
        HTTPException: 413 too large, 415 not a form, 400 malformed.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > bounds.largest:
            raise HTTPException(413)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=bounds.fields, errors="strict")
    except ValueError:
        raise HTTPException(400) from None
    if len({name for name, _ in pairs}) != len(pairs):
        raise HTTPException(400)
    return dict(pairs)


def reason_of(form: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the reason of a rejection or an undo, and what is wrong with it."""
    reason = form.get("reason", "").replace("\r\n", "\n").strip()
    if is_blank(reason):
        return reason, "Say why: somebody will want to know."
    if len(reason) > LONGEST_REASON:
        return reason, f"That is {len(reason)} characters; keep it to {LONGEST_REASON}."
    if "\0" in reason:
        return reason.replace("\0", ""), "It held a character that cannot be stored, now left out. Send it again."
    return reason, None
