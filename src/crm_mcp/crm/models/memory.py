"""What is remembered: how a person wants things, how the CRM is set for them, and what is known about records."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, FetchedValue
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from .record import Confidence, Instant, Record, to


class Preference(Record):
    __tablename__ = "preferences"

    user_id: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str]
    content: Mapped[str]
    via: Mapped[str]
    source: Mapped[str] = mapped_column(default="person")
    confidence: Mapped[Decimal] = mapped_column(Confidence)
    redacted: Mapped[list[str]] = mapped_column(JSONB, server_default=FetchedValue())
    tool: Mapped[str | None]
    argument: Mapped[str | None]
    word: Mapped[str | None]
    meant: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    forgotten_at: Mapped[datetime | None] = mapped_column(Instant)


class PersonalSettings(Record):
    """How the CRM behaves for one person; None: as usual."""

    __tablename__ = "personal_settings"

    user_id: Mapped[int] = mapped_column(BigInteger)
    mail: Mapped[bool | None]
    desktop: Mapped[bool | None]
    decided: Mapped[bool | None]
    timezone: Mapped[str | None]
    locale: Mapped[str | None]
    page_size: Mapped[int | None]


class Learning(Record):
    """A memory about a record; Postgres says when it goes."""

    __tablename__ = "learnings"
    __table_args__ = (to("customer_id", "customers"),)

    user_id: Mapped[int | None] = mapped_column(BigInteger)
    kind: Mapped[str]
    customer_id: Mapped[int | None] = mapped_column(BigInteger)
    subject_type: Mapped[str | None]
    subject_id: Mapped[int | None] = mapped_column(BigInteger)
    content: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    source: Mapped[str]
    confidence: Mapped[Decimal] = mapped_column(Confidence)
    retention: Mapped[str]
    expires_at: Mapped[datetime | None] = mapped_column(Instant, server_default=FetchedValue())
    contains_pii: Mapped[bool]
    redacted: Mapped[list[str]] = mapped_column(JSONB)
    forgotten_at: Mapped[datetime | None] = mapped_column(Instant)
