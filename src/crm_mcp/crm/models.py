"""The tables as the unit of work sees them; a test holds them equal to the migrated schema."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, DateTime, FetchedValue, ForeignKeyConstraint, LargeBinary, MetaData, Numeric
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

Amount = Numeric(19, 4)
Percent = Numeric(6, 3)
Instant = DateTime(timezone=True)


class Base(DeclarativeBase):
    metadata = MetaData(schema="crm")


class Record(Base):
    """What every table of an org has. Stamps are Postgres's: never assigned here."""

    __abstract__ = True

    org_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    version: Mapped[int] = mapped_column(server_default=FetchedValue())
    archived_at: Mapped[datetime | None] = mapped_column(Instant)
    custom_fields: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=FetchedValue())


def _to(column: str, table: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["org_id", column], [f"crm.{table}.org_id", f"crm.{table}.id"])


class Customer(Record):
    __tablename__ = "customers"

    name: Mapped[str]
    kind: Mapped[str] = mapped_column(default="organization")
    email: Mapped[str | None]
    phone: Mapped[str | None]
    domain: Mapped[str | None]
    segment: Mapped[str | None]
    street: Mapped[str | None]
    city: Mapped[str | None]
    region: Mapped[str | None]
    postal_code: Mapped[str | None]
    country: Mapped[str | None]
    owner_id: Mapped[int | None] = mapped_column(BigInteger)
    credit_limit: Mapped[Decimal | None] = mapped_column(Amount)
    tax_zone: Mapped[str | None]
    tax_number: Mapped[str | None]
    payment_terms_days: Mapped[int | None]


class Contact(Record):
    __tablename__ = "contacts"
    __table_args__ = (_to("customer_id", "customers"),)

    customer_id: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str]
    title: Mapped[str | None]
    email: Mapped[str | None]
    phone: Mapped[str | None]


class Product(Record):
    __tablename__ = "products"

    sku: Mapped[str]
    name: Mapped[str]
    category: Mapped[str | None]
    unit: Mapped[str | None]
    unit_price: Mapped[Decimal] = mapped_column(Amount)
    currency: Mapped[str]
    tax_rate: Mapped[Decimal] = mapped_column(Percent, default=Decimal(0))
    reorder_level: Mapped[int] = mapped_column(default=0)
    discontinued: Mapped[bool] = mapped_column(default=False)
    tax_class: Mapped[str] = mapped_column(default="standard")
    warranty_months: Mapped[int] = mapped_column(default=0)


class StockMovement(Record):
    __tablename__ = "stock_movements"
    __table_args__ = (_to("product_id", "products"), _to("order_id", "orders"))

    product_id: Mapped[int] = mapped_column(BigInteger)
    quantity: Mapped[int]
    kind: Mapped[str]
    order_id: Mapped[int | None] = mapped_column(BigInteger)


class StockReservation(Record):
    __tablename__ = "stock_reservations"
    __table_args__ = (_to("product_id", "products"), _to("order_id", "orders"))

    product_id: Mapped[int] = mapped_column(BigInteger)
    order_id: Mapped[int] = mapped_column(BigInteger)
    quantity: Mapped[int]
    released_at: Mapped[datetime | None] = mapped_column(Instant)


class Quote(Record):
    __tablename__ = "quotes"
    __table_args__ = (_to("customer_id", "customers"),)

    number: Mapped[str | None] = mapped_column(server_default=FetchedValue())
    customer_id: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(default="open")
    currency: Mapped[str]
    discount_percent: Mapped[Decimal] = mapped_column(Percent, default=Decimal(0))
    net_total: Mapped[Decimal] = mapped_column(Amount)
    tax_total: Mapped[Decimal] = mapped_column(Amount)
    gross_total: Mapped[Decimal] = mapped_column(Amount)
    base_total: Mapped[Decimal | None] = mapped_column(Amount)
    quoted_at: Mapped[datetime] = mapped_column(Instant)
    valid_until: Mapped[date]
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    lost_reason: Mapped[str | None]
    salesperson: Mapped[str | None]
    comment: Mapped[str | None]
    lines: Mapped[list["QuoteLine"]] = relationship(order_by="QuoteLine.position")


