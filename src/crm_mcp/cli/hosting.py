"""Where `up` listens, and where browsers find it: this machine alone, with a certificate, or behind a proxy."""

import ipaddress
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import click

from .. import listener
from ..approvals.origin import NotAnOrigin, is_loopback, origin_of
from ..approvals.whereabouts import Whereabouts
from ..config import Settings
from .certificate import CertificateUnusable, read


class Seat(NamedTuple):
    """A bound socket, the page's origin, the address at which this machine reaches it, certificate and key."""

    listener: socket.socket
    origin: str
    at: str
    tls: tuple[Path, Path] | None


def seat(known: Settings, port: int | None, bind: str | None) -> Seat:
    """Bind where the page shall listen.

    Raises:
        ClickException: what was asked for is unsafe or does not fit together, or the port is taken.
    """
    if bind is not None and port is not None:
        raise click.UsageError("Give --bind or --port, not both.")
    tls, configured = _tls(known), _configured(known)
    if tls and configured and configured.startswith("http:"):
        raise click.ClickException(
            f"With a TLS certificate the page is reached by https, so CRM_APPROVALS_URL cannot be {configured}."
        )
    scheme = "https" if tls else "http"
    if bind is None:
        listening = _listen(port or Whereabouts.read(known.home).port)
        number = listening.getsockname()[1]
        return _seat(listening, configured or f"{scheme}://localhost:{number}", f"{scheme}://127.0.0.1:{number}", tls)
    host, wanted = _parsed(bind)
    family, address = _resolved(host, wanted)
    beyond = not is_loopback(address)
    if beyond and not tls and not (configured or "").startswith("https:"):
        raise click.ClickException(
            f"On {host} others could read what the page shows, and its cookies. Give --tls-cert and --tls-key, or put a "
            "proxy with TLS before it and set CRM_APPROVALS_URL=https://NAME."
        )
    unspecified = ipaddress.ip_address(address).is_unspecified
    if unspecified and not configured:
        raise click.ClickException(
            f"{host} says where to listen, not where people reach the page: set CRM_APPROVALS_URL=https://NAME:PORT."
        )
    listening = _bound(family, address, wanted, bind)
    number = listening.getsockname()[1]
    if unspecified:
        address = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    origin = configured or f"{scheme}://{_bracketed('localhost' if is_loopback(host) else host)}:{number}"
    return _seat(listening, origin, f"{scheme}://{_bracketed(address)}:{number}", tls)


def _seat(listening: socket.socket, origin: str, at: str, tls: tuple[Path, Path] | None) -> Seat:
    """Look at the certificate once more, now that the name is known: a person should hear it before a browser does."""
    if tls is not None:
        there, host = read(*tls), urlsplit(origin).hostname or ""
        if there.ends <= datetime.now(UTC):
            click.echo(f"The TLS certificate ended on {there.ends:%Y-%m-%d}; browsers will refuse it.", err=True)
        elif not there.is_for(host):
            click.echo(f"The TLS certificate is not for {host}; browsers will refuse it.", err=True)
    return Seat(listening, origin, at, tls)


def _tls(known: Settings) -> tuple[Path, Path] | None:
    if known.tls_cert is None and known.tls_key is None:
        return None
    if known.tls_cert is None or known.tls_key is None:
        raise click.UsageError("A certificate and its key belong together: give --tls-cert and --tls-key.")
    try:
        read(known.tls_cert, known.tls_key)
    except CertificateUnusable as problem:
        raise click.ClickException(str(problem)) from None
    return known.tls_cert, known.tls_key


def _configured(known: Settings) -> str | None:
    try:
        return origin_of(known.approvals_url) if known.approvals_url else None
    except NotAnOrigin as why:
        raise click.ClickException(
            f"CRM_APPROVALS_URL is not where a page can be: {why}. Give it as https://crm.firm.example."
        ) from None


def _parsed(bind: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{bind}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None or bind.endswith("/") or "@" in bind or any(c in bind for c in "/?# "):
        raise click.BadParameter("give it as HOST:PORT, such as 0.0.0.0:8443 or [::]:8443", param_hint="--bind")
    return host, port


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise click.BadParameter(f"{host!r} is no name or address of this machine", param_hint="--bind") from None
    family, _, _, _, address = found[0]
    return family, str(address[0])


def _bound(family: socket.AddressFamily, address: str, port: int, bind: str) -> socket.socket:
    listening = listener.tcp(family)
    try:
        listening.bind((address, port))
    except OSError as problem:
        listening.close()
        raise click.ClickException(f"The page cannot listen on {bind}: {problem.strerror}.") from None
    listening.listen(128)
    return listening


def _listen(port: int) -> socket.socket:
    """Bind the port on loopback, or another free one where somebody else has it."""
    for candidate in (port, *range(8787, 8837), 0):
        listening = listener.tcp()
        try:
            listening.bind(("127.0.0.1", candidate))
        except OSError:
            listening.close()
            continue
        listening.listen(128)
        return listening
    raise click.ClickException("No port is free on the loopback address.")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
