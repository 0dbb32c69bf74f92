"""One conversation with the configured mail server, and what it came to. Nothing said here holds a password."""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_STARTTLS = {"never": False, "always": True}


class SmtpUrlInvalid(ValueError):
    """CRM_SMTP_URL is no address of a mail server: smtp://user:password@host:587, or smtps://…"""

    def __str__(self) -> str:
        return str(self.__doc__)


class Temporary(Exception):
    """The server took nothing and may take it later; the text says why."""


class Permanent(Exception):
    """The server will never take it; the text says why."""


class Unclear(Exception):
    """The server broke off after it had been given the message: it may have taken it."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail goes. `starttls` None: where the server offers it."""

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    starttls: bool | None = None
    timeout: float = 60.0

    @classmethod
    def of(cls, url: str) -> "Server":
        """Read CRM_SMTP_URL. A password crosses a network only encrypted, unless ?starttls=never says otherwise.

        Raises:
            SmtpUrlInvalid: it is none; the message does not repeat it.
        """
        try:
            parts = urlsplit(url)
            port, asked = parts.port, parse_qs(parts.query, strict_parsing=bool(parts.query))
        except ValueError:
            raise SmtpUrlInvalid from None
        wanted = asked.pop("starttls", [""])[-1]
        known = not asked and wanted in ("", *_STARTTLS) and parts.path in ("", "/")
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname or not known:
            raise SmtpUrlInvalid
        tls = parts.scheme == "smtps"
        needed = True if parts.password and parts.hostname not in _LOOPBACK else None
        return cls(
            parts.hostname,
            port or (465 if tls else 587 if parts.username else 25),
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
            tls,
            False if tls else _STARTTLS.get(wanted, needed),
        )


@dataclass(frozen=True, slots=True)
class Envelope:
    sender: str
    recipients: tuple[str, ...]
    message: bytes
    utf8: bool = False


@dataclass(slots=True)
class Taken:
    """Whom the server took a message for, whom it refused for good, whom for now; with its words."""

    accepted: list[str] = field(default_factory=list[str])
    refused: dict[str, str] = field(default_factory=dict[str, str])
    put_off: dict[str, str] = field(default_factory=dict[str, str])


async def hand_over(server: Server, envelope: Envelope, before_data: Callable[[], Awaitable[object]]) -> Taken:
    """Give a message to the server; `before_data` is awaited before it could take it.

    Raises:
        Temporary, Permanent, Unclear: nobody has it, or nobody knows.
    """
    client = SMTP(
        hostname=server.host,
        port=server.port,
        use_tls=server.tls,
        start_tls=server.starttls,
        username=server.user,
        password=server.password,
        timeout=server.timeout,
        local_hostname="localhost" if server.host in _LOOPBACK else None,
    )
    try:
        try:
            await client.connect()
            return await _converse(client, envelope, before_data)
        finally:
            client.close()
    except (Temporary, Permanent, Unclear):
        raise
    except SMTPAuthenticationError as no:
        raise Temporary(f"The mail server does not accept the login ({no.code}).") from None
    except SMTPResponseException as no:
        raise _refusal(no) from None
    except (SMTPServerDisconnected, ConnectionError):
        raise Temporary("The mail server broke the connection off, or could not be reached.") from None
    except (SMTPTimeoutError, TimeoutError):
        raise Temporary("The mail server did not answer in time.") from None
    except ssl.SSLError:
        raise Temporary("No safe connection to the mail server could be made; see its certificate.") from None
    except (SMTPException, OSError):
        raise Temporary("The mail server could not be reached, or cannot do what is needed.") from None


async def _converse(client: SMTP, envelope: Envelope, before_data: Callable[[], Awaitable[object]]) -> Taken:
    options: list[str] = []
    if client.supports_extension("size"):
        options.append(f"SIZE={len(envelope.message)}")
    if envelope.utf8:
        if not client.supports_extension("smtputf8"):
            raise Permanent("The mail server takes no addresses with letters beyond ASCII.")
        options += ["SMTPUTF8", "BODY=8BITMIME"]
    encoding = "utf-8" if envelope.utf8 else "ascii"
    await client.mail(envelope.sender, options=options, encoding=encoding)
    taken = Taken()
    for recipient in envelope.recipients:
        try:
            await client.rcpt(recipient, encoding=encoding)
            taken.accepted.append(recipient)
        except SMTPRecipientRefused as no:
            (taken.put_off if _is_temporary(no.code) else taken.refused)[recipient] = _said(no)
    if taken.accepted:
        await before_data()
        await _data(client, envelope.message)
    return taken


async def _data(client: SMTP, message: bytes) -> None:
    protocol: Any = client.protocol
    if protocol is None:
        raise Temporary("The mail server broke the connection off.")
    given, write = False, protocol.write

    def watched(data: bytes) -> None:
        nonlocal given
        given = given or data != b"DATA\r\n"
        write(data)

    protocol.write = watched
    try:
        await client.data(message)
    except (SMTPServerDisconnected, SMTPTimeoutError, ConnectionError, TimeoutError):
        if given:
            raise Unclear("The mail server broke off while it was taking the message.") from None
        raise


def _is_temporary(code: int) -> bool:
    return not 500 <= code < 600


def _refusal(no: SMTPResponseException) -> Temporary | Permanent:
    return Temporary(_said(no)) if _is_temporary(no.code) else Permanent(_said(no))


def _said(no: SMTPResponseException) -> str:
    """Return a reply's code and a short, harmless part of its first line."""
    first = no.message.partition("\n")[0]
    plain = "".join(c if " " <= c <= "~" and c not in "<>" else " " for c in first)
    short = " ".join(plain.split())[:120]
    return f"The mail server said {no.code} {short}".rstrip() + "."


def worst(refusals: Mapping[str, str]) -> str:
    """Return one line for recipients that were refused."""
    return "; ".join(f"{who}: {why}" for who, why in refusals.items())[:400]