class QuoteLine(Record):
    __tablename__ = "quote_lines"
    __table_args__ = (_to("quote_id", "quotes"), _to("product_id", "products"))

    quote_id: Mapped[int] = mapped_column(BigInteger)
    product_id: Mapped[int] = mapped_column(BigInteger)
    position: Mapped[int]
    description: Mapped[str]
    quantity: Mapped[int]
    unit_price: Mapped[Decimal] = mapped_column(Amount)
    discount_percent: Mapped[Decimal] = mapped_column(Percent, default=Decimal(0))
    tax_rate: Mapped[Decimal] = mapped_column(Percent, default=Decimal(0))
    net_amount: Mapped[Decimal] = mapped_column(Amount)
    tax_amount: Mapped[Decimal] = mapped_column(Amount)


class Order(Record):
    __tablename__ = "orders"
    __table_args__ = (_to("customer_id", "customers"), _to("quote_id", "quotes"), _to("issue_id", "issues"))

    number: Mapped[str | None] = mapped_column(server_default=FetchedValue())
    customer_id: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(default="confirmed")
    currency: Mapped[str]
    net_total: Mapped[Decimal] = mapped_column(Amount)
    tax_total: Mapped[Decimal] = mapped_column(Amount)
    gross_total: Mapped[Decimal] = mapped_column(Amount)
    base_total: Mapped[Decimal | None] = mapped_column(Amount)
    placed_at: Mapped[datetime] = mapped_column(Instant)
    shipped_at: Mapped[datetime | None] = mapped_column(Instant)
    salesperson: Mapped[str | None]
    comment: Mapped[str | None]
    discount_percent: Mapped[Decimal] = mapped_column(Percent, default=Decimal(0))
    quote_id: Mapped[int | None] = mapped_column(BigInteger)
    issue_id: Mapped[int | None] = mapped_column(BigInteger)
    completed_at: Mapped[datetime | None] = mapped_column(Instant)
    cancelled_at: Mapped[datetime | None] = mapped_column(Instant)
    cancel_reason: Mapped[str | None]
    lines: Mapped[list["OrderLine"]] = relationship(order_by="OrderLine.position")


class OrderLine(Record):
    __tablename__ = "order_lines"
    __table_args__ = (_to("order_id", "orders"), _to("product_id", "products"))

    order_id: Mapped[int] = mapped_column(BigInteger)
    product_id: Mapped[int] = mapped_column(BigInteger)
    position: Mapped[int]
    description: Mapped[str]
    quantity: Mapped[int]
    unit_price: Mapped[Decimal] = mapped_column(Amount)
    discount_percent: Mapped[Decimal] = mapped_column(Percent, default=Decimal(0))
    tax_rate: Mapped[Decimal] = mapped_column(Percent, default=Decimal(0))
    net_amount: Mapped[Decimal] = mapped_column(Amount)
    tax_amount: Mapped[Decimal] = mapped_column(Amount)


class Invoice(Record):
    __tablename__ = "invoices"
    __table_args__ = (_to("customer_id", "customers"), _to("order_id", "orders"))

    number: Mapped[str | None] = mapped_column(server_default=FetchedValue())
    customer_id: Mapped[int] = mapped_column(BigInteger)
    order_id: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str]
    net_total: Mapped[Decimal] = mapped_column(Amount)
    tax_total: Mapped[Decimal] = mapped_column(Amount)
    gross_total: Mapped[Decimal] = mapped_column(Amount)
    base_total: Mapped[Decimal | None] = mapped_column(Amount)
    paid_total: Mapped[Decimal] = mapped_column(Amount, default=Decimal(0))
    credited_total: Mapped[Decimal] = mapped_column(Amount, default=Decimal(0))
    issued_on: Mapped[date]
    due_on: Mapped[date]
    lines: Mapped[list["InvoiceLine"]] = relationship(order_by="InvoiceLine.position")

    @property
    def open(self) -> Decimal:
        """What is still to be paid; below zero where a credit note came after the payment."""
        return self.gross_total - self.paid_total - self.credited_total


