"""Asking as a client asks, and what there is to ask for."""

from typing import Any, NamedTuple

from mcp import MCPError

CANARY = "Zqxcanary"
"""A name that stands in the neighbour's records and nowhere else."""
ADMIN, OTTO = "ada@demo.example", "otto@other.example"


class World(NamedTuple):
    """Ids by prefix: one of ours, one of the neighbour's, one that does not exist."""

    ours: dict[str, str]
    theirs: dict[str, str]
    nobodys: dict[str, str]
    all_theirs: frozenset[str]


async def answer(client: Any, name: str, arguments: Any) -> dict[str, Any]:
    """Call a tool; return everything that goes over the wire, a protocol error as its code and message."""
    try:
        result = await client.call_tool(name, arguments)
    except MCPError as refused:
        return {"code": refused.error.code, "message": refused.error.message, "data": refused.error.data}
    return {"body": result.structured_content, "error": bool(result.is_error), "text": result.content[0].text}
