"""The card in the chat, as a client is told of it; light, since every start imports it."""

from collections.abc import Mapping
from typing import Any

from ...jsonvalue import is_array, is_object
from ...tool import CARD

URI = CARD
MIME_TYPE = "text/html;profile=mcp-app"
EXTENSION = "io.modelcontextprotocol/ui"
"""The extension's name, written out: the SDK's module of it imports the whole of its other server."""
NAME = "Draft card"
DESCRIPTION = "A held call in the chat: what it would do; edit, withdraw, open the approvals page. It cannot approve."
META: Mapping[str, Any] = {"ui": {"csp": {}, "prefersBorder": True}}
"""No network at all, and the host's border around it."""
DETAILS = "crm/draft"
"""The key of a result's _meta under which the card finds what a model is not told."""


def is_shown_by(extensions: Mapping[str, Any] | None) -> bool:
    """Say whether a client that declared these extensions shows cards."""
    settings: object = (extensions or {}).get(EXTENSION)
    kinds: object = settings.get("mimeTypes") if is_object(settings) else None
    return is_array(kinds) and MIME_TYPE in kinds
