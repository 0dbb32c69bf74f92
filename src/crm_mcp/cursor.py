"""Where a list goes on: a position sealed with the principal and the question, so that it fits no other list."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from .errors import Refusal
from .principal import Principal


class Cursors:
    """Seals and opens cursors with one key; a cursor of another key is refused."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, who: Principal, question: object, position: list[Any]) -> str:
        """Return the cursor of a position in the answer to a question (filters and sort, JSON types)."""
        body = json.dumps(position, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(who, question, body)[:12] + body).decode().rstrip("=")

    def open(self, who: Principal, question: object, cursor: str) -> list[Any]:
        """Return the position in a cursor.

        Raises:
            Refusal: INVALID_CURSOR, when it was not sealed for this principal and question.
        """
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        except ValueError:
            raw = b""
        if len(raw) < 13 or not hmac.compare_digest(raw[:12], self._mac(who, question, raw[12:])[:12]):
            hint = "Pass nextCursor as it was returned, with the same filters; or leave it out to start over."
            raise Refusal("INVALID_CURSOR", hint)
        return json.loads(raw[12:])

    def _mac(self, who: Principal, question: object, body: bytes) -> bytes:
        bound = json.dumps([who.org, who.user, who.agent, question], sort_keys=True, default=str).encode()
        return hmac.digest(self._key, hashlib.sha256(bound).digest() + body, "sha256")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list: the position of each row found, one more than fits the page where the list goes on."""

    cursors: Cursors
    who: Principal
    question: object
    positions: list[Any]

    def after(self, shown: int) -> str | None:
        """Return the cursor behind the rows shown, however few; None where these are all."""
        if shown >= len(self.positions) or not shown:
            return None
        return self.cursors.seal(self.who, self.question, self.positions[shown - 1])
