"""The names that this server answers to: a page of another site, or a name rebound to this address, gets nothing."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from .address import LOOPBACK, netloc
from .answers import said

_USUAL = (80, 443)


class Guard:
    """Turns away requests for another host and from another origin, whatever address the server is bound to.

    Beside the address it is bound to, it knows itself by that on which a connection arrived: a name that somebody
    rebinds is never an address.
    """

    def __init__(self, host: str, port: int, allowed: Iterable[str], *, schemes: Iterable[str]) -> None:
        self._port, self._schemes = port, frozenset(schemes)
        self._hosts = {one for name in (host, *LOOPBACK) for one in self._with_port(name)}
        for name in allowed:
            self._hosts |= _allowed(name.lower(), port)

    def turned_away(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the answer to a request that is not for this server; None for one that is."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_us(hosts[0], scope):
            return said(421, "This server does not answer to that host; allow it with serve --allowed-host NAME.")
        for origin in headers.getlist("origin"):
            parts = urlsplit(origin)
            if parts.scheme not in self._schemes or not self._is_us(parts.netloc, scope):
                return said(403, "Requests from pages of other origins are refused.")
        return None

    def _is_us(self, host: str, scope: Scope) -> bool:
        host = host.lower()
        if host in self._hosts:
            return True
        local = scope.get("server")
        return bool(local) and host in self._with_port(str(local[0]).partition("%")[0].removeprefix("::ffff:"))

    def _with_port(self, host: str) -> set[str]:
        return {netloc(host, self._port)} | ({netloc(host)} if self._port in _USUAL else set())


def _allowed(name: str, port: int) -> set[str]:
    """Return the hosts that an allowed name stands for: itself with its port, else at ours and the usual ones."""
    if urlsplit(f"//{name}").port is not None:
        return {name}
    return {name, *(f"{name}:{one}" for one in (port, *_USUAL))}
