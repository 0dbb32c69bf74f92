"""The floor of the protocol: the SDK's low-level server on the SDK's own stdio transport, with one tool and no database."""

import anyio
import mcp.types as t
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}


async def list_tools(ctx: object, params: object) -> t.ListToolsResult:
    return t.ListToolsResult(tools=[t.Tool(name="echo", description="Echo text", input_schema=SCHEMA)])


async def call_tool(ctx: object, params: t.CallToolRequestParams) -> t.CallToolResult:
    return t.CallToolResult(content=[t.TextContent(type="text", text=(params.arguments or {})["text"])])


async def main() -> None:
    server = Server("bare", version="1", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main)
