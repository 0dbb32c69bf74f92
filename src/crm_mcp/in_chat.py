"""The pages that a client shows in the chat (MCP Apps): listed, read, and told what no model is."""

from typing import Any

import mcp.types as t

from .app import App
from .catalog import rows
from .envelope import Envelope
from .resources.ui import card, pages


def are_shown_by(capabilities: t.ClientCapabilities | None) -> bool:
    """Say whether a client that declared these capabilities shows pages.

    A handshake declares them once; from 2026-07-28 on each request does.
    """
    return capabilities is not None and card.is_shown_by(capabilities.extensions)


def listed() -> list[t.Resource]:
    """Return the card and the pages as resources."""
    told = {card.URI: (card.NAME, card.DESCRIPTION)} | {
        uri: (page.name, page.description) for uri, page in pages.PAGES.items()
    }
    return [
        t.Resource(uri=uri, name=name, description=said, mime_type=card.MIME_TYPE, _meta=dict(card.META))
        for uri, (name, said) in told.items()
    ]


def read(uri: str) -> t.ReadResourceResult | None:
    """Return a page by its address: a document of this program, the same for everybody, which asks no database."""
    if uri != card.URI and uri not in pages.PAGES:
        return None
    from .resources.ui.document import document

    content = t.TextResourceContents(uri=uri, mime_type=card.MIME_TYPE, text=document(uri), _meta=dict(card.META))
    return t.ReadResourceResult(contents=[content])


def told(app: App, capabilities: t.ClientCapabilities | None, tool: str, answer: Envelope) -> dict[str, Any] | None:
    """Return what only a page in the chat is told of an answer, where the client shows one."""
    who = app.client.principal
    if who is None or not are_shown_by(capabilities):
        return None
    if answer.card is not None:
        from .resources.ui.details import details

        return {card.DETAILS: details(answer.card, app.catalog, who)}
    if answer.whole is not None:
        uri = rows()[tool]["wire"]["_meta"]["ui"]["resourceUri"]
        return {pages.WHOLE: pages.whole(uri, answer.whole, app.catalog, who)}
    return None
