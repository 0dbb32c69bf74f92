"""Goods, their stock and what is promised about them."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from .record import Amount, Instant, Percent, Record, to


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
    __table_args__ = (to("product_id", "products"), to("order_id", "orders"))

    product_id: Mapped[int] = mapped_column(BigInteger)
    quantity: Mapped[int]
    kind: Mapped[str]
    order_id: Mapped[int | None] = mapped_column(BigInteger)


class StockReservation(Record):
    __tablename__ = "stock_reservations"
    __table_args__ = (to("product_id", "products"), to("order_id", "orders"))

    product_id: Mapped[int] = mapped_column(BigInteger)
    order_id: Mapped[int] = mapped_column(BigInteger)
    quantity: Mapped[int]
    released_at: Mapped[datetime | None] = mapped_column(Instant)


class Warranty(Record):
    __tablename__ = "warranties"
    __table_args__ = (to("customer_id", "customers"), to("product_id", "products"), to("order_id", "orders"))

    customer_id: Mapped[int] = mapped_column(BigInteger)
    product_id: Mapped[int] = mapped_column(BigInteger)
    order_id: Mapped[int | None] = mapped_column(BigInteger)
    serial: Mapped[str | None]
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    terms: Mapped[str | None]
