"""Who sends a request: the key it bears, and the peer it comes from."""

import ipaddress
import re
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import Scope

_KEY = re.compile(r"crm_[A-Za-z0-9_-]{20,200}")


def key_in(headers: Headers) -> str | None:
    """Return the key in the one Authorization header; None where there is none that could be a key."""
    found: Sequence[str] = headers.getlist("authorization")
    if len(found) != 1:
        return None
    scheme, _, key = found[0].partition(" ")
    return key if scheme.lower() == "bearer" and _KEY.fullmatch(key) else None


def peer_of(scope: Scope, headers: Headers, behind_proxy: bool) -> str:
    """Return the address of a peer; behind a proxy the one that it saw last, since a client writes the others.

    A network of IPv6 counts as one peer: each of its machines has more addresses than can be counted.
    """
    address = scope["client"][0] if scope.get("client") else ""
    if behind_proxy and (forwarded := headers.getlist("x-forwarded-for")):
        address = forwarded[-1].rpartition(",")[2].strip()
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped is not None:
            return str(known.ipv4_mapped)
        return str(ipaddress.ip_network((known.packed[:8] + bytes(8), 64)))
    return str(known)