class InvoiceLine(Record):
    __tablename__ = "invoice_lines"
    __table_args__ = (
        _to("invoice_id", "invoices"),
        _to("product_id", "products"),
        _to("order_line_id", "order_lines"),
    )

    invoice_id: Mapped[int] = mapped_column(BigInteger)
    order_line_id: Mapped[int | None] = mapped_column(BigInteger)
    product_id: Mapped[int | None] = mapped_column(BigInteger)
    position: Mapped[int]
    description: Mapped[str]
    quantity: Mapped[int]
    unit_price: Mapped[Decimal] = mapped_column(Amount)
    discount_percent: Mapped[Decimal] = mapped_column(Percent, default=Decimal(0))
    tax_rate: Mapped[Decimal] = mapped_column(Percent, default=Decimal(0))
    net_amount: Mapped[Decimal] = mapped_column(Amount)
    tax_amount: Mapped[Decimal] = mapped_column(Amount)


class CreditNote(Record):
    __tablename__ = "credit_notes"
    __table_args__ = (_to("invoice_id", "invoices"), _to("customer_id", "customers"))

    number: Mapped[str | None] = mapped_column(server_default=FetchedValue())
    invoice_id: Mapped[int] = mapped_column(BigInteger)
    customer_id: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]
    net_total: Mapped[Decimal] = mapped_column(Amount)
    tax_total: Mapped[Decimal] = mapped_column(Amount)
    gross_total: Mapped[Decimal] = mapped_column(Amount)
    base_total: Mapped[Decimal | None] = mapped_column(Amount)
    issued_on: Mapped[date]
    explanation: Mapped[str]
    lines: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=FetchedValue())


class Payment(Record):
    __tablename__ = "payments"
    __table_args__ = (_to("customer_id", "customers"),)

    customer_id: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]
    amount: Mapped[Decimal] = mapped_column(Amount)
    base_amount: Mapped[Decimal | None] = mapped_column(Amount)
    allocated_total: Mapped[Decimal] = mapped_column(Amount, default=Decimal(0))
    received_on: Mapped[date]
    method: Mapped[str] = mapped_column(default="transfer")
    reference: Mapped[str | None]
    allocations: Mapped[list["PaymentAllocation"]] = relationship(order_by="PaymentAllocation.id")


class PaymentAllocation(Record):
    __tablename__ = "payment_allocations"
    __table_args__ = (_to("payment_id", "payments"), _to("invoice_id", "invoices"))

    payment_id: Mapped[int] = mapped_column(BigInteger)
    invoice_id: Mapped[int] = mapped_column(BigInteger)
    amount: Mapped[Decimal] = mapped_column(Amount)


class TaxRate(Record):
    __tablename__ = "tax_rates"

    zone: Mapped[str]
    tax_class: Mapped[str]
    rate: Mapped[Decimal] = mapped_column(Percent)
    valid_from: Mapped[date]


class OrgSettings(Record):
    __tablename__ = "org_settings"

    payment_terms_days: Mapped[int] = mapped_column(default=30)
    quote_valid_days: Mapped[int] = mapped_column(default=30)
    books_closed_through: Mapped[date | None]
    sender_name: Mapped[str | None]
    sender_email: Mapped[str | None]
    service_hours: Mapped[dict[str, list[int]]] = mapped_column(JSONB, server_default=FetchedValue())


class PolicyEdition(Record):
    __tablename__ = "policies"

    edition: Mapped[int]
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    changes: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)


class ExchangeRate(Record):
    __tablename__ = "exchange_rates"

    currency: Mapped[str]
    valid_from: Mapped[date]
    rate: Mapped[Decimal] = mapped_column(Numeric(18, 8))


class Issue(Record):
    __tablename__ = "issues"
    __table_args__ = (
        _to("customer_id", "customers"),
        _to("contact_id", "contacts"),
        _to("order_id", "orders"),
        _to("product_id", "products"),
    )

    customer_id: Mapped[int] = mapped_column(BigInteger)
    title: Mapped[str]
    status: Mapped[str] = mapped_column(default="open")
    priority: Mapped[str] = mapped_column(default="normal")
    opened_at: Mapped[datetime] = mapped_column(Instant)
    type: Mapped[str] = mapped_column(default="problem")
    description: Mapped[str | None]
    contact_id: Mapped[int | None] = mapped_column(BigInteger)
    order_id: Mapped[int | None] = mapped_column(BigInteger)
    product_id: Mapped[int | None] = mapped_column(BigInteger)
    assignee_id: Mapped[int | None] = mapped_column(BigInteger)
    respond_by: Mapped[datetime | None] = mapped_column(Instant)
    resolve_by: Mapped[datetime | None] = mapped_column(Instant)
    responded_at: Mapped[datetime | None] = mapped_column(Instant)
    waiting_since: Mapped[datetime | None] = mapped_column(Instant)
    waited_seconds: Mapped[int] = mapped_column(BigInteger, default=0)
    resolved_at: Mapped[datetime | None] = mapped_column(Instant)
    closed_at: Mapped[datetime | None] = mapped_column(Instant)
    resolution: Mapped[str | None]
    warranty_until: Mapped[date | None]


