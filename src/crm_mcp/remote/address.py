"""Where a server over HTTP is: its path, and which hosts are this very machine."""

import ipaddress
from urllib.parse import urlsplit

PATH = "/mcp"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def is_loopback(host: str) -> bool:
    """Say whether a name or an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def netloc(host: str, port: int | None = None) -> str:
    """Return a host as it stands in a URL."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


class UrlInvalid(Exception):
    """A URL that cannot be, or must not be, connected to; the text says why, without the URL."""


def checked(url: str) -> str:
    """Return the URL of a server's MCP endpoint.

    Raises:
        UrlInvalid: it is none, holds a secret, or would carry the key in the clear.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UrlInvalid("That is not a URL; it looks like https://crm.example.com/mcp.") from None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise UrlInvalid("That is not a URL of http or https; it looks like https://crm.example.com/mcp.")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise UrlInvalid("Leave user, password, query and fragment out of the URL; the key comes from CRM_API_KEY.")
    if parts.scheme == "http" and not is_loopback(host):
        raise UrlInvalid(f"The key would travel to {host} in the clear. Use https; http is for this machine alone.")
    return parts._replace(path=PATH if parts.path in ("", "/") else parts.path).geturl()
