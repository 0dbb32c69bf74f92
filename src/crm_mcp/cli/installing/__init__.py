"""Putting this server into an MCP client's configuration, beside whatever is there."""

from .command import install

__all__ = ["install"]