class Warranty(Record):
    __tablename__ = "warranties"
    __table_args__ = (_to("customer_id", "customers"), _to("product_id", "products"), _to("order_id", "orders"))

    customer_id: Mapped[int] = mapped_column(BigInteger)
    product_id: Mapped[int] = mapped_column(BigInteger)
    order_id: Mapped[int | None] = mapped_column(BigInteger)
    serial: Mapped[str | None]
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    terms: Mapped[str | None]


class Task(Record):
    __tablename__ = "tasks"
    __table_args__ = (_to("customer_id", "customers"),)

    title: Mapped[str]
    description: Mapped[str | None]
    status: Mapped[str] = mapped_column(default="open")
    priority: Mapped[str] = mapped_column(default="normal")
    due_on: Mapped[date | None]
    assignee_id: Mapped[int | None] = mapped_column(BigInteger)
    completed_at: Mapped[datetime | None] = mapped_column(Instant)
    outcome: Mapped[str | None]
    customer_id: Mapped[int | None] = mapped_column(BigInteger)
    subject_type: Mapped[str | None]
    subject_id: Mapped[int | None] = mapped_column(BigInteger)


class Activity(Record):
    __tablename__ = "activities"
    __table_args__ = (_to("customer_id", "customers"), _to("contact_id", "contacts"))

    customer_id: Mapped[int | None] = mapped_column(BigInteger)
    kind: Mapped[str]
    subject: Mapped[str]
    happened_at: Mapped[datetime] = mapped_column(Instant)
    subject_type: Mapped[str]
    subject_id: Mapped[int] = mapped_column(BigInteger)
    direction: Mapped[str | None]
    body: Mapped[str | None]
    minutes: Mapped[int | None]
    contact_id: Mapped[int | None] = mapped_column(BigInteger)


class Note(Record):
    __tablename__ = "notes"
    __table_args__ = (_to("customer_id", "customers"),)

    customer_id: Mapped[int | None] = mapped_column(BigInteger)
    body: Mapped[str]
    subject_type: Mapped[str]
    subject_id: Mapped[int] = mapped_column(BigInteger)


class Email(Record):
    __tablename__ = "emails"
    __table_args__ = (_to("customer_id", "customers"),)

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
    __table_args__ = (_to("email_id", "emails"), _to("blob_id", "blobs"))

    email_id: Mapped[int] = mapped_column(BigInteger)
    blob_id: Mapped[int] = mapped_column(BigInteger)
    position: Mapped[int]


class Delivery(Record):
    """What became of an e-mail; Postgres sets how it starts, the worker how it goes on."""

    __tablename__ = "outbox"
    __table_args__ = (_to("email_id", "emails"),)

    email_id: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(server_default=FetchedValue())
    attempts: Mapped[int] = mapped_column(server_default=FetchedValue())
    unclear: Mapped[int] = mapped_column(server_default=FetchedValue())
    next_attempt_at: Mapped[datetime | None] = mapped_column(Instant)
    last_error: Mapped[str | None]
    sent_at: Mapped[datetime | None] = mapped_column(Instant)
    accepted: Mapped[list[str]] = mapped_column(JSONB, server_default=FetchedValue())
    refused: Mapped[dict[str, str]] = mapped_column(JSONB, server_default=FetchedValue())


class ExternalRef(Record):
    __tablename__ = "external_refs"

    source: Mapped[str]
    entity: Mapped[str]
    external_id: Mapped[str]
    record_id: Mapped[int] = mapped_column(BigInteger)


@cache
def references() -> Mapping[tuple[str, str], str]:
    """Return which column of which table holds the id of which other."""
    found: dict[tuple[str, str], str] = {}
    for table in Base.metadata.tables.values():
        for constraint in table.foreign_key_constraints:
            local = [column.name for column in constraint.columns if column.name != "org_id"]
            found[table.name, local[0]] = constraint.referred_table.name
    return found
