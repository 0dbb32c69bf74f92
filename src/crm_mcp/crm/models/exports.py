"""Files that were made of records: what of, and once they are filled how large and until when."""

from datetime import datetime
from typing import Any

from sqlalchemy import FetchedValue
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from .record import Instant, Record


class Export(Record):
    """An export; Postgres sets what it says of the file (`crm.finish_export`)."""

    __tablename__ = "exports"

    name: Mapped[str]
    format: Mapped[str]
    question: Mapped[dict[str, Any]] = mapped_column(JSONB)
    rows: Mapped[int | None] = mapped_column(server_default=FetchedValue())
    bytes: Mapped[int | None] = mapped_column(server_default=FetchedValue())
    sha256: Mapped[str | None] = mapped_column(server_default=FetchedValue())
    expires_at: Mapped[datetime | None] = mapped_column(Instant, server_default=FetchedValue())
