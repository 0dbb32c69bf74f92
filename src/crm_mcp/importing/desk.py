"""Import issues, tasks, notes and activities, each on the record that it is about."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import cast

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..crm.models import Activity, Contact, Customer, Issue, Note, Order, Product, Record, Task
from .finding import SUBJECTS, Found, People, find, people, words
from .kept import Upsert, good, past, refuse_twins
from .rows import Row
from .sheet import Entry, Sheet
from .work import Counts, Job

_DEFAULTS: Row = {"type": "problem", "status": "open", "priority": "normal"}
"""What a blank cell of a mapped column means."""
_OWN = ("invoice", "issue", "order", "product", "contact")
"""Columns of a row's subject, but for the customer; each holds records of the table of its name."""
_NAMED = ("external_id", "assignee", "customer", "about_type", "about", *_OWN)


@dataclass(slots=True)
class Desk:
    """Records of one table."""

    job: Job
    records: Upsert
    counts: Counts = field(default_factory=Counts)

    @property
    def size(self) -> int:
        return self.records.size

    async def write(self, session: AsyncSession, done: Callable[[int], None]) -> None:
        await self.records.write(session, self.job.who.org, self.job.plan.source, done)


async def issues(conn: AsyncConnection, job: Job, sheet: Sheet) -> Desk:
    """Judge a file of issues; deadlines are those of the file."""
    header = sheet.mapped()
    refuse_twins(sheet.entries, "external_id", header["external_id"])
    staff = await people(conn, job.who.org)
    named: dict[str, tuple[type[Record], Found]] = {}
    for name, model in (("customer", Customer), ("contact", Contact), ("order", Order), ("product", Product)):
        columns = [] if name in ("customer", "product") else ["customer_id"]
        named[name] = (model, await find(conn, job, model, words(sheet.entries, name), columns))
    rows: dict[str, Row] = {}
    for entry in good(sheet.entries):
        row: Row = {}
        for name, (_, found) in named.items():
            word = entry.values.get(name)
            hit = found.take(entry, word, header[name]) if word is not None else None
            row[f"{name}_id"] = hit.id if hit else None
            if hit and hit.values.get("customer_id", row["customer_id"]) != row["customer_id"]:
                entry.wrong.append(f"{header[name]} {word!r} is of another customer")
        row = {name: value for name, value in row.items() if name.removesuffix("_id") in header}
        rows[entry.values["external_id"]] = row
    return await _bring(conn, job, sheet, Issue, rows, staff)


async def tasks(conn: AsyncConnection, job: Job, sheet: Sheet) -> Desk:
    """Judge a file of tasks, which may be about nothing."""
    return await _about(conn, job, sheet, Task, must=False)


async def notes(conn: AsyncConnection, job: Job, sheet: Sheet) -> Desk:
    """Judge a file of notes."""
    return await _about(conn, job, sheet, Note, must=True)


async def activities(conn: AsyncConnection, job: Job, sheet: Sheet) -> Desk:
    """Judge a file of activities; a contact is whom they were with."""
    return await _about(conn, job, sheet, Activity, must=True)


async def _about(conn: AsyncConnection, job: Job, sheet: Sheet, model: type[Record], *, must: bool) -> Desk:
    header = sheet.mapped()
    refuse_twins(sheet.entries, "external_id", header["external_id"])
    staff = await people(conn, job.who.org)
    entries = good(sheet.entries)
    for entry in entries:
        _name(entry, header, beside=model is Activity)
    found = {
        table: await find(
            conn,
            job,
            what,
            {entry.values["target"][1] for entry in good(entries) if _is_about(entry, table)}
            | _beside(entries, table),
            [] if table in ("customers", "products") else ["customer_id"],
        )
        for table, what in SUBJECTS.items()
    }
    rows: dict[str, Row] = {}
    for entry in good(entries):
        row: Row = {"customer_id": None, "subject_type": None, "subject_id": None}
        if not any(name in header for name in ("about", "customer", *_OWN)):
            row = {}
        if entry.values["target"] is not None:
            table, word, column = entry.values["target"]
            hit = found[table].take(entry, word, header[column])
            if hit is not None:
                owner = hit.id if table == "customers" else hit.values.get("customer_id")
                row = {"customer_id": owner, "subject_type": table, "subject_id": hit.id}
        elif must:
            entry.wrong.append("names nothing that it is about")
        _owned(entry, row, found, header)
        if model is Activity and "contact" in header:
            word = entry.values.get("contact")
            hit = found["contacts"].take(entry, word, header["contact"]) if word is not None else None
            row["contact_id"] = hit.id if hit else None
            if hit and row["customer_id"] is not None and hit.values["customer_id"] != row["customer_id"]:
                entry.wrong.append(f"{header['contact']} {word!r} is of another customer")
        rows[entry.values["external_id"]] = row
    return await _bring(conn, job, sheet, model, rows, staff)


