"""What is remembered of how a person wants things, and how the CRM is set for them."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, FetchedValue
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from .record import Confidence, Instant, Record


class Preference(Record):
    __tablename__ = "preferences"

    user_id: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str]
    content: Mapped[str]
    via: Mapped[str]
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
