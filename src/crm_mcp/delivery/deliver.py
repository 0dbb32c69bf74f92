"""One try to deliver an e-mail: its steps are committed around the conversation with the server.

queued → sending, committed before the server is given the message → sent. A try that ended in `sending` (the worker
was killed, the server broke off) may have arrived; it is made once more under the same Message-ID, by which mail
systems tell the second copy, and after that it is left to a person.
"""

import json
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from .. import ids
from ..crm.message import FILES, LETTER, Letter, compose
from ..db import Database
from ..log import logger
from .server import Envelope, Permanent, Server, Taken, Temporary, Unclear, hand_over, worst
from .tries import Again, Waits, only_one

WAITS = Waits((1, 5, 15, 60, 240), 8)
MOST_UNCLEAR = 2
_STANDS = """select state, attempts, unclear, next_attempt_at, accepted, refused from crm.outbox
 where org_id = %s and email_id = %s for update"""
NOTHING: Mapping[str, object] = {}
NO_SERVER = "No mail server is configured."
GONE_TWICE = "Twice nobody knows whether the mail server took it. Ask the recipient before it is sent again."


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Post:
    """What delivering needs. `server` None: none is configured. Clock and chance can be set by tests."""

    db: Database
    server: Server | None
    clock: Callable[[], datetime] = _now
    chance: Callable[[], float] = field(default=random.random)


@dataclass(slots=True)
class Standing:
    state: str
    attempts: int
    unclear: int
    next_attempt_at: datetime | None
    accepted: list[str]
    refused: dict[str, str]


async def deliver(post: Post, org: int, email: int) -> str:
    """Try to deliver one e-mail, if it is due; return the state it is in afterwards.

    Raises:
        Again: it is due, or is to be tried again, later.
    """
    async with only_one(post.db, "deliver", org, email, lambda: post.clock() + timedelta(minutes=1)) as conn:
        return await _Try(post, conn, org, email).run()


@dataclass(slots=True)
class _Try:
    """One try, on the connection that holds the e-mail's lock."""

    post: Post
    conn: psycopg.AsyncConnection[Any]
    org: int
    email: int

    async def run(self) -> str:
        stands = await self._begin()
        if stands is None:
            return "gone"
        if stands.state != "queued":
            return stands.state
        letter = await self._letter()
        server = self.post.server
        assert server is not None
        settled = {*stands.accepted, *stands.refused}
        envelope = Envelope(
            letter.from_address,
            tuple(address for address in letter.addresses if address not in settled),
            compose(letter).as_bytes(),
            letter.needs_utf8,
        )
        try:
            taken = await hand_over(server, envelope, lambda: self._set(state="sending"))
        except Temporary as no:
            return await self._put_off(stands, str(no))
        except Permanent as no:
            return await self._set(state="failed", last_error=str(no))
        except Unclear as no:
            return await self._put_off(stands, str(no), unclear=stands.unclear + 1)
        return await self._settle(stands, taken)

    async def _begin(self) -> Standing | None:
        """Count the try, before anything leaves; return how the delivery stands, None where there is none."""
        async with self._bound():
            found = await (await self.conn.execute(_STANDS, (self.org, self.email))).fetchone()
            if found is None:
                return None
            stands = Standing(*found)
            if stands.state not in ("queued", "sending"):
                return stands
            if self.post.server is None:
                stands.state = await self._write(state="unsent", last_error=NO_SERVER)
                return stands
            if stands.state == "sending":
                stands.unclear += 1
            if stands.unclear >= MOST_UNCLEAR:
                stands.state = await self._write(state="failed", unclear=stands.unclear, last_error=GONE_TWICE)
                return stands
            if stands.next_attempt_at is not None and stands.next_attempt_at > self.post.clock():
                raise Again(stands.next_attempt_at)
            stands.attempts += 1
            stands.state = await self._write(state="queued", attempts=stands.attempts, unclear=stands.unclear)
            return stands

    async def _letter(self) -> Letter:
        async with self._bound():
            row = await (await self.conn.execute(LETTER, (self.org, self.email))).fetchone()
            files = await (await self.conn.execute(FILES, (self.org, self.email))).fetchall()
        assert row is not None
        return Letter(*row, files=[(name, kind, bytes(content)) for name, kind, content in files])

    async def _settle(self, stands: Standing, taken: Taken) -> str:
        accepted, refused = [*stands.accepted, *taken.accepted], stands.refused | taken.refused
        is_last = stands.attempts >= WAITS.most
        went = {
            "accepted": json.dumps(accepted),
            "refused": json.dumps(refused | taken.put_off if is_last else refused),
        }
        if taken.put_off and not is_last:
            return await self._put_off(stands, worst(taken.put_off), went=went)
        refused |= taken.put_off
        said = worst(refused) or None
        if not accepted:
            return await self._set(state="failed", last_error=said, **went)
        return await self._set(state="sent", sent_at=self.post.clock(), next_attempt_at=None, last_error=said, **went)

    async def _put_off(
        self, stands: Standing, why: str, *, unclear: int = 0, went: Mapping[str, object] = NOTHING
    ) -> str:
        """Wait before the next try; give up after the last one, or where two copies may have gone out.

        Raises:
            Again: there is a next try.
        """
        more = {**went, "unclear": unclear or stands.unclear}
        at = WAITS.next(stands.attempts, self.post.clock(), self.post.chance)
        if at is None or unclear == MOST_UNCLEAR:
            # whoever got it at an earlier try has got it
            state, sent = ("sent", self.post.clock()) if stands.accepted else ("failed", None)
            said = GONE_TWICE if unclear == MOST_UNCLEAR else why
            return await self._set(state=state, last_error=said, sent_at=sent, next_attempt_at=None, **more)
        await self._set(state="queued", last_error=why, next_attempt_at=at, **more)
        raise Again(at)

    async def _set(self, **values: object) -> str:
        async with self._bound():
            return await self._write(**values)

    async def _write(self, **values: object) -> str:
        assignments = ", ".join(f"{name} = %({name})s" for name in values)
        sql: Any = f"update crm.outbox set {assignments} where org_id = %(org)s and email_id = %(email)s"
        await self.conn.execute(sql, {**values, "org": self.org, "email": self.email})
        logger().debug("delivery", org=self.org, email=self.email, state=values["state"])
        return str(values["state"])

    @asynccontextmanager
    async def _bound(self) -> AsyncGenerator[None]:
        async with self.conn.transaction():
            bind: Any = f"set local crm.org_id = '{int(self.org)}'; set local crm.call_id = '{ids.new_call()}'"
            await self.conn.execute(bind)
            yield
