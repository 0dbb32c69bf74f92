"""E-mails, their files and what became of them."""

from datetime import datetime

from sqlalchemy import BigInteger, FetchedValue, LargeBinary
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from .record import Instant, Record, to


class Email(Record):
    __tablename__ = "emails"
    __table_args__ = (to("customer_id", "customers"),)

    from_name: Mapped[str | None]
    from_address: Mapped[str]
    to_recipients: Mapped[list[dict[str, str]]] = mapped_column(JSONB)
    cc_recipients: Mapped[list[dict[str, str]]] = mapped_column(JSONB, default=list)
    bcc_recipients: Mapped[list[dict[str, str]]] = mapped_column(JSONB, default=list)
    subject: Mapped[str]
    body: Mapped[str]
    message_id: Mapped[str | None] = mapped_column(server_default=FetchedValue())
    in_reply_to: Mapped[str | None]
    customer_id: Mapped[int | None] = mapped_column(BigInteger)
    subject_type: Mapped[str | None]
    subject_id: Mapped[int | None] = mapped_column(BigInteger)


class Blob(Record):
    __tablename__ = "blobs"

    name: Mapped[str]
    media_type: Mapped[str]
    size: Mapped[int]
    sha256: Mapped[str]
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)


class EmailAttachment(Record):
    __tablename__ = "email_attachments"
    __table_args__ = (to("email_id", "emails"), to("blob_id", "blobs"))

    email_id: Mapped[int] = mapped_column(BigInteger)
    blob_id: Mapped[int] = mapped_column(BigInteger)
    position: Mapped[int]


class Delivery(Record):
    """What became of an e-mail; Postgres sets how it starts, the worker how it goes on."""

    __tablename__ = "outbox"
    __table_args__ = (to("email_id", "emails"),)

    email_id: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(server_default=FetchedValue())
    attempts: Mapped[int] = mapped_column(server_default=FetchedValue())
    unclear: Mapped[int] = mapped_column(server_default=FetchedValue())
    next_attempt_at: Mapped[datetime | None] = mapped_column(Instant)
    last_error: Mapped[str | None]
    sent_at: Mapped[datetime | None] = mapped_column(Instant)
    accepted: Mapped[list[str]] = mapped_column(JSONB, server_default=FetchedValue())
    refused: Mapped[dict[str, str]] = mapped_column(JSONB, server_default=FetchedValue())
