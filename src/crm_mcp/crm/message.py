"""An approved e-mail as the message that travels (RFC 5322), the same bytes at every try."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address as Header
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime

from .addresses import needs_utf8

Person = Mapping[str, str]
LETTER = """select e.from_name, e.from_address, e.to_recipients, e.cc_recipients, e.bcc_recipients, e.subject, e.body,
  coalesce(e.message_id, ''), e.in_reply_to, e.created_at
 from crm.emails e where e.org_id = %s and e.id = %s"""
FILES = """select b.name, b.media_type, b.content from crm.email_attachments a
 join crm.blobs b on b.org_id = a.org_id and b.id = a.blob_id
 where a.org_id = %s and a.email_id = %s order by a.position"""


@dataclass(frozen=True, slots=True)
class Letter:
    """One row of LETTER with its FILES."""

    from_name: str | None
    from_address: str
    to: Sequence[Person]
    cc: Sequence[Person]
    bcc: Sequence[Person]
    subject: str
    body: str
    message_id: str
    in_reply_to: str | None
    at: datetime
    files: Sequence[tuple[str, str, bytes]] = ()

    @property
    def addresses(self) -> list[str]:
        """Every recipient once, in order."""
        return list(dict.fromkeys(person["address"] for person in (*self.to, *self.cc, *self.bcc)))

    @property
    def needs_utf8(self) -> bool:
        return any(needs_utf8(address) for address in (self.from_address, *self.addresses))


def compose(letter: Letter) -> EmailMessage:
    """Return the message of a letter; hidden copies are on the envelope alone."""
    policy = (SMTPUTF8 if letter.needs_utf8 else SMTP).clone(cte_type="7bit")
    message = EmailMessage(policy)
    message["From"] = _header({"name": letter.from_name or "", "address": letter.from_address})
    for name, people in (("To", letter.to), ("Cc", letter.cc)):
        if people:
            message[name] = [_header(person) for person in people]
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(letter.at)
    if letter.message_id:
        message["Message-ID"] = letter.message_id
    if letter.in_reply_to:
        message["In-Reply-To"] = message["References"] = letter.in_reply_to
    message.set_content(letter.body)
    for name, media_type, content in letter.files:
        kind, _, subtype = media_type.partition("/")
        message.add_attachment(content, maintype=kind, subtype=subtype, filename=name)
    if letter.files:
        message.set_boundary("=_" + hashlib.sha256(letter.message_id.encode()).hexdigest()[:32])
    return message


def _header(person: Person) -> Header:
    local, _, domain = person["address"].rpartition("@")
    return Header(person.get("name", ""), local, domain)
