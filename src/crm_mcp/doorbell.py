"""A doorbell: a client that can open pages is asked to open a held draft's. Whatever it answers changes nothing.

Only the handshake protocol versions let a server ask while an answer is on its way. From 2026-07-28 on a question
takes the place of the answer and the client calls again: there the answer's link and the card do without a bell.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from mcp.server.session import ServerSession

from .app import App

RINGS = 600.0
"""Seconds until a client that says nothing is told that it need not open the page any more."""
MODERN = "2026-07-28"


def ring(app: App, session: ServerSession, answer: Mapping[str, Any]) -> None:
    """Ask for the page of a draft that this very call made, beside the answer and without waiting.

    The address is the one that the answer names: it signs nobody in.
    """
    draft: Mapping[str, Any] = answer.get("draft", {})
    is_new = answer.get("type") == "approval_required" and not draft.get("alreadyWaiting")
    if app.rings and is_new and _opens_pages(session):
        app.beside(_ask(session, str(draft["id"]), str(answer["approvalActions"][0]["url"])))


def _opens_pages(session: ServerSession) -> bool:
    said = session.client_capabilities
    return session.protocol_version < MODERN and bool(said and said.elicitation and said.elicitation.url is not None)


async def _ask(session: ServerSession, draft: str, url: str) -> None:
    message = f"{draft} waits for a person to decide on the approvals page. Nothing has changed yet."
    async with asyncio.timeout(RINGS):
        await session.elicit_url(message, url, f"crm-{draft}")
