"""Several drafts read and decided at one sitting: each by the approver's own run of it, each for itself."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ... import ids
from ...errors import Refusal
from .. import group, keyring
from ..desk import Desk
from ..passkey import party_of
from ..session import Session
from ..views import Draft, draft_of
from .deciding import signature_in
from .passkeys import HERE, NONE, cannot


class Together(NamedTuple):
    """Drafts as they are shown: those this person can approve now, and which need a passkey, for what reason."""

    drafts: Sequence[Draft]
    versions: Mapping[str, int]
    can: Sequence[Draft]
    signs: Mapping[str, str]
    passkey: str | None
    takes_passkeys: bool

    def said(self) -> dict[str, Any]:
        return self._asdict()


async def read(desk: Desk, who: Session, numbers: Sequence[int]) -> Together:
    """Run each draft dry for somebody who may see it.

    Raises:
        HTTPException: 404, where there is none, or one that is not theirs to see.
    """
    if not numbers:
        raise HTTPException(404)
    now, takes = datetime.now(UTC), party_of(desk.origin) is not None
    shown = [await desk.visible(who, number) for number in numbers]
    drafts = [draft_of(one, [], who.who, now) for one in shown]
    signs = {ids.show("drafts", one.draft["id"]): one.passkey for one in shown if one.passkey is not None}
    has_passkey = bool(signs) and takes and bool((await keyring.keyring(desk.db, who.who)).own)
    can = [
        seen
        for seen in drafts
        if seen.is_waiting
        and seen.hash
        and not seen.stale
        and not seen.may_not
        and (has_passkey or seen.item.id not in signs)
    ]
    passkey = next((signs[seen.item.id] for seen in can if seen.item.id in signs), None)
    versions = {ids.show("drafts", one.draft["id"]): one.draft["version"] for one in shown}
    return Together(drafts, versions, can, signs, passkey, takes)


def seen_in(request: Request) -> dict[int, str]:
    """Return which drafts a form says were shown, under which hash.

    Raises:
        HTTPException: 400, where the form is not of this page's making.
    """
    seen = group.seen_in(request.state.form.get("seen", "")[: 100 * group.MOST])
    if seen is None:
        raise HTTPException(400)
    return seen


async def approve(desk: Desk, request: Request, who: Session, seen: Mapping[int, str]) -> dict[str, str]:
    """Approve each draft that was shown, with one signature where they need it; return what became of each."""
    signature = signature_in(desk, request, who, tuple(seen.items()))
    results: dict[str, str] = {}
    for number, shown_hash in seen.items():
        try:
            outcome = await desk.executor.approve(who.who, number, shown_hash, signature)
            results[ids.show("drafts", number)] = outcome.state
        except Refusal as no:
            results[ids.show("drafts", number)] = no.hint
    return results


async def ask_to_sign(desk: Desk, who: Session, seen: Mapping[int, str]) -> Response:
    """Ask for one signature over every draft that the form shows."""
    if party_of(desk.origin) is None:
        return cannot(HERE)
    options = await keyring.ask_to_sign_all(desk.db, who, seen, desk.origin)
    return cannot(NONE) if options is None else JSONResponse(options)