def _name(entry: Entry, header: dict[str, str], *, beside: bool) -> None:
    """Set what a row is about as table, word and column; of its columns the nearest to it counts, a customer last."""
    given = entry.values
    given["target"] = None
    own = [name for name in _OWN if given.get(name) is not None and not (beside and name == "contact")]
    if given.get("about") is not None:
        if given.get("about_type") is None:
            entry.wrong.append(f"{header['about']} is filled, but not what kind of record it is (about_type)")
            return
        given["target"] = (given["about_type"], given["about"], "about")
    elif len(own) > 1:
        entry.wrong.append(f"names {' and '.join(header[name] for name in own)}; keep what it is about")
    elif own:
        given["target"] = (f"{own[0]}s", given[own[0]], own[0])
    elif given.get("customer") is not None:
        given["target"] = ("customers", given["customer"], "customer")
    elif beside and given.get("contact") is not None:
        given["target"] = ("contacts", given["contact"], "contact")


def _is_about(entry: Entry, table: str) -> bool:
    return entry.values["target"] is not None and entry.values["target"][0] == table


def _beside(entries: Iterable[Entry], table: str) -> set[str]:
    """Return what rows name beside their subject."""
    return (
        words(entries, {"customers": "customer", "contacts": "contact"}[table])
        if table in ("customers", "contacts")
        else set()
    )


def _owned(entry: Entry, row: Row, found: dict[str, Found], header: dict[str, str]) -> None:
    """Hold the customer that a row names beside its subject to the subject's own."""
    word = entry.values.get("customer")
    if word is None or entry.wrong or row["subject_type"] == "customers":
        return
    hit = found["customers"].take(entry, word, header["customer"])
    if hit is None:
        return
    row["customer_id"] = row["customer_id"] if row["customer_id"] is not None else hit.id
    if row["customer_id"] != hit.id:
        entry.wrong.append(f"{header['customer']} {word!r} is not whose {row['subject_type']} it is about")


async def _bring(
    conn: AsyncConnection, job: Job, sheet: Sheet, model: type[Record], rows: dict[str, Row], staff: People
) -> Desk:
    """Add what rows say themselves to what they name, and take them in."""
    header = sheet.mapped()
    plain = [name for name in sheet.columns if name not in _NAMED]
    table = model.__tablename__
    for entry in good(sheet.entries):
        row = rows[entry.values["external_id"]]
        row |= {name: entry.values[name] for name in plain}
        row |= {name: value for name, value in _DEFAULTS.items() if name in row and row[name] is None}
        if "assignee" in header:
            row["assignee_id"] = staff.take(entry, header["assignee"])
    taken = good(sheet.entries)
    columns = list(rows[taken[0].values["external_id"]]) if taken else []
    known = await past(
        conn, job.who.org, job.plan.source, model, [entry.values["external_id"] for entry in taken], columns
    )
    work = Desk(job, Upsert(model, dead=list(known.dead.values())))
    for entry in taken:
        external = cast("str", entry.values["external_id"])
        work.records.bring(external, rows[external], known.known.get(external))
    records = work.records
    work.counts = Counts(len(records.fresh), len(records.changed), records.unchanged, {table: len(records.fresh)})
    return work
