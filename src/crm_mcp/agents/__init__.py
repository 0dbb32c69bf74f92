"""Agents that use this server, each as an MCP client of its own with an agent's rights."""
