"""An e-mail draft as an e-mail: who to, what it says, and how far it has got."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from urllib.parse import quote

from .. import audit, ids
from ..audit import Call
from ..crm.addresses import readable
from ..crm.message import FILES, LETTER, Letter, compose
from ..db import Database
from ..principal import Principal
from .cells import moment, relative, zone_of

TOOL = "send_email_draft"
_LONGEST_LINK = 1800
"""Characters of a mailto: link; some mail programs cut off longer ones."""
_STANDS = (
    "select state, last_error, sent_at, next_attempt_at, refused from crm.outbox where org_id = %s and email_id = %s"
)
_SEND = "update crm.outbox set state = 'queued' where org_id = %s and email_id = %s and state in ('unsent', 'failed') returning 1"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One person on an e-mail. `known` is their record here; `reads` the domain as people read it, where it differs."""

    name: str | None
    address: str
    known: str | None
    reads: str | None


@dataclass(frozen=True, slots=True)
class Sheet:
    """What an e-mail draft says."""

    sender: Mailbox
    to: list[Mailbox]
    cc: list[Mailbox]
    subject: str
    body: str
    about: str | None
    files: list[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Moment:
    far: str
    exact: str


@dataclass(frozen=True, slots=True)
class Post:
    """Where an approved e-mail stands."""

    state: str
    problem: str | None
    sent: Moment | None
    next: Moment | None
    refused: Mapping[str, str]
    mailto: str | None

    @property
    def is_stuck(self) -> bool:
        return self.state in ("unsent", "failed")


def sheet_of(record: Any) -> Sheet | None:
    """Return the e-mail in a draft's record; None where it holds none."""
    if not isinstance(record, dict) or "sender" not in record or "body" not in record:
        return None
    told = cast("dict[str, Any]", record)
    return Sheet(
        _mailbox(told["sender"]),
        [_mailbox(person) for person in told["to"]],
        [_mailbox(person) for person in told["cc"]],
        str(told["subject"]),
        str(told["body"]),
        told.get("about"),
        [(str(f["name"]), str(f["mediaType"]), _size(int(f["size"]))) for f in told["attachments"]],
    )


def email_in(draft: Mapping[str, Any]) -> int | None:
    """Return the number of the e-mail that a draft became; None where it became none."""
    if draft["tool"] != TOOL or draft["state"] != "approved" or not draft.get("result"):
        return None
    return ids.parse("emails", str(json.loads(draft["result"])["record"]["id"]))


async def post_of(db: Database, who: Principal, email: int, now: datetime) -> Post | None:
    """Return where an e-mail stands, with a link for a mail program where one can hold it."""
    async with db.begin(who, ids.new_call()) as conn:
        row = (await conn.exec_driver_sql(_STANDS, (who.org, email))).one_or_none()
        if row is None:
            return None
        letter = Letter(*(await conn.exec_driver_sql(LETTER, (who.org, email))).one())
        files = (await conn.exec_driver_sql(FILES, (who.org, email))).all()
    link = None if files or row.state == "sent" else _mailto(letter)
    zone = zone_of(who.timezone)
    sent, later = (
        None if when is None else Moment(relative(when, now), moment(when, zone))
        for when in (row.sent_at, row.next_attempt_at)
    )
    return Post(row.state, row.last_error, sent, later, row.refused, link)


async def file_of(db: Database, who: Principal, email: int) -> bytes:
    """Return an e-mail as a file that a mail program opens to be sent."""
    async with db.begin(who, ids.new_call()) as conn:
        row = (await conn.exec_driver_sql(LETTER, (who.org, email))).one()
        files = (await conn.exec_driver_sql(FILES, (who.org, email))).all()
    message = compose(Letter(*row, files=[(f.name, f.media_type, bytes(f.content)) for f in files]))
    message["X-Unsent"] = "1"
    return message.as_bytes()


async def send(db: Database, who: Principal, draft: int, email: int) -> bool:
    """Queue an e-mail that stayed unsent or failed; False where it did neither. Postgres asks again who may."""
    call = Call(who, "send_email", {"email": ids.show("emails", email)}, draft=draft)
    if not (who.may_approve and who.may_send_email):
        await db.alone(who.org, audit.refused(call, "NOT_AN_APPROVER"))
        return False
    await db.alone(who.org, audit.begun(call))
    async with db.begin(who, call.id) as conn:
        done = (await conn.exec_driver_sql(_SEND, (who.org, email))).first() is not None
        await conn.exec_driver_sql(*audit.ended(call, "run", "ok" if done else "not stuck"))
    return done


def _mailbox(person: Mapping[str, Any]) -> Mailbox:
    address = str(person["address"])
    domain = address.rpartition("@")[2]
    reads = readable(domain)
    return Mailbox(person.get("name"), address, person.get("record"), reads if reads != domain else None)


def _size(count: int) -> str:
    return f"{count} bytes" if count < 1000 else f"{count / 1000:,.1f} kB"


def _mailto(letter: Letter) -> str | None:
    people: Sequence[Mapping[str, str]] = letter.to
    asked = {"cc": ",".join(p["address"] for p in letter.cc), "subject": letter.subject}
    asked["body"] = letter.body.replace("\n", "\r\n")
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in asked.items() if value)
    link = "mailto:" + ",".join(quote(p["address"], safe="@") for p in people) + "?" + query
    return link if len(link) <= _LONGEST_LINK else None
