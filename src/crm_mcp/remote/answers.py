"""What the server says before any MCP is spoken: a status, and a sentence that MCP clients show."""

import json
from collections.abc import Mapping

from starlette.responses import Response

INVALID_REQUEST, INTERNAL_ERROR = -32600, -32603


def said(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer whose body is a JSON-RPC error: a client's library gives its message to the person."""
    code = INVALID_REQUEST if status < 500 else INTERNAL_ERROR
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": sentence}}
    return Response(json.dumps(body), status, dict(headers or {}), "application/json")


def unauthorized(bears_something: bool) -> Response:
    """Return the one answer to no key, a wrong, an expired and a revoked one."""
    challenge = 'Bearer realm="crm-mcp"' + (', error="invalid_token"' if bears_something else "")
    sentence = "A valid API key is needed: Authorization: Bearer crm_… (crm-mcp keys create)."
    return said(401, sentence, {"WWW-Authenticate": challenge})


def too_many(sentence: str, seconds: int) -> Response:
    return said(429, sentence, {"Retry-After": str(seconds)})


def unavailable(sentence: str, seconds: int = 5) -> Response:
    return said(503, sentence, {"Retry-After": str(seconds)})
