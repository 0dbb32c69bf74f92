"""Invoices, credit notes, payments and rates."""

from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, FetchedValue, Numeric
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .record import Amount, Percent, Record, to


class Invoice(Record):
    __tablename__ = "invoices"
    __table_args__ = (to("customer_id", "customers"), to("order_id", "orders"))

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
        to("invoice_id", "invoices"),
        to("product_id", "products"),
        to("order_line_id", "order_lines"),
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
    __table_args__ = (to("invoice_id", "invoices"), to("customer_id", "customers"))

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
    __table_args__ = (to("customer_id", "customers"),)

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
    __table_args__ = (to("payment_id", "payments"), to("invoice_id", "invoices"))

    payment_id: Mapped[int] = mapped_column(BigInteger)
    invoice_id: Mapped[int] = mapped_column(BigInteger)
    amount: Mapped[Decimal] = mapped_column(Amount)


class TaxRate(Record):
    __tablename__ = "tax_rates"

    zone: Mapped[str]
    tax_class: Mapped[str]
    rate: Mapped[Decimal] = mapped_column(Percent)
    valid_from: Mapped[date]


class ExchangeRate(Record):
    __tablename__ = "exchange_rates"

    currency: Mapped[str]
    valid_from: Mapped[date]
    rate: Mapped[Decimal] = mapped_column(Numeric(18, 8))
