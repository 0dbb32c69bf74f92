"""E-mails: who they go to, what is wrong with that, and everything that one writes."""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field
from sqlalchemy import text

from .. import ids
from ..context import Write
from ..errors import Refusal
from ..tool import Args, Text, View
from . import addresses, asking, missing, subjects
from .addresses import Address
from .models import Blob, Contact, Customer, Delivery, Email, EmailAttachment

MOST_PEOPLE = 20
MOST_FILES = 5
MOST_BYTES = 200_000
_MEDIA = re.compile(r"(?:application|audio|font|image|model|text|video)/[a-z0-9][a-z0-9.+_-]{0,80}", re.ASCII)
_KNOWN = text(
    """select 'contacts' as kind, c.id, c.name, c.email_norm, c.customer_id from crm.contacts c
  where c.org_id = :org and c.archived_at is null and c.email_norm = any(:norms)
 union all select 'customers', c.id, c.name, c.email_norm, c.id from crm.customers c
  where c.org_id = :org and c.archived_at is null and c.email_norm = any(:norms)
 order by 1, 2"""
)
_LOOKS_LIKE = text(
    """select k.domain, c.id, c.name from (
   select c.domain, c.id from crm.customers c where c.org_id = :org and c.archived_at is null and c.domain <> ''
   union select split_part(c.email_norm, '@', 2), c.id from crm.customers c where c.org_id = :org and c.archived_at is null and c.email_norm <> ''
   union select split_part(c.email_norm, '@', 2), c.customer_id from crm.contacts c where c.org_id = :org and c.archived_at is null and c.email_norm <> '') k
  join crm.customers c on c.org_id = :org and c.id = k.id
  where length(k.domain) between length(:domain) - 1 and length(:domain) + 1 and length(k.domain) between 5 and 250
   and (levenshtein_less_equal(k.domain, :domain, 1) <= 1 or k.domain = :skeleton)
   or k.domain = :skeleton
  order by (k.domain = :domain or k.domain = :ascii) desc, c.id limit 1"""
)
_SENDER = text("select sender_name, sender_email from crm.org_settings where org_id = :org")


class Attachment(Args):
    name: Text = Field(min_length=1, max_length=200, description="File name.")
    media_type: Text = Field("text/plain", max_length=100, description="Such as application/pdf.")
    text: Text | None = Field(None, description="The content, as text.")
    base64: Text | None = Field(None, description="Or as base64.")


class PersonView(View):
    noun = "person"
    nouns = "people"

    name: str | None = None
    address: str
    record: str | None = None


