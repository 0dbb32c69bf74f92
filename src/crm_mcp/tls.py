"""The certificate that a server shows: read again when its files change, so that renewing it needs no restart."""

import ssl
from collections.abc import Callable
from pathlib import Path

from .log import logger


def shown(cert: Path, key: Path) -> Callable[[object, object], ssl.SSLContext]:
    """Return what makes a server's TLS context of a certificate and its key, as uvicorn asks for it."""
    return lambda config, default: _Newest(cert, key).front()


class _Newest:
    """A certificate and its key, of which each handshake gets the newest that belong together.

    A pair that cannot be used (one file is there before the other, a key is locked by a password) is said in the log
    once, and the one before it stays.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert, self._key = cert, key
        self._seen = self._stamps()
        self._pair = self._read()

    def front(self) -> ssl.SSLContext:
        """Return a context that asks at every handshake, of clients that name the server and of others."""
        made = self._read()
        made.sni_callback = self._greet
        return made

    def _greet(self, handshake: ssl.SSLObject, name: str | None, front: ssl.SSLContext) -> None:
        if (stamps := self._stamps()) != self._seen:
            self._seen = stamps
            try:
                self._pair = self._read()
                logger().info("certificate renewed", cert=str(self._cert))
            except (OSError, ValueError) as problem:  # an ssl.SSLError is an OSError
                why = f"{type(problem).__name__}: {problem}"
                logger().error("certificate not renewed, the old one stays", cert=str(self._cert), why=why)
        handshake.context = self._pair

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(file) for file in (self._cert, self._key)]

    def _read(self) -> ssl.SSLContext:
        """Return a context of its own: one that is in use would be left with half a pair where the other half fails."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # an empty password: a locked key is an error, not a question at the terminal
        made.load_cert_chain(self._cert, self._key, password="")
        return made


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
