"""The org's terms, and the day through which its books are closed."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from .sheet import Entry


@dataclass(frozen=True, slots=True)
class Books:
    terms: int
    closed: date | None

    def refuse(self, entry: Entry, header: str, *days: date) -> None:
        """Mark a row that would post on a day of closed books: the day it has, and the one it had."""
        if self.closed is not None and min(days) <= self.closed:
            entry.wrong.append(f"{header} is {min(days)}, and the books are closed through {self.closed}")


async def books(conn: AsyncConnection, org: int) -> Books:
    found = await conn.exec_driver_sql(
        "select payment_terms_days, books_closed_through from crm.org_settings where org_id = %s", (org,)
    )
    row: Any = found.one_or_none()
    return Books(row[0], row[1]) if row else Books(30, None)
