"""A doorbell: a client that can open pages is asked to open a held draft's. Whatever it answers changes nothing.

Only the handshake protocol versions let a server ask while an answer is on its way. From 2026-07-28 on a question
takes the place of the answer and the client calls again: there the answer's link and the card do without a bell.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from mcp.server.session import ServerSession
from mcp.types import RequestId

from .app import App

RINGS = 600.0
"""Seconds until a client that says nothing is told that it need not open the page any more."""
MODERN = "2026-07-28"


async def ring(app: App, session: ServerSession, call: RequestId | None, answer: Mapping[str, Any]) -> None:
    """Ask for the page of a draft that this very call made, just before its answer and without waiting.

    The address is the one that the answer names: it signs nobody in. Over HTTP the question travels in the response
    to `call`, since not every client listens to anything else.
    """
    draft: Mapping[str, Any] = answer.get("draft", {})
    is_new = answer.get("type") == "approval_required" and not draft.get("alreadyWaiting")
    if app.rings and is_new and _opens_pages(session):
        app.beside(_ask(session, call, str(draft["id"]), str(answer["approvalActions"][0]["url"])))
        await asyncio.sleep(0)  # the question is on its way now, the answer behind it


def _opens_pages(session: ServerSession) -> bool:
    said = session.client_capabilities
    return session.protocol_version < MODERN and bool(said and said.elicitation and said.elicitation.url is not None)


async def _ask(session: ServerSession, call: RequestId | None, draft: str, url: str) -> None:
    message = f"{draft} waits for a person to decide on the approvals page. Nothing has changed yet."
    async with asyncio.timeout(RINGS):
        await session.elicit_url(message, url, f"crm-{draft}", call)
