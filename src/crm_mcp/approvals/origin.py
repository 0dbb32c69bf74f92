"""Where browsers find the page, spelled as they spell it: the page compares it with what they send."""

import ipaddress
from urllib.parse import urlsplit

_USUAL = {"http": 80, "https": 443}


class NotAnOrigin(ValueError):
    """A text that is no address of a page; the message says why."""


def origin_of(url: str) -> str:
    """Return scheme, host and port of an address as browsers put them into Host and Origin.

    Raises:
        NotAnOrigin: it is none, or says more than an origin does.
    """
    try:
        parts = urlsplit(url.strip())
        port, host = parts.port, parts.hostname or ""
        name = host if ":" in host else host.encode("idna").decode("ascii")
    except (ValueError, UnicodeError):
        raise NotAnOrigin("it cannot be read as an address") from None
    if parts.scheme not in _USUAL or not name:
        raise NotAnOrigin("it does not begin with https:// and a name")
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise NotAnOrigin("it says more than a name and a port; the page answers at the top alone")
    shown = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{shown}" + ("" if port in (None, _USUAL[parts.scheme]) else f":{port}")


def is_loopback(host: str) -> bool:
    """Say whether a name or an address leads to this machine alone."""
    name = host.strip("[]").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def is_private_to_this_machine(origin: str) -> bool:
    return is_loopback(urlsplit(origin).hostname or "")
