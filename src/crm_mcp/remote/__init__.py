"""MCP over HTTP: many clients, each known by the key it bears; and `connect`, a bridge to it for clients of stdio."""
