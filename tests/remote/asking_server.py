"""An MCP server over HTTP that asks its client back: to see a question of the server pass the bridge."""

import sys

import mcp.types as t
import uvicorn
from mcp.server import Server


async def list_tools(ctx, params):
    tool = t.Tool(name="ask", input_schema={"type": "object"})
    return t.ListToolsResult(tools=[tool])


async def call_tool(ctx, params):
    answer = await ctx.session.elicit_form("Which?", {"type": "object", "properties": {"which": {"type": "string"}}})
    return t.CallToolResult(content=[t.TextContent(type="text", text=f"{answer.action} {answer.content}")])


if __name__ == "__main__":
    server = Server("asking", on_list_tools=list_tools, on_call_tool=call_tool)
    uvicorn.run(server.streamable_http_app(), port=int(sys.argv[1]), log_level="error")
