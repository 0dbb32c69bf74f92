"""Import organizations, individuals, deals, leads and projects: rows of one table, with what they name in others."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any, cast
from zoneinfo import ZoneInfo

from psycopg.types.json import Jsonb
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..crm import models
from ..crm.models import Contact, Customer, Deal, Individual, Lead, Organization, Project, Record
from .finding import People, people
from .kept import Known, Past, Upsert, good, past, refuse_twins
from .links import Link, Links, link
from .rates import Rates, stated
from .rows import Row
from .sheet import Entry, Sheet
from .values import MOST
from .work import Counts, Job

_PARTS: dict[str, tuple[type[models.LeadPart], tuple[str, ...]]] = {
    "job": (
        models.Job,
        (
            "role", "seniority", "location", "is_remote", "salary_min", "salary_max", "currency", "url", "posted_on",
            "closes_on",
        ),
    ),
    "opportunity": (
        models.Opportunity,
        ("amount", "currency", "expected_close_on", "need", "budget_confirmed", "decision_maker", "timeline"),
    ),
    "partnership": (models.Partnership, ("type", "scope", "territory", "starts_on", "ends_on")),
}  # fmt: skip
"""What only one kind of lead has."""
_AT = {"partnership": {"type": "partnership_type"}}
"""Columns that a file calls otherwise."""
_BLANK: dict[type[Record], Row] = {Deal: {"status": "open"}, Lead: {"status": "new"}, Project: {"status": "planned"}}
"""What a blank cell of a mapped column means."""


@dataclass(slots=True)
class Records:
    """Records of one table, the parts of leads, and what is made beside them."""

    job: Job
    main: Upsert
    links: Links
    parts: list[Upsert] = field(default_factory=list[Upsert])
    counts: Counts = field(default_factory=Counts)

    @property
    def size(self) -> int:
        return self.main.size + self.links.size + sum(one.size for one in self.parts)

    async def write(self, session: AsyncSession, done: Callable[[int], None]) -> None:
        org, source = self.job.who.org, self.job.plan.source
        await self.links.write(session, done)
        self.main.settle(self.links.beside.values())
        await self.main.write(session, org, source, done)
        for one in self.parts:
            for external, row in one.fresh.items():
                row["lead_id"] = self.main.ids[external]
            await one.write(session, org, source, done)

    def count(self) -> None:
        table = self.main.model.__tablename__
        only_parts = {external for one in self.parts for external in one.changed} - set(self.main.changed)
        self.counts = Counts(
            len(self.main.fresh),
            len(self.main.changed) + len(only_parts),
            self.main.unchanged - len(only_parts),
            {table: len(self.main.fresh)}
            | {one.model.__tablename__: len(one.fresh) for one in self.parts}
            | {model.__tablename__: len(one.fresh) for model, one in self.links.beside.items()},
        )


async def organizations(conn: AsyncConnection, job: Job, sheet: Sheet) -> Records:
    """Judge a file of organizations."""
    return await _plain(conn, job, sheet, Organization, {})


async def individuals(conn: AsyncConnection, job: Job, sheet: Sheet) -> Records:
    """Judge a file of individuals; a name is what is given, else its parts."""
    for entry in sheet.entries:
        name_in_full(entry)
    return await _plain(conn, job, sheet, Individual, {})


async def projects(conn: AsyncConnection, job: Job, sheet: Sheet) -> Records:
    """Judge a file of projects."""
    links = {"customer": Link(Customer), "organization": Link(Organization, made=True), "deal": Link(Deal)}
    return await _plain(conn, job, sheet, Project, links)


async def deals(conn: AsyncConnection, job: Job, sheet: Sheet) -> Records:
    """Judge a file of deals; one that is open is not closed, and one that is not was closed when it was to be."""
    links = {
        "customer": Link(Customer), "organization": Link(Organization, made=True), "contact": Link(Contact),
        "lead": Link(Lead),
    }  # fmt: skip
    rates = await stated(conn, job.who)
    zone = ZoneInfo(job.who.timezone)

    def amount(entry: Entry, row: Row, known: Known | None, _: Links) -> None:
        if known is None or "amount" in row:
            row["amount"] = row.get("amount")
            said = row.get("currency") or job.plan.currency or job.who.currency
            row["currency"] = said if row["amount"] is not None else None
        else:
            row.pop("currency", None)
        if known is None or "status" in row:
            status = row["status"] = row.get("status") or "open"
            there = known.values["closed_at"] if known and known.values["status"] == status else None
            row["closed_at"] = (
                None if status == "open" else row.get("closed_at") or there or _closed(row, zone, job.now)
            )
        else:
            row.pop("closed_at", None)
        if "amount" in row:
            row["base_amount"] = _in_base(row, known, rates, job.now)
            if row["base_amount"] is not None and row["base_amount"] >= MOST:
                entry.wrong.append("the amount is larger than can be kept")

    return await _plain(
        conn, job, sheet, Deal, links, amount, ("amount", "currency", "base_amount", "status", "closed_at")
    )


async def leads(conn: AsyncConnection, job: Job, sheet: Sheet) -> Records:
    """Judge a file of leads; a row without a kind is an opportunity, and whom it names alone becomes an individual."""
    header = sheet.mapped()
    links = {
        "organization": Link(Organization, made=True), "individual": Link(Individual, made=True),
        "customer": Link(Customer),
    }  # fmt: skip
    people_of = await _people_of(conn, job, sheet)
    for entry in sheet.entries:
        given = entry.values
        given["kind"] = given.get("kind") or "opportunity"
        full = " ".join(filter(None, (given.get("person_first"), given.get("person_last")))) or given.get(
            "person_name"
        )
        given["person"] = full or given.get("person_email")
        if given.get("name") is None and job.lenient:
            # a lead of Salesforce is a person of a company, and has no line of its own
            given["name"] = ", ".join(filter(None, (given["person"], given.get("organization_name")))) or None
        _in_order(entry, "salary_min", "salary_max")
        _in_order(entry, "starts_on", "ends_on")

    def person(entry: Entry, row: Row, known: Known | None, found: Links) -> None:
        row["kind"] = entry.values["kind"]
        if known is not None and known.values["kind"] != row["kind"]:
            entry.wrong.append(f"was a {known.values['kind']} before; a lead keeps its kind")
        if row.get("individual_id") is None and entry.values["person"] is not None:
            external = f"lead:{entry.values['external_id']}"
            there = people_of.known.get(external)
            made = {
                "name": entry.values["person"],
                "first_name": entry.values.get("person_first"),
                "last_name": entry.values.get("person_last"),
                "email": entry.values.get("person_email"),
                "phone": entry.values.get("person_phone"),
                "title": entry.values.get("person_title"),
            }
            row["individual_id"] = there.id if there else found.make(Individual, external, made)

    work = await _plain(conn, job, sheet, Lead, links, person, ("kind", "status"))
    await _parts(conn, job, sheet, work, header)
    work.count()
    return work


def name_in_full(entry: Entry) -> None:
    """Set a person's name from its parts, else the address, where the file has no other."""
    given = entry.values
    if given.get("name") is None:
        parts = " ".join(part for part in (given.get("first_name"), given.get("last_name")) if part)
        given["name"] = parts or given.get("email")