class FileView(View):
    noun = "file"
    nouns = "files"

    name: str
    mediaType: str
    size: int


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom an e-mail goes to: the address, and the contact or customer it belongs to, if it is known."""

    at: Address
    kind: str | None = None
    number: int | None = None
    customer: int | None = None

    @property
    def record(self) -> str | None:
        return ids.show(self.kind, self.number) if self.kind and self.number else None

    def row(self) -> dict[str, str]:
        """What is stored of it."""
        named = {"name": self.at.name} if self.at.name else {}
        return {**named, "address": self.at.address, **({"record": self.record} if self.record else {})}

    def view(self) -> PersonView:
        return PersonView(name=self.at.name or None, address=self.at.address, record=self.record)


@dataclass(frozen=True, slots=True)
class Written:
    email: Email
    sender: Address
    to: list[Recipient]
    cc: list[Recipient]
    files: list[Blob]
    warnings: list[str]


async def write(
    ctx: Write,
    to: Sequence[str],
    cc: Sequence[str],
    subject: str,
    body: str,
    about: str | None,
    attachments: Sequence[Attachment],
) -> Written:
    """Write an e-mail into the outbox, to be sent once a person has approved it.

    A recipient is an address or the id of a contact or customer. Strangers and look-alikes are warned of, not
    refused: a person decides.

    Raises:
        Refusal: INVALID_ARGUMENT, INVALID_ADDRESS, NO_ADDRESS, CUSTOMER_NOT_FOUND, CONTACT_NOT_FOUND,
            TOO_LARGE, and those of `subjects.find`.
    """
    org = ctx.principal.org
    subject, body = _subject(subject), _body(body)
    files = [_file(org, file, at) for at, file in enumerate(attachments)]
    if sum(file.size for file in files) > MOST_BYTES:
        raise Refusal("TOO_LARGE", f"Attachments may hold {MOST_BYTES:,} bytes together. Leave some out.")
    concerned = None if about is None else await subjects.find(asking.within(ctx), ctx.principal, about)
    customer = concerned.customer if concerned else None
    people, warnings = await _recipients(ctx, [*((t, "to") for t in to), *((t, "cc") for t in cc)], customer)
    first = {person.at.norm for person, argument in people if argument == "to"}
    said: set[str] = set()
    lines: dict[str, list[Recipient]] = {"to": [], "cc": []}
    for person, argument in people:
        if person.at.norm in said or (argument == "cc" and person.at.norm in first):
            continue
        said.add(person.at.norm)
        lines[argument].append(person)
    sender = await _sender(ctx)
    owners = {person.customer for person, _ in people if person.customer is not None}
    if customer is not None:
        warnings += await _of_others(ctx, people, customer)
    email = Email(
        org_id=org,
        from_name=sender.name,
        from_address=sender.address,
        to_recipients=[person.row() for person in lines["to"]],
        cc_recipients=[person.row() for person in lines["cc"]],
        subject=subject,
        body=body,
        customer_id=customer if customer is not None else owners.pop() if len(owners) == 1 else None,
        subject_type=concerned.table if concerned else None,
        subject_id=concerned.id if concerned else None,
    )
    ctx.session.add_all([email, *files])
    await ctx.session.flush()
    ctx.session.add_all(
        EmailAttachment(org_id=org, email_id=email.id, blob_id=file.id, position=position)
        for position, file in enumerate(files, 1)
    )
    ctx.session.add(Delivery(org_id=org, email_id=email.id))
    await ctx.session.flush()
    return Written(email, sender, lines["to"], lines["cc"], files, warnings)


def _subject(given: str) -> str:
    subject = given.strip()
    if not subject or not addresses.is_one_line(subject):
        why = "say what it is about" if not subject else "it holds a line break or a character that does not show"
        raise Refusal("INVALID_ARGUMENT", f"subject: {why}.", argument="subject")
    return subject


def _body(given: str) -> str:
    body = given.replace("\r\n", "\n").replace("\r", "\n").rstrip()
    if not body.strip():
        raise Refusal("INVALID_ARGUMENT", "body: write what the e-mail says.", argument="body")
    return body + "\n" if len(body) < 20_000 else body


def _file(org: int, file: Attachment, at: int) -> Blob:
    where = f"attachments.{at}"
    if (file.text is None) == (file.base64 is None):
        raise Refusal("INVALID_ARGUMENT", f"{where}: give text or base64, one of them.", argument=where)
    if not addresses.is_one_line(file.name) or "/" in file.name or "\\" in file.name or file.name.strip(". ") == "":
        hint = f"{where}.name: a file name without folders and line breaks."
        raise Refusal("INVALID_ARGUMENT", hint, argument=f"{where}.name")
    if not _MEDIA.fullmatch(file.media_type.lower()):
        hint = f"{where}.media_type: something like application/pdf or text/csv."
        raise Refusal("INVALID_ARGUMENT", hint, argument=f"{where}.media_type")
    try:
        content = file.text.encode() if file.text is not None else base64.b64decode(file.base64 or "", validate=True)
    except binascii.Error:
        raise Refusal("INVALID_ARGUMENT", f"{where}.base64: this is no base64.", argument=f"{where}.base64") from None
    return Blob(
        org_id=org,
        name=file.name,
        media_type=file.media_type.lower(),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        content=content,
    )


async def _recipients(
    ctx: Write, given: Sequence[tuple[str, str]], customer: int | None
) -> tuple[list[tuple[Recipient, str]], list[str]]:
    """Resolve ids to addresses and addresses to records, those of `customer` first; say whom nobody here knows."""
    read = [(await _recipient(ctx, text_, argument), argument) for text_, argument in given]
    norms = [person.at.norm for person, _ in read if person.kind is None]
    known: dict[str, Any] = {}
    if norms:
        for row in await ctx.session.execute(_KNOWN, {"org": ctx.principal.org, "norms": norms}):
            if row.email_norm not in known or row.customer_id == customer != known[row.email_norm].customer_id:
                known[row.email_norm] = row
    found: list[tuple[Recipient, str]] = []
    warnings: dict[str, None] = {}
    for person, argument in read:
        row = known.get(person.at.norm)
        if person.kind is None and row is not None:
            person = Recipient(
                Address(person.at.name or row.name, person.at.address), row.kind, row.id, row.customer_id
            )
        elif person.kind is None:
            warnings[await _stranger(ctx, person.at)] = None
        found.append((person, argument))
    return found, list(warnings)


async def _recipient(ctx: Write, given: str, argument: str) -> Recipient:
    org = ctx.principal.org
    record: Customer | Contact | None
    if re.fullmatch(r"cust_\d+", given.strip(), re.ASCII):
        record = await ctx.session.get(Customer, (org, ids.parse("customers", given.strip())))
        if record is None:
            raise missing.customer(given)
        kind, owner = "customers", record.id
    elif re.fullmatch(r"cont_\d+", given.strip(), re.ASCII):
        record = await ctx.session.get(Contact, (org, ids.parse("contacts", given.strip())))
        if record is None:
            hint = "get_customer with include contacts shows the ids of a customer's contacts."
            raise Refusal("CONTACT_NOT_FOUND", hint, searchedId=given[:60])
        kind, owner = "contacts", record.customer_id
    else:
        if "@" not in given and ids.is_id(given.strip()):
            ids.parse("contacts", given.strip())
        return Recipient(addresses.read(given, argument))
    if record.archived_at is not None or not record.email:
        why = "is archived" if record.archived_at is not None else "has no e-mail address"
        raise Refusal("NO_ADDRESS", f"{argument}: {given} {why}. Give the address itself, or another id.")
    try:
        at = addresses.read(record.email, argument)
    except Refusal:
        raise Refusal("NO_ADDRESS", f"{argument}: the address stored for {given} is none. Give another.") from None
    name = " ".join("".join(c if addresses.is_one_line(c) else " " for c in record.name).split())[:200]
    return Recipient(Address(name, at.address), kind, record.id, owner)


async def _stranger(ctx: Write, at: Address) -> str:
    """Say that nobody here knows an address, and which customer's domain it resembles without being it."""
    said = f"Nobody here knows {at.address}."
    domain = at.domain
    shown = at.address.rpartition("@")[2]
    if shown != domain:
        said = f"Nobody here knows {at.address} (read as {domain})."
    if not 5 <= len(domain) <= 250:
        return said
    looks = {"org": ctx.principal.org, "domain": domain, "ascii": shown, "skeleton": addresses.skeleton(domain)}
    row = (await ctx.session.execute(_LOOKS_LIKE, looks)).one_or_none()
    if row is None or row.domain in (domain, shown):
        return said
    return f"{said} Its domain {domain} looks like {row.domain} of {row.name} ({ids.show('customers', row.id)}), but is another."


async def _of_others(ctx: Write, people: Sequence[tuple[Recipient, str]], customer: int) -> list[str]:
    """Warn where something about one customer goes to somebody of another."""
    return [
        f"{person.at.address} belongs to {ids.show('customers', person.customer)}, "
        f"and this is about {ids.show('customers', customer)}."
        for person, _ in people
        if person.customer not in (None, customer)
    ]


async def _sender(ctx: Write) -> Address:
    """Return who an e-mail comes from: the org's sender, else the person who asks for it."""
    row = (await ctx.session.execute(_SENDER, {"org": ctx.principal.org})).one_or_none()
    if row is not None and row.sender_email:
        at = addresses.read(row.sender_email, "sender")
        return Address((row.sender_name or ctx.principal.org_name)[:200], at.address)
    at = addresses.read(ctx.principal.email, "sender")
    return Address(ctx.principal.name[:200], at.address)
