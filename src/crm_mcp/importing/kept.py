"""What the database already holds of another system's records, and what a file changes of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from psycopg.types.json import Jsonb
from sqlalchemy import ARRAY, BigInteger, Table, any_, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..crm.models import ExternalRef, Record
from .rows import Row, add, change
from .sheet import Entry

Done = Callable[[int], None]


class Pending(NamedTuple):
    """The id, still to be known, of a record that is written before: its table, its external id."""

    table: str
    external: str


class Known(NamedTuple):
    """A record that came from the other system before; `said` is what its file held that no column keeps."""

    ref: int
    id: int
    said: Mapping[str, Any]
    values: Mapping[str, Any]


@dataclass(slots=True)
class Upsert:
    """The rows of one table that a file brings: new ones, and those of known records that differ.

    `fresh` and `changed` are keyed by the external id; `ids` has the record of each external id, those of
    `fresh` once they are written. `said` holds what a reference should remember of its file.
    """

    model: type[Record]
    fresh: dict[str, Row] = field(default_factory=dict[str, Row])
    changed: dict[str, Row] = field(default_factory=dict[str, Row])
    unchanged: int = 0
    ids: dict[str, int] = field(default_factory=dict[str, int])
    said: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    dead: list[int] = field(default_factory=list[int])
    referred: bool = True
    """Whether the other system's ids are kept; not where a row is known by what it says."""

    def bring(self, external: str, row: Row, known: Known | None) -> None:
        """Take a row in: as new, or as changed where a column differs from what is known."""
        if known is None:
            self.fresh[external] = row
            return
        self.ids[external] = known.id
        if any(
            known.values[name] != (value.obj if isinstance(value, Jsonb) else value) for name, value in row.items()
        ):
            self.changed[external] = {"id": known.id, **row}
        else:
            self.unchanged += 1

    @property
    def size(self) -> int:
        return len(self.fresh) + len(self.changed)

    def settle(self, written: Iterable["Upsert"]) -> None:
        """Put the ids of records that have been written in the place of those that were pending."""
        known = {one.model.__tablename__: one.ids for one in written if one.ids}
        if not known:
            return
        for row in (*self.fresh.values(), *self.changed.values()):
            for name, value in row.items():
                if isinstance(value, Pending):
                    row[name] = known[value.table][value.external]

    async def write(self, session: AsyncSession, org: int, source: str, done: Done) -> None:
        """Insert what is new with its references, update what differs."""
        if self.dead:
            await _forget(session, org, self.dead)
        fresh = list(self.fresh)
        ids = await add(session, self.model, org, list(self.fresh.values()), done)
        self.ids |= zip(fresh, ids, strict=True)
        if self.referred:
            references = [
                {
                    "source": source,
                    "entity": self.model.__tablename__,
                    "external_id": external,
                    "record_id": number,
                    "custom_fields": Jsonb(self.said.get(external, {})),
                }
                for external, number in zip(fresh, ids, strict=True)
            ]
            await add(session, ExternalRef, org, references)
        await change(session, self.model, org, list(self.changed.values()))
        done(len(self.changed))


@dataclass(slots=True)
class Past:
    """The records of one table that came from a source: by external id those that exist, and dead references."""

    known: dict[str, Known]
    dead: dict[str, int]


async def past(
    conn: AsyncConnection,
    org: int,
    source: str,
    model: type[Record],
    wanted: Iterable[str],
    columns: Sequence[str] = (),
) -> Past:
    """Return what is known of external ids, with the values of some columns.

    A reference is dead when its record was deleted since.
    """
    asked = set(wanted)
    refs, table = cast("Table", ExternalRef.__table__), cast("Table", model.__table__)
    # two plain scans: right after a bulk load Postgres knows no row counts, and plans their join as a nested loop
    found = await conn.execute(
        select(refs.c.external_id, refs.c.id, refs.c.record_id, refs.c.custom_fields).where(
            refs.c.org_id == org, refs.c.source == source, refs.c.entity == table.name
        )
    )
    pointing = [row for row in found if row[0] in asked]
    records = await conn.execute(
        select(table.c.id, *(table.c[name] for name in columns)).where(
            table.c.org_id == org,
            table.c.id == any_(bindparam("ids", [row[2] for row in pointing], ARRAY(BigInteger))),
        )
    )
    there = {row[0]: dict(zip(columns, row[1:], strict=True)) for row in records}
    known = {
        external: Known(ref, number, said, there[number])
        for external, ref, number, said in pointing
        if number in there
    }
    dead = {external: ref for external, ref, number, _ in pointing if number not in there}
    return Past(known, dead)


async def remember(session: AsyncSession, org: int, said: Mapping[int, Mapping[str, Any]]) -> None:
    """Note on references what their file now holds; keyed by the reference."""
    await change(session, ExternalRef, org, [{"id": ref, "custom_fields": Jsonb(what)} for ref, what in said.items()])


async def _forget(session: AsyncSession, org: int, refs: Sequence[int]) -> None:
    conn = await session.connection()
    await conn.exec_driver_sql("delete from crm.external_refs where org_id = %s and id = any(%s)", (org, list(refs)))


def good(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries with which nothing is wrong."""
    return [entry for entry in entries if not entry.wrong]


def refuse_twins(entries: Iterable[Entry], name: str, header: str) -> None:
    """Mark all rows of an id that stands on several: which of them is right cannot be known."""
    by_id: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.values.get(name) is not None:
            by_id.setdefault(entry.values[name], []).append(entry)
    for value, twins in by_id.items():
        if len(twins) > 1:
            lines = ", ".join(str(twin.line) for twin in twins[:5])
            for twin in twins:
                twin.wrong.append(f"{header} {value!r} is on lines {lines}; keep one of them")