async def _people_of(conn: AsyncConnection, job: Job, sheet: Sheet) -> Past:
    """Return the individuals who were made of leads before."""
    wanted = [f"lead:{entry.values.get('external_id')}" for entry in sheet.entries] if job.lenient else []
    return await past(conn, job.who.org, job.plan.source, Individual, wanted) if wanted else Past({}, {})


async def _plain(
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


def _closed(row: Row, zone: ZoneInfo, now: datetime) -> datetime:
    day = row.get("expected_close_on")
    at = datetime.combine(day, time(12), zone) if day else now
    return min(at, now)


def _in_base(row: Row, known: Known | None, rates: Rates, now: datetime) -> Any:
    if row["amount"] is None:
        return None
    if known is not None and (known.values["amount"], known.values["currency"]) == (row["amount"], row["currency"]):
        # a rate that was stated since does not make it another deal
        return known.values["base_amount"]
    return rates.in_base(row["amount"], row["currency"], row.get("closed_at") or now)


def _in_order(entry: Entry, least: str, most: str) -> None:
    a, b = entry.values.get(least), entry.values.get(most)
    if a is not None and b is not None and b < a:
        entry.wrong.append(
            f"{most} {b} is before {least} {a}" if least.endswith("_on") else f"{most} is below {least}"
        )


async def _parts(conn: AsyncConnection, job: Job, sheet: Sheet, work: Records, header: dict[str, str]) -> None:
    """Take in what only one kind of lead has."""
    taken = [entry for entry in good(sheet.entries) if entry.values["external_id"] in work.main.fresh | work.main.ids]
    for kind, (model, columns) in _PARTS.items():
        theirs = {name: _AT.get(kind, {}).get(name, name) for name in columns}
        mine = [entry for entry in taken if entry.values["kind"] == kind]
        read = [name for name, other in theirs.items() if other in header]
        if {"amount", "salary_min", "salary_max"} & set(read) and "currency" not in read:
            read.append("currency")
        part = Upsert(model, referred=False)
        known = await _known_parts(conn, job.who.org, model, read, list(work.main.ids.values()) if mine else [])
        for entry in mine:
            external = entry.values["external_id"]
            row: Row = {name: entry.values.get(theirs[name]) for name in read}
            if row.get("currency") is None and any(row.get(name) for name in ("amount", "salary_min", "salary_max")):
                row["currency"] = job.plan.currency or job.who.currency
            there = known.get(work.main.ids[external]) if external in work.main.ids else None
            if there is None:
                part.fresh[external] = {"lead_id": None, **row}
            elif row:
                part.bring(external, row, there)
        work.parts.append(part)


async def _known_parts(
    conn: AsyncConnection, org: int, model: type[Record], columns: list[str], leads: list[int]
) -> dict[int, Known]:
    if not leads:
        return {}
    names = ["lead_id", "id", *columns]
    found = await conn.exec_driver_sql(
        f"select {', '.join(names)} from {cast('Table', model.__table__).fullname} where org_id = %s and lead_id = any(%s)",
        (org, leads),
    )
    rows: list[Any] = list(found)
    return {row[0]: Known(0, row[1], {}, dict(zip(columns, row[2:], strict=True))) for row in rows}
