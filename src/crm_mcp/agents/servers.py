"""How an agent's MCP client is opened, and what a call through it comes to."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any, NamedTuple

from mcp import Client, MCPError, StdioServerParameters
from mcp.types import Implementation, TextContent, TextResourceContents
from pydantic_ai.tools import ToolDefinition

from .. import __version__
from ..config import Settings, agents_environment
from ..jsonvalue import is_array, is_object
from ..principal import Agent
from .journal import Waiting

Opens = Callable[[Agent], AbstractAsyncContextManager[Client]]
"""Opens a client of a server that serves one agent of the person whom the run is for."""
CONTEXT = "crm://context/me"
KEY = "idempotency_key"


class Answered(NamedTuple):
    """What the server said to a call: as text for a model, whether it is an error, and what of it waits or no longer does."""

    text: str
    is_error: bool
    said: str
    waiting: Sequence[Waiting] = ()
    decided: Sequence[str] = ()
    degraded: Mapping[str, str] = MappingProxyType({})
    """What the server worked without, and what it did instead."""


def stdio(settings: Settings, email: str | None, org: str | None) -> Opens:
    """Return what starts `crm-mcp serve --agent X` of this very installation as a subprocess."""
    who = [word for option, value in (("--user", email), ("--org", org)) if value for word in (option, value)]

    def opens(agent: Agent) -> Client:
        server = StdioServerParameters(
            command=sys.executable,
            args=["-P", "-m", "crm_mcp", "serve", "--agent", agent.value, *who],
            env=agents_environment(settings.home),
        )
        return Client(server, client_info=Implementation(name="crm-mcp agents", version=__version__))

    return opens


async def tools_of(client: Client) -> list[ToolDefinition]:
    """Return what a model may call, as the server lists it for its agent."""
    return [
        ToolDefinition(name=tool.name, description=tool.description, parameters_json_schema=tool.input_schema)
        for tool in (await client.list_tools()).tools
    ]


async def context_of(client: Client) -> Any:
    """Return what the server knows of the person, or None where it has no such resource."""
    try:
        read = await client.read_resource(CONTEXT)
    except MCPError:
        return None
    text = next((part.text for part in read.contents if isinstance(part, TextResourceContents)), "")
    try:
        return json.loads(text)
    except ValueError:
        return None


async def call(client: Client, name: str, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], Answered]:
    """Call a tool; a protocol error is an answer too: the server's word that there is no such tool."""
    try:
        result = await client.call_tool(name, dict(arguments))
    except MCPError as problem:
        said = str(problem)[:500]
        return {}, Answered(json.dumps({"error": said}, ensure_ascii=False), True, said)
    body = result.structured_content
    if not is_object(body):
        text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
        return {}, Answered(text, bool(result.is_error), text[:200])
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=str)
    if result.is_error:
        context = body.get("context")
        hint = context.get("hint") if is_object(context) else None
        return dict(body), Answered(text, True, ": ".join(str(part) for part in (body.get("error"), hint) if part))
    waiting = _waiting(body)
    return dict(body), Answered(text, False, _said(body, waiting), waiting, _decided(body), _degraded(body))


def _said(body: Mapping[str, Any], waiting: Sequence[Waiting]) -> str:
    if waiting:
        return "; ".join(f"{one.id} waits: {one.summary}" for one in waiting)
    shown = body.get("_display")
    title = str(shown.get("title") or "") if is_object(shown) else ""
    return str(body.get("summary") or title or "ok")


def _waiting(body: Mapping[str, Any]) -> list[Waiting]:
    """Return the drafts that an answer left waiting, each with its own link or its group's."""
    if body.get("type") != "approval_required":
        return []
    url = _link(body)
    if is_object(draft := body.get("draft")):
        return [_draft(draft, body, url)]
    items = body.get("items")
    return [
        _draft(item["draft"], item, url)
        for item in (items if is_array(items) else ())
        if is_object(item) and is_object(item.get("draft"))
    ]


def _draft(draft: Mapping[str, Any], around: Mapping[str, Any], url: str | None) -> Waiting:
    summary = around.get("summary") or f"item {around.get('item', '')}"
    expires = draft.get("expiresAt")
    return Waiting(id=str(draft.get("id", "")), summary=str(summary), url=url, expires=expires and str(expires))


def _link(body: Mapping[str, Any]) -> str | None:
    actions = body.get("approvalActions")
    first = actions[0] if is_array(actions) and actions else None
    return str(first["url"]) if is_object(first) and "url" in first else None


def _degraded(body: Mapping[str, Any]) -> dict[str, str]:
    meta = body.get("_meta")
    parts = meta.get("degraded") if is_object(meta) else None
    return {str(part)[:100]: str(instead)[:300] for part, instead in parts.items()} if is_object(parts) else {}


def _decided(body: Mapping[str, Any]) -> list[str]:
    """Return the drafts of which an answer says that they no longer wait: its own, and those decided meanwhile."""
    drafts = [body.get("draft"), *(body["drafts"] if is_array(body.get("drafts")) else ())]
    states = [(one.get("id"), one.get("state")) for one in drafts if is_object(one)]
    meta = body.get("_meta")
    decided = meta.get("decided") if is_object(meta) else None
    states += [
        (one.get("draft"), one.get("state")) for one in (decided if is_array(decided) else ()) if is_object(one)
    ]
    return [str(name) for name, state in states if name and state not in (None, "pending")]
