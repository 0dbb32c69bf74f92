"""Texts of the org's knowledge base."""

from sqlalchemy import FetchedValue
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from .record import Record


class Article(Record):
    __tablename__ = "articles"

    title: Mapped[str]
    body: Mapped[str]
    tags: Mapped[list[str]] = mapped_column(JSONB, server_default=FetchedValue())
    access: Mapped[str]
    roles: Mapped[list[str]] = mapped_column(JSONB, server_default=FetchedValue())
    source: Mapped[str | None]
