"""Parties: accounts, organizations, individuals and contacts."""

from decimal import Decimal

from sqlalchemy import BigInteger, FetchedValue
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from .record import Amount, Mergeable, Record, to


class Customer(Mergeable):
    __tablename__ = "customers"
    __table_args__ = (to("merged_into", "customers"),)

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


class Contact(Mergeable):
    __tablename__ = "contacts"
    __table_args__ = (
        to("merged_into", "contacts"),
        to("customer_id", "customers"),
        to("individual_id", "individuals"),
        to("organization_id", "organizations"),
    )

    customer_id: Mapped[int | None] = mapped_column(BigInteger)
    name: Mapped[str]
    title: Mapped[str | None]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    individual_id: Mapped[int | None] = mapped_column(BigInteger)
    organization_id: Mapped[int | None] = mapped_column(BigInteger)
    linkedin_url: Mapped[str | None]


class Organization(Mergeable):
    __tablename__ = "organizations"
    __table_args__ = (to("merged_into", "organizations"),)

    name: Mapped[str]
    domain: Mapped[str | None]
    website: Mapped[str | None]
    industry: Mapped[str | None]
    employees: Mapped[int | None]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    street: Mapped[str | None]
    city: Mapped[str | None]
    region: Mapped[str | None]
    postal_code: Mapped[str | None]
    country: Mapped[str | None]
    linkedin_url: Mapped[str | None]
    technologies: Mapped[list[str]] = mapped_column(JSONB, server_default=FetchedValue())
    description: Mapped[str | None]
    owner_id: Mapped[int | None] = mapped_column(BigInteger)


class Individual(Mergeable):
    __tablename__ = "individuals"
    __table_args__ = (to("merged_into", "individuals"),)

    name: Mapped[str]
    first_name: Mapped[str | None]
    last_name: Mapped[str | None]
    title: Mapped[str | None]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    street: Mapped[str | None]
    city: Mapped[str | None]
    region: Mapped[str | None]
    postal_code: Mapped[str | None]
    country: Mapped[str | None]
    linkedin_url: Mapped[str | None]
    description: Mapped[str | None]
    owner_id: Mapped[int | None] = mapped_column(BigInteger)


class CustomerParty(Record):
    __tablename__ = "customer_parties"
    __table_args__ = (
        to("customer_id", "customers"),
        to("organization_id", "organizations"),
        to("individual_id", "individuals"),
    )

    customer_id: Mapped[int] = mapped_column(BigInteger)
    organization_id: Mapped[int | None] = mapped_column(BigInteger)
    individual_id: Mapped[int | None] = mapped_column(BigInteger)
    part: Mapped[str | None]
