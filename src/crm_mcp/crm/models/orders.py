"""Quotes and orders with their lines."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import BigInteger, FetchedValue
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .record import Amount, Instant, Percent, Record, to


class Quote(Record):
    __tablename__ = "quotes"
    __table_args__ = (to("customer_id", "customers"),)

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
    __table_args__ = (to("quote_id", "quotes"), to("product_id", "products"))

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
    __table_args__ = (to("customer_id", "customers"), to("quote_id", "quotes"), to("issue_id", "issues"))

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
    __table_args__ = (to("order_id", "orders"), to("product_id", "products"))

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
