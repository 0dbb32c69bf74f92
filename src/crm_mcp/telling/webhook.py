"""A message to the operator's webhook, signed as Standard Webhooks has it, so that the receiver knows whose it is."""

import base64
import binascii
import hmac
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from ..delivery.server import Permanent, Temporary

PATIENCE = 10.0
"""Seconds for one answer."""
_AGAIN = frozenset({408, 409, 425, 429})


class HookInvalid(ValueError):
    """CRM_NOTICE_WEBHOOK is no address to post to: https://…, or http:// on this machine."""

    def __str__(self) -> str:
        return str(self.__doc__)


@dataclass(frozen=True, slots=True)
class Hook:
    """Where messages are posted, and the key that they are signed with; both stay secret."""

    url: str = field(repr=False)
    key: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str, secret: str | None) -> "Hook":
        """Read CRM_NOTICE_WEBHOOK and CRM_NOTICE_SECRET (whsec_… is taken as base64, anything else as it is).

        Raises:
            HookInvalid: it is no such address; the message does not repeat it.
        """
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
            known = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))
            if not known or not host or parts.fragment or parts.port == 0 or any(c.isspace() for c in url):
                raise HookInvalid
            return cls(url, _key(secret))
        except ValueError:
            raise HookInvalid from None

    async def post(self, identity: str, body: Mapping[str, object], at: datetime) -> None:
        """Post a message; the receiver may get it again, under the same identity.

        Raises:
            Temporary, Permanent: it was not taken; the text names neither the address nor what was answered.
        """
        import httpx2

        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        headers = self.headers(identity, content, at)
        try:
            async with (
                httpx2.AsyncClient(timeout=PATIENCE, trust_env=not self._is_near) as client,
                client.stream("POST", self.url, content=content, headers=headers) as told,
            ):
                code = told.status_code
        except httpx2.TimeoutException:
            raise Temporary("The webhook did not answer in time.") from None
        except (httpx2.HTTPError, OSError):
            raise Temporary("The webhook could not be reached.") from None
        if 200 <= code < 300:
            return
        if code >= 500 or code in _AGAIN:
            raise Temporary(f"The webhook answered {code}.")
        raise Permanent(f"The webhook answered {code}.")

    def headers(self, identity: str, content: bytes, at: datetime) -> dict[str, str]:
        stamp = str(int(at.timestamp()))
        signed = {} if self.key is None else {"webhook-signature": signature(self.key, identity, stamp, content)}
        about = {"content-type": "application/json", "user-agent": "crm-mcp", "webhook-id": identity}
        return {**about, "webhook-timestamp": stamp, **signed}

    @property
    def _is_near(self) -> bool:
        return _is_loopback(urlsplit(self.url).hostname or "")


def signature(key: bytes, identity: str, stamp: str, content: bytes) -> str:
    """Return `v1,` and the base64 HMAC-SHA256 of `id.timestamp.body` (standardwebhooks.com)."""
    mac = hmac.digest(key, f"{identity}.{stamp}.".encode() + content, "sha256")
    return "v1," + base64.b64encode(mac).decode()


def _key(secret: str | None) -> bytes | None:
    if not secret:
        return None
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret[6:], validate=True)
    except binascii.Error:
        return secret.encode()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
