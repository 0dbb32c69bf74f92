"""Somebody at work: what they look at, and what they are then told of where they are."""

import json
from typing import Any


async def call(client: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    return (await client.call_tool(tool, arguments)).structured_content


async def told(client: Any) -> dict[str, Any]:
    """Return crm://context/me."""
    found = await client.read_resource("crm://context/me")
    return json.loads(found.contents[0].text)


async def kept(client: Any) -> None:
    """Have what is noted sent, and written."""
    await client.app.flusher.close()


def page(context: dict[str, Any]) -> str | None:
    return context["context"].get("currentPage", {}).get("id")


def actions(context: dict[str, Any]) -> list[str]:
    return [one["action"] for one in context["context"].get("recentActions", [])]
