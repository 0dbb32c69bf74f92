"""The rows below a document: its lines, or what a payment was put to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..crm.models import Record
from .rows import Row, add, change

Stored = dict[int, dict[Any, Row]]
"""Rows by the document's number, then by their key within it."""


@dataclass(slots=True)
class Parts:
    """The rows of one table that a file brings below documents: `parent` names these, `key` a row within one."""

    model: type[Record]
    parent: str
    key: str
    columns: Sequence[str]
    fresh: dict[str, list[Row]] = field(default_factory=dict[str, list[Row]])
    """The rows of each new document, by its external id."""
    added: list[Row] = field(default_factory=list[Row])
    changed: list[Row] = field(default_factory=list[Row])
    removed: list[int] = field(default_factory=list[int])

    @property
    def size(self) -> int:
        return self.made + len(self.changed) + len(self.removed)

    @property
    def made(self) -> int:
        return sum(len(rows) for rows in self.fresh.values()) + len(self.added)

    def differ(self, rows: Sequence[Row], old: Mapping[Any, Row]) -> bool:
        """Say whether a known document's rows are others than those stored."""
        return len(rows) != len(old) or any(
            row[self.key] not in old or any(old[row[self.key]][name] != row[name] for name in self.columns)
            for row in rows
        )

    def replace(self, number: int, rows: Sequence[Row], old: Mapping[Any, Row]) -> None:
        """Take in the rows of a known document: those that are new, that differ, and that are gone."""
        left = dict(old)
        for row in rows:
            kept = left.pop(row[self.key], None)
            if kept is None:
                self.added.append({self.parent: number, **row})
            elif any(kept[name] != row[name] for name in self.columns):
                self.changed.append({"id": kept["id"], **row})
        self.removed += [gone["id"] for gone in left.values()]

    async def stored(self, conn: AsyncConnection, org: int, documents: Sequence[int]) -> Stored:
        """Return the rows below documents."""
        names = (self.parent, self.key, "id", *self.columns)
        found = await conn.exec_driver_sql(
            f"select {', '.join(names)} from {self._name} where org_id = %s and {self.parent} = any(%s)",
            (org, list(documents)),
        )
        rows: Stored = {}
        for values in found:
            row: Row = dict(zip(names, values, strict=True))
            rows.setdefault(row[self.parent], {})[row[self.key]] = row
        return rows

    async def write(
        self, session: AsyncSession, org: int, ids: Mapping[str, int], done: Callable[[int], None]
    ) -> None:
        """Delete what is gone, insert what is new, update what differs; `ids` has the number of each document."""
        if self.removed:
            conn = await session.connection()
            await conn.exec_driver_sql(
                f"delete from {self._name} where org_id = %s and id = any(%s)", (org, self.removed)
            )
        fresh = [{self.parent: ids[external], **row} for external, rows in self.fresh.items() for row in rows]
        await add(session, self.model, org, fresh, done)
        await add(session, self.model, org, self.added, done)
        await change(session, self.model, org, self.changed)
        done(len(self.changed) + len(self.removed))

    @property
    def _name(self) -> str:
        return cast("Table", self.model.__table__).fullname
