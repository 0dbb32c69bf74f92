"""Signing in by mail: whoever asks hears the same, and only the owner of an address gets a link.

The answer waits for nothing of this: neither its words nor its time tell whether somebody is known. A link's secret is
made here and is in the letter alone; the database gets its SHA-256.
"""

import asyncio
import hashlib
from urllib.parse import quote

from ..crm.addresses import NotAnAddress, parse
from ..db import Database
from ..log import logger
from .pace import Pace
from .session import digest_of, new_secret
from .sign_in_mail import SENDER, Link, Mailer, sign_in_letter

MOST_A_QUARTER_HOUR = 3
"""Letters to one address; who has one of them needs no fourth."""
MOST_OF_A_PEER = 60
"""Askings of one peer in a quarter of an hour; behind a proxy everybody is one peer."""
_QUARTER = 900.0
_AT_ONCE = 4
_MOST_WAITING = 200
_MOST_ORGS = 10
_LINKS = """select coalesce(jsonb_agg(jsonb_build_object('org', l.org_id, 'name', l.org_name, 'to', l.address)), '[]')
 from crm.mail_login_links(%s, %s) l"""


class Postern:
    """The page's door for people who have no link yet. `db` connects as crm_approver."""

    def __init__(self, db: Database, mailer: Mailer | None, origin: str) -> None:
        self._db, self._mailer, self._origin = db, mailer, origin
        self._of_address, self._of_peer = Pace(MOST_A_QUARTER_HOUR, _QUARTER), Pace(MOST_OF_A_PEER, _QUARTER)
        self._at_work: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(_AT_ONCE)

    @property
    def is_open(self) -> bool:
        """Say whether letters can be sent."""
        return self._mailer is not None

    def ask(self, address: str, peer: str, then: str) -> bool:
        """Have a link sent, if there is whom to send it to; false where the peer asked too often."""
        if not self._of_peer.allows(peer):
            return False
        try:
            norm = parse(address).norm
        except NotAnAddress:
            return True
        asker = hashlib.sha256(norm.encode()).hexdigest()
        if self._mailer is None or len(self._at_work) >= _MOST_WAITING or not self._of_address.allows(asker):
            return True
        task = asyncio.create_task(self._send(self._mailer, norm, then))
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)
        return True

    async def settled(self) -> None:
        """Wait until every letter that was asked for is sent, or is not."""
        await asyncio.gather(*self._at_work)

    async def _send(self, mailer: Mailer, norm: str, then: str) -> None:
        async with self._turns:
            try:
                secrets = [new_secret() for _ in range(_MOST_ORGS)]
                found = await self._db.unbound(_LINKS, (norm, [digest_of(secret) for secret in secrets]))
                if not found:
                    logger().info("sign-in asked for by nobody known")
                    return
                sender = await self._db.definer(found[0]["org"], SENDER, (found[0]["org"],))
                more = "" if then == "/" else f"?next={quote(then, safe='/')}"
                links = [
                    Link(one["name"], f"{self._origin}/login/{secret}{more}")
                    for one, secret in zip(found, secrets, strict=False)
                ]
                await mailer.send(sign_in_letter(mailer, sender, found[0]["to"], links, self._origin))
            except Exception as problem:
                # neither whose letter, nor a traceback whose frames know the link
                logger().warning("sign-in letter not sent", problem=type(problem).__name__, said=_said(problem))


def _said(problem: Exception) -> str | None:
    return getattr(problem, "hint", None)
