"""Letters that carry a one-time link: to somebody who asked for one on the page, to somebody who is invited."""

import secrets
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ..crm.message import Letter

SENDER = "select sender_name, sender_email from crm.org_settings where org_id = %s"
"""Under which name and address an org writes, where it chose one."""


@dataclass(frozen=True, slots=True)
class Mailer:
    """How the page sends letters. `address` writes for orgs that chose no sender; None: what the page's name gives."""

    send: Callable[[Letter], Coroutine[Any, Any, None]]
    address: str | None = None


class Link(NamedTuple):
    org: str
    url: str


def sign_in_letter(
    mailer: Mailer, sender: Sequence[str | None] | None, to: str, links: Sequence[Link], origin: str
) -> Letter:
    """Write the letter that somebody asked for on the page."""
    ways = "\n\n".join(f"{_line(link.org)}\n{link.url}" for link in links)
    body = (
        f"Somebody, most likely you, asked to sign in to approvals at {origin}.\n\n{ways}\n\n"
        "The link signs you in once, within 15 minutes. If you did not ask for it, leave it: nobody is signed in by "
        "this letter alone.\n"
    )
    return _letter(mailer, sender, to, "Sign in to approvals", body, origin)


def link_letter(mailer: Mailer, sender: Sequence[str | None] | None, to: str, link: Link, origin: str) -> Letter:
    """Write the letter with a link that an administrator made for somebody."""
    body = (
        f"An administrator of {_line(link.org)} made this link for you. It signs you in to approvals once, within an "
        f"hour:\n\n{link.url}\n"
    )
    return _letter(mailer, sender, to, "Sign in to approvals", body, origin)


def invitation_letter(
    mailer: Mailer, sender: Sequence[str | None] | None, to: str, link: Link, origin: str
) -> Letter:
    """Write the letter that invites somebody into an org."""
    body = (
        f"You are invited to {_line(link.org)}, to see what agents would do there and to say yes or no.\n\n{link.url}\n\n"
        f"The link takes the invitation up and signs you in, once, within 7 days. Afterwards {origin}/login sends you "
        "a new one whenever you need it.\n"
    )
    return _letter(mailer, sender, to, f"You are invited to approvals at {_host(origin)}", body, origin)


def _letter(
    mailer: Mailer, sender: Sequence[str | None] | None, to: str, subject: str, body: str, origin: str
) -> Letter:
    name, chosen = (sender[0], sender[1]) if sender else (None, None)
    address = chosen or mailer.address or f"approvals@{_host(origin)}"
    at = f"<{secrets.token_hex(16)}@{address.rpartition('@')[2]}>"
    return Letter(name, address, [{"name": "", "address": to}], (), (), subject, body, at, None, datetime.now(UTC))


def _host(origin: str) -> str:
    return urlsplit(origin).hostname or "localhost"


def _line(text: str) -> str:
    """Return a name as one line, so that it cannot pretend to be another part of the letter."""
    return " ".join(text.split())[:200]
