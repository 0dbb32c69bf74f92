"""Pages of this server that a client shows in the chat (MCP Apps)."""
