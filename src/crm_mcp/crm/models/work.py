"""Support and work: issues, tasks, activities, notes, projects, documents."""

from datetime import date, datetime

from sqlalchemy import BigInteger, FetchedValue
from sqlalchemy.orm import Mapped, mapped_column

from .record import Instant, Record, to


class Issue(Record):
    __tablename__ = "issues"
    __table_args__ = (
        to("customer_id", "customers"),
        to("contact_id", "contacts"),
        to("order_id", "orders"),
        to("product_id", "products"),
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


class Task(Record):
    __tablename__ = "tasks"
    __table_args__ = (to("customer_id", "customers"),)

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
    __table_args__ = (to("customer_id", "customers"), to("contact_id", "contacts"))

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
    __table_args__ = (to("customer_id", "customers"),)

    customer_id: Mapped[int | None] = mapped_column(BigInteger)
    body: Mapped[str]
    written_at: Mapped[datetime | None] = mapped_column(Instant, server_default=FetchedValue())
    subject_type: Mapped[str]
    subject_id: Mapped[int] = mapped_column(BigInteger)


class Project(Record):
    __tablename__ = "projects"
    __table_args__ = (
        to("customer_id", "customers"),
        to("organization_id", "organizations"),
        to("deal_id", "deals"),
    )

    name: Mapped[str]
    status: Mapped[str] = mapped_column(default="planned")
    description: Mapped[str | None]
    customer_id: Mapped[int | None] = mapped_column(BigInteger)
    organization_id: Mapped[int | None] = mapped_column(BigInteger)
    deal_id: Mapped[int | None] = mapped_column(BigInteger)
    owner_id: Mapped[int | None] = mapped_column(BigInteger)
    starts_on: Mapped[date | None]
    due_on: Mapped[date | None]
    completed_at: Mapped[datetime | None] = mapped_column(Instant)


class Document(Record):
    __tablename__ = "documents"
    __table_args__ = (to("blob_id", "blobs"), to("customer_id", "customers"))

    title: Mapped[str]
    description: Mapped[str | None]
    url: Mapped[str | None]
    blob_id: Mapped[int | None] = mapped_column(BigInteger)
    media_type: Mapped[str | None]
    customer_id: Mapped[int | None] = mapped_column(BigInteger)
    subject_type: Mapped[str | None]
    subject_id: Mapped[int | None] = mapped_column(BigInteger)
