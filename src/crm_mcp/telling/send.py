"""One try to send one message: its steps are committed around the conversation with whoever carries it.

queued → sending, committed before it could be taken → sent. What ended in `sending` may have arrived: an e-mail is
sent once more under its Message-ID, a webhook gets it again under its id, a desktop is left in peace. What was decided
meanwhile is told to nobody.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg

from ..crm.addresses import read
from ..crm.message import Letter, compose
from ..delivery.deliver import MOST_UNCLEAR
from ..delivery.server import Envelope, Permanent, Temporary, Unclear, hand_over, worst
from ..delivery.tries import Again, Waits, only_one
from ..errors import Refusal
from ..log import logger
from . import desktop
from .channels import Office
from .due import FACTS, Member, Row, Team, ask, team_of
from .runs import RunTelling
from .wording import Said, Subject, Telling, plain

WAITS = Waits((1, 2, 5, 15, 30, 60), 10)
"""For as long as the draft waits."""
_STANDS = f"""select n.id, n.state as step, n.attempts, n.unclear, n.next_attempt_at, n.created_at as posted_at, n.channel, n.occasion,
  n.to_admins, n.person, n.message, {FACTS}, r.name as requester_name, a.name as decider, d.state,
  (n.occasion = 'decided' or (d.state = 'pending' and d.expires_at > clock_timestamp())) as is_open,
  o.slug, o.name as org_name, o.base_currency, o.timezone
 from crm.notices n join crm.drafts d on d.org_id = n.org_id and d.id = n.draft_id join crm.users r on r.id = d.requester
 left join crm.users a on a.id = d.approver join crm.orgs o on o.id = n.org_id
 where n.org_id = %(org)s and n.message = %(message)s order by n.draft_id for update of n"""
_RUN_STANDS = """select n.id, n.state as step, n.attempts, n.unclear, n.next_attempt_at, n.created_at as posted_at, n.channel, n.occasion,
  n.to_admins, n.person, n.message, n.run_id as run, e.state, e.agent, e.waiting, coalesce(e.ended_at = n.run_ended_at, false) as is_open,
  o.name as org_name
 from crm.notices n left join lateral crm.ended_runs(n.run_id) e on true join crm.orgs o on o.id = n.org_id
 where n.org_id = %(org)s and n.message = %(message)s and n.run_id is not null for update of n"""
_STEP = """update crm.notices set state = coalesce(%(state)s, state), attempts = coalesce(%(attempts)s, attempts),
  unclear = coalesce(%(unclear)s, unclear), next_attempt_at = %(next)s, last_error = %(error)s,
  sent_at = case when %(state)s = 'sent' then clock_timestamp() end
 where org_id = %(org)s and message = %(message)s and state in ('queued', 'sending')
  and (%(ids)s::bigint[] is null or id = any (%(ids)s))"""


async def send(office: Office, org: int, message: int) -> str:
    """Try to send one message, if it is due; return the state it is in afterwards.

    Raises:
        Again: it is due, or is to be tried again, later.
    """
    async with only_one(office.db, "notice", org, message, lambda: office.clock() + timedelta(seconds=30)) as conn:
        return await _Try(office, conn, org, message).run()


@dataclass(slots=True)
class _Try:
    """One try, on the connection that holds the message's lock."""

    office: Office
    conn: psycopg.AsyncConnection[Any]
    org: int
    message: int

    async def run(self) -> str:
        async with self._bound():
            rows, team = await self._begin()
        if isinstance(rows, str):
            return rows
        first = rows[0]
        telling = self._telling_of_run(first) if first["occasion"] == "run" else self._telling(rows, team)
        attempts, unclear = first["attempts"] + 1, first["unclear"] + (first["step"] == "sending")
        carry = self._carriers(first, team, telling, rows)[first["channel"]]
        try:
            await carry(lambda: self._set(state="sending", attempts=attempts, unclear=unclear))
        except Temporary as no:
            return await self._put_off(attempts, str(no), unclear)
        except Unclear as no:
            return await self._put_off(attempts, str(no), unclear + 1)
        except Permanent as no:
            return await self._set(state="failed", attempts=attempts, error=str(no))
        return await self._set(state="sent", attempts=attempts)

    async def _begin(self) -> tuple[Sequence[Row] | str, Team]:
        """Return what is still to be told, or the state that the message is in.

        Raises:
            Again: it is not due yet.
        """
        about = {"org": self.org, "message": self.message}
        found = await ask(self.conn, _STANDS, about) or await ask(self.conn, _RUN_STANDS, about)
        team = await team_of(self.conn, self.org)
        rows = [row for row in found if row["step"] in ("queued", "sending")]
        if not rows:
            return (found[0]["step"] if found else "gone"), team
        gone = [
            row["id"]
            for row in rows
            if not row["is_open"] or row["person"] not in {None, *_meant(row, team, self.office.decided)}
        ]
        if gone:
            await self._write(state="moot", ids=gone)
        rows = [row for row in rows if row["id"] not in gone]
        if not rows:
            return "moot", team
        if rows[0]["next_attempt_at"] is not None and rows[0]["next_attempt_at"] > self.office.clock():
            raise Again(rows[0]["next_attempt_at"])
        return rows, team

    def _telling(self, rows: Sequence[Row], team: Team) -> Telling:
        first = rows[0]
        own = next((member.timezone for member in team.members if member.user == first["person"]), None)
        return Telling(
            self.message,
            first["occasion"],
            first["to_admins"],
            first["requester_name"],
            first["agent"],
            self.org,
            first["slug"],
            first["org_name"],
            first["base_currency"],
            own or first["timezone"],
            self.office.page().rstrip("/"),
            [_subject(row) for row in rows],
        )

    def _telling_of_run(self, row: Row) -> RunTelling:
        page = self.office.page().rstrip("/")
        return RunTelling(
            self.message, self.org, row["org_name"], row["run"], row["state"], row["agent"], row["waiting"], page
        )

    def _carriers(
        self, first: Row, team: Team, telling: Said, rows: Sequence[Row]
    ) -> Mapping[str, Callable[[Callable[[], Awaitable[object]]], Awaitable[None]]]:
        person = next((member for member in team.members if member.user == first["person"]), None)

        async def email(sending: Callable[[], Awaitable[object]]) -> None:
            assert person is not None
            await self._mail(person, team, telling, first, sending)

        async def webhook(sending: Callable[[], Awaitable[object]]) -> None:
            if self.office.hook is None:
                raise Permanent("No webhook is configured any more.")
            await sending()
            assert isinstance(telling, Telling)
            names = {user: name for row in rows for user, name in _meant(row, team, self.office.decided).items()}
            body = telling.payload(list(names.values()))
            await self.office.hook.post(telling.identity, body, self.office.clock())

        async def toast(sending: Callable[[], Awaitable[object]]) -> None:
            assert person is not None
            if person.email not in self.office.desktop:
                raise Permanent("Their desktop is not here any more.")
            if first["step"] == "sending":
                raise Permanent("Nobody knows whether it was shown.")
            await sending()
            await desktop.show(telling.headline(), f"{telling.line()} {telling.url}")

        return {"email": email, "webhook": webhook, "desktop": toast}

    async def _mail(
        self, person: Member, team: Team, telling: Said, first: Row, sending: Callable[[], Awaitable[object]]
    ) -> None:
        server, sender = self.office.mail, self.office.sender_of(team.sender)
        if server is None or not sender:
            raise Permanent("No mail server, or no address to send from, is configured any more.")
        if first["unclear"] + (first["step"] == "sending") >= MOST_UNCLEAR:
            raise Permanent("Twice nobody knows whether the mail server took it.")
        try:
            origin, to = read(sender, "sender").address, read(person.email, "approver").address
        except Refusal:
            raise Permanent("The sender's or the approver's address is none.") from None
        letter = Letter(
            plain(telling.org_name),
            origin,
            [{"name": plain(person.name), "address": to}],
            [],
            [],
            telling.headline(),
            telling.body(),
            f"<{telling.identity}@{origin.rpartition('@')[2]}>",
            None,
            first["posted_at"],
        )
        mail = compose(letter)
        mail["Auto-Submitted"] = "auto-generated"
        taken = await hand_over(server, Envelope(origin, (to,), mail.as_bytes(), letter.needs_utf8), sending)
        if taken.refused:
            raise Permanent(worst(taken.refused))
        if taken.put_off:
            raise Temporary(worst(taken.put_off))

    async def _put_off(self, attempts: int, why: str, unclear: int) -> str:
        """Wait before the next try; give up after the last one.

        Raises:
            Again: there is a next try.
        """
        at = WAITS.next(attempts, self.office.clock(), self.office.chance)
        if at is None:
            return await self._set(state="failed", attempts=attempts, unclear=unclear, error=why)
        await self._set(state="queued", attempts=attempts, unclear=unclear, error=why, next=at)
        raise Again(at)

    async def _set(self, **values: object) -> str:
        async with self._bound():
            return await self._write(**values)

    async def _write(self, **values: object) -> str:
        step = {"attempts": None, "unclear": None, "next": None, "error": None, "ids": None, **values}
        if isinstance(step["error"], str):
            step["error"] = step["error"][:400]
        await self.conn.execute(_STEP.encode(), {**step, "org": self.org, "message": self.message})
        logger().debug("notice", org=self.org, message=self.message, state=values["state"])
        return str(values["state"])

    @asynccontextmanager
    async def _bound(self) -> AsyncGenerator[None]:
        async with self.conn.transaction():
            await self.conn.execute(f"set local crm.org_id = '{int(self.org)}'".encode())
            yield


def _meant(row: Row, team: Team, usually: bool) -> dict[int, str]:
    """Return whom a notice is for as things stand now, and who still wants it: their numbers and names."""
    people: Sequence[Member]
    if row["occasion"] == "run":
        people = [one for one in team.members if one.user == row["person"] and one.takes(row["channel"])]
    elif row["occasion"] == "decided":
        people = [one for one in team.members if one.user == row["requester"] and one.hears(usually)]
    else:
        able = team.admins if row["to_admins"] else team.approvers(row)
        people = [one for one in able if one.takes(row["channel"])]
    return {member.user: member.name for member in people}


def _subject(row: Row) -> Subject:
    return Subject(
        row["draft"],
        row["tool"],
        row["amount"],
        row["no_rate"],
        row["sends"],
        row["deletes"],
        row["confidence"],
        row["sure"],
        row["expires_at"],
        row["state"],
        row["decider"],
    )
