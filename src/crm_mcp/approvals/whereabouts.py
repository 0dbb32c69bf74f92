"""Where this home's approvals page is, and whether what answers there is really it."""

import http.client
import json
import secrets
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

USUAL = "http://localhost:8787"
IDENTITY = "/identity"


class Whereabouts(NamedTuple):
    """The page's origin, a word that only this home's page knows to answer, and its address for this machine.

    `at` is empty where the origin's port on loopback is that address.
    """

    origin: str
    word: str
    at: str = ""

    @classmethod
    def new(cls, origin: str, at: str = "") -> "Whereabouts":
        return cls(origin, secrets.token_hex(8), at)

    @classmethod
    def read(cls, home: Path) -> "Whereabouts":
        """Return where the page is or was the last time; the usual place before the first."""
        try:
            return cls(*json.loads(_file(home).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return cls(USUAL, "")

    @classmethod
    def follow(cls, home: Path) -> Callable[[], "Whereabouts"]:
        """Return what reads where the page is, from the file only when that is another one than the last time."""
        stamp, known = _stamp(home), cls.read(home)

        def now() -> Whereabouts:
            nonlocal stamp, known
            if (seen := _stamp(home)) != stamp:
                stamp, known = seen, cls.read(home)
            return known

        return now

    def write(self, home: Path) -> None:
        """Remember it for the next start and for the clients."""
        fresh = home / "approvals.json.new"
        fresh.write_text(json.dumps(self), encoding="utf-8")
        fresh.replace(_file(home))

    @property
    def port(self) -> int:
        return urlsplit(self.at or self.origin).port or 8787

    def answers(self) -> bool:
        """Say whether the page itself answers there, and not somebody else at its address."""
        connection = self._connection()
        try:
            connection.request("GET", IDENTITY)
            return bool(self.word) and connection.getresponse().read(100).decode("ascii", "replace") == self.word
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        here = urlsplit(self.at)
        if here.scheme != "https":
            return http.client.HTTPConnection(here.hostname or "127.0.0.1", self.port, timeout=2)
        # its certificate is for the name that others reach it by; here the word proves it
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection(here.hostname or "127.0.0.1", self.port, timeout=2, context=trusting)


def _file(home: Path) -> Path:
    return home / "approvals.json"


def _stamp(home: Path) -> tuple[int, int, int] | None:
    """Return what differs once the file was replaced; None where there is none."""
    try:
        found = _file(home).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
