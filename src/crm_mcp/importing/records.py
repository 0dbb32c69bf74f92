"""Import records of one table, with what they name in others: organizations, individuals and projects, and what all such share."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, cast

from psycopg.types.json import Jsonb
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..crm.models import Customer, Deal, Individual, Lead, Organization, Project, Record
from .finding import People, people
from .kept import Known, Upsert, good, past, refuse_twins
from .links import Link, Links, link
from .places import Places
from .rows import Row
from .sheet import Entry, Sheet
from .work import Counts, Job

_BLANK: dict[type[Record], Row] = {Deal: {"status": "open"}, Lead: {"status": "new"}, Project: {"status": "planned"}}
"""What a blank cell of a mapped column means."""


@dataclass(slots=True)
class Records:
    """Records of one table, the parts of leads, and what is made beside them."""

    job: Job
    main: Upsert
    links: Links
    parts: list[Upsert] = field(default_factory=list[Upsert])
    places: Places | None = None
    counts: Counts = field(default_factory=Counts)

    @property
    def size(self) -> int:
        return (
            self.main.size
            + self.links.size
            + sum(one.size for one in self.parts)
            + (self.places.size if self.places else 0)
        )

    @property
    def beside(self) -> set[str]:
        """Records of which only a part or the place differs."""
        changed = {external for one in self.parts for external in one.changed}
        if self.places is not None:
            changed |= self.places.moved
        return changed - set(self.main.changed)

    async def write(self, session: AsyncSession, done: Callable[[int], None]) -> None:
        org, source = self.job.who.org, self.job.plan.source
        await self.links.write(session, done)
        self.main.settle(self.links.beside.values())
        await self.main.write(session, org, source, done)
        for one in self.parts:
            for external, row in one.fresh.items():
                row["lead_id"] = self.main.ids[external]
            await one.write(session, org, source, done)
        if self.places is not None:
            await self.places.write(session, self.main)

    def count(self) -> None:
        table = self.main.model.__tablename__
        beside = len(self.beside)
        self.counts = Counts(
            len(self.main.fresh),
            len(self.main.changed) + beside,
            self.main.unchanged - beside,
            {table: len(self.main.fresh)}
            | {one.model.__tablename__: len(one.fresh) for one in self.parts}
            | {model.__tablename__: len(one.fresh) for model, one in self.links.beside.items()}
            | (self.places.rows() if self.places else {}),
        )


async def organizations(conn: AsyncConnection, job: Job, sheet: Sheet) -> Records:
    """Judge a file of organizations."""
    return await judge(conn, job, sheet, Organization, {})


async def individuals(conn: AsyncConnection, job: Job, sheet: Sheet) -> Records:
    """Judge a file of individuals; a name is what is given, else its parts."""
    for entry in sheet.entries:
        name_in_full(entry)
    return await judge(conn, job, sheet, Individual, {})


async def projects(conn: AsyncConnection, job: Job, sheet: Sheet) -> Records:
    """Judge a file of projects."""
    links = {"customer": Link(Customer), "organization": Link(Organization, made=True), "deal": Link(Deal)}
    return await judge(conn, job, sheet, Project, links)


def name_in_full(entry: Entry) -> None:
    """Set a person's name from its parts, else the address, where the file has no other."""
    given = entry.values
    if given.get("name") is None:
        parts = " ".join(part for part in (given.get("first_name"), given.get("last_name")) if part)
        given["name"] = parts or given.get("email")


async def judge(
    conn: AsyncConnection,
    job: Job,
    sheet: Sheet,
    model: type[Record],
    links: dict[str, Link],
    more: Callable[[Entry, Row, Known | None, Links], None] | None = None,
    compared: Collection[str] = (),
) -> Records:
    """Judge a file whose columns are the table's own; `more` completes each row and may mark it."""
    header = sheet.mapped()
    refuse_twins(sheet.entries, "external_id", header.get("external_id", "id"))
    found = await link(conn, job, sheet, links)
    staff = await people(conn, job.who.org)
    table = cast("Table", model.__table__)
    composed = job.lenient or bool({"first_name", "last_name"} & set(sheet.columns))
    names = [name for name in table.c.keys() if name in sheet.columns or (name == "name" and composed)]  # noqa: SIM118
    columns = {*names, *(f"{name}_id" for name in found.named), *compared}
    if "owner" in header:
        columns.add("owner_id")
    if model is Lead and job.lenient:
        columns.add("individual_id")
    if job.plan.keep:
        columns.add("custom_fields")
    externals = [entry.values["external_id"] for entry in good(sheet.entries)]
    known = await past(conn, job.who.org, job.plan.source, model, externals, sorted(columns))
    work = Records(job, Upsert(model, dead=list(known.dead.values())), found)
    for entry in good(sheet.entries):
        external = entry.values["external_id"]
        there = known.known.get(external)
        row = _row(entry, names, found, staff, model, header)
        if model is Lead and job.lenient:
            row.setdefault("individual_id", None)
        keep(entry, row, there)
        if row.get("name", entry.values.get("name")) is None:
            entry.wrong.append("has no name")
        if more is not None:
            more(entry, row, there, found)
        if not entry.wrong:
            work.main.bring(external, row, there)
    work.count()
    return work


def keep(entry: Entry, row: Row, there: Known | None) -> None:
    """Add the cells that nothing read to the record's own fields, where they are kept."""
    if entry.kept is not None:
        before: dict[str, Any] = dict(there.values["custom_fields"]) if there else {}
        row["custom_fields"] = Jsonb(before | entry.kept)


def _row(
    entry: Entry, names: list[str], links: Links, staff: People, model: type[Record], header: dict[str, str]
) -> Row:
    row: Row = {name: entry.values.get(name) for name in names}
    row |= {name: value for name, value in _BLANK.get(model, {}).items() if name in row and row[name] is None}
    for name in links.named:
        row[f"{name}_id"] = links.take(entry, name)
    if "owner" in header:
        row["owner_id"] = staff.know(links.job, entry.values.get("owner"))
    return row
