"""Where this home's approvals page is, and whether what answers there is really it."""

import http.client
import json
import secrets
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

USUAL = "http://localhost:8787"
IDENTITY = "/identity"


class Whereabouts(NamedTuple):
    """The page's origin, and a word that only this home's page knows to answer."""

    origin: str
    word: str

    @classmethod
    def new(cls, origin: str) -> "Whereabouts":
        return cls(origin, secrets.token_hex(8))

    @classmethod
    def read(cls, home: Path) -> "Whereabouts":
        """Return where the page is or was the last time; the usual place before the first."""
        try:
            return cls(*json.loads((home / "approvals.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return cls(USUAL, "")

    def write(self, home: Path) -> None:
        """Remember it for the next start and for the clients."""
        fresh = home / "approvals.json.new"
        fresh.write_text(json.dumps(self), encoding="utf-8")
        fresh.replace(home / "approvals.json")

    @property
    def port(self) -> int:
        return urlsplit(self.origin).port or 8787

    def answers(self) -> bool:
        """Say whether the page itself answers there, and not somebody else at its address."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", IDENTITY)
            return bool(self.word) and connection.getresponse().read(100).decode("ascii", "replace") == self.word
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
