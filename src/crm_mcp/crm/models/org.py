"""The org's own: settings, policy, foreign ids, fields it added, where values came from."""

from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, FetchedValue
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from .record import Confidence, Record


class OrgSettings(Record):
    __tablename__ = "org_settings"

    payment_terms_days: Mapped[int] = mapped_column(default=30)
    quote_valid_days: Mapped[int] = mapped_column(default=30)
    books_closed_through: Mapped[date | None]
    sender_name: Mapped[str | None]
    sender_email: Mapped[str | None]
    service_hours: Mapped[dict[str, list[int]]] = mapped_column(JSONB, server_default=FetchedValue())
    fiscal_year_start: Mapped[int] = mapped_column(default=1)


class PolicyEdition(Record):
    __tablename__ = "policies"

    edition: Mapped[int]
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    changes: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)


class OwnReport(Record):
    """A report that the org added: its header and its statement as text."""

    __tablename__ = "reports"

    name: Mapped[str]
    definition: Mapped[str]


class ExternalRef(Record):
    __tablename__ = "external_refs"

    source: Mapped[str]
    entity: Mapped[str]
    external_id: Mapped[str]
    record_id: Mapped[int] = mapped_column(BigInteger)


class CustomField(Record):
    """A field that the org added; its values stand in the records' `custom_fields`."""

    __tablename__ = "custom_field_definitions"

    entity: Mapped[str]
    key: Mapped[str]
    label: Mapped[str]
    description: Mapped[str | None]
    kind: Mapped[str]
    choices: Mapped[list[str]] = mapped_column(JSONB, server_default=FetchedValue())
    is_required: Mapped[bool] = mapped_column(default=False)


class Provenance(Record):
    __tablename__ = "data_provenance"

    entity: Mapped[str]
    record_id: Mapped[int] = mapped_column(BigInteger)
    field: Mapped[str]
    source: Mapped[str]
    confidence: Mapped[Decimal | None] = mapped_column(Confidence)
