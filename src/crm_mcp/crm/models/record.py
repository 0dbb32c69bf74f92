"""The tables as the unit of work sees them; a test holds them equal to the migrated schema."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, DateTime, FetchedValue, ForeignKeyConstraint, MetaData, Numeric
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Amount = Numeric(19, 4)
Percent = Numeric(6, 3)
Share = Numeric(5, 2)
"""Per cent, and scores of 0 to 100."""
Confidence = Numeric(4, 3)
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


class Mergeable(Record):
    """A record that may have been merged into another of its kind."""

    __abstract__ = True

    merged_into: Mapped[int | None] = mapped_column(BigInteger)


def to(column: str, table: str) -> ForeignKeyConstraint:
    """Return the key by which a column names a row of another table of the org."""
    return ForeignKeyConstraint(["org_id", column], [f"crm.{table}.org_id", f"crm.{table}.id"])


def within(whole: str, column: str, table: str) -> ForeignKeyConstraint:
    """Return the key by which a column names a row of another table that belongs to the same whole."""
    return ForeignKeyConstraint(
        ["org_id", whole, column], [f"crm.{table}.org_id", f"crm.{table}.{whole}", f"crm.{table}.id"]
    )


@cache
def references() -> Mapping[tuple[str, str], str]:
    """Return which column of which table holds the id of which other."""
    found: dict[tuple[str, str], str] = {}
    for table in Base.metadata.tables.values():
        for constraint in table.foreign_key_constraints:
            local = [column.name for column in constraint.columns if column.name != "org_id"]
            found[table.name, local[-1]] = constraint.referred_table.name
    return found
