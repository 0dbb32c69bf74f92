"""Import tasks, notes, activities and documents, each on the record that it is about."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncConnection

from ..crm.models import (
    Activity,
    Contact,
    Customer,
    Deal,
    Document,
    Individual,
    Issue,
    Lead,
    Note,
    Organization,
    Record,
    Task,
)
from .desk import OWN, Desk, bring
from .finding import SUBJECTS, Found, People, find, people, words
from .kept import good, refuse_twins
from .links import Link, Links, link
from .rows import Row
from .sheet import Entry, Sheet
from .work import Job

_ELSEWHERE: dict[str, Link] = {
    "deal": Link(Deal), "lead": Link(Lead), "issue": Link(Issue), "contact": Link(Contact),
    "individual": Link(Individual), "organization": Link(Organization, made=True), "customer": Link(Customer),
}  # fmt: skip
"""What a row of another system may be about; of several it is about the first, the nearest to it."""


async def tasks(conn: AsyncConnection, job: Job, sheet: Sheet) -> Desk:
    """Judge a file of tasks, which may be about nothing."""
    return await _about(conn, job, sheet, Task, must=False)


async def notes(conn: AsyncConnection, job: Job, sheet: Sheet) -> Desk:
    """Judge a file of notes."""
    return await _about(conn, job, sheet, Note, must=True)


async def activities(conn: AsyncConnection, job: Job, sheet: Sheet) -> Desk:
    """Judge a file of activities; a contact is whom they were with."""
    return await _about(conn, job, sheet, Activity, must=True)


async def documents(conn: AsyncConnection, job: Job, sheet: Sheet) -> Desk:
    """Judge a file of documents, which may be about nothing: where each lies, without what is in it."""
    title = job.plan.preset.title if job.plan.preset else job.plan.source
    for entry in sheet.entries:
        given = entry.values
        if given.get("is_latest") is False:
            entry.wrong.append("is an older version of a file; the latest has a row of its own")
        if given.get("file") is not None:
            job.told.unfound["files kept there, which are in no export: their documents come without"] += 1
        if given.get("owner_name") is not None:
            given["description"] = "\n".join(
                filter(None, (given.get("description"), f"Owner in {title}: {given['owner_name']}"))
            )
    return await _about(conn, job, sheet, Document, must=False)


async def _about(conn: AsyncConnection, job: Job, sheet: Sheet, model: type[Record], *, must: bool) -> Desk:
    header = sheet.mapped()
    refuse_twins(sheet.entries, "external_id", header.get("external_id", "id"))
    staff = await people(conn, job.who.org)
    if job.lenient:
        return await _elsewhere(conn, job, sheet, model, staff, must=must)
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
            ["customer_id"] if hasattr(what, "customer_id") else [],
        )
        for table, what in SUBJECTS.items()
    }
    rows: dict[str, Row] = {}
    for entry in good(entries):
        row: Row = {"customer_id": None, "subject_type": None, "subject_id": None}
        if not any(name in header for name in ("about", "customer", *OWN)):
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
    return await bring(conn, job, sheet, model, rows, staff)


async def _elsewhere(
    conn: AsyncConnection, job: Job, sheet: Sheet, model: type[Record], staff: People, *, must: bool
) -> Desk:
    """Judge notes, tasks or activities of another system, whose rows may name several records that they are about."""
    prefixes: Mapping[str, str] = job.plan.preset.prefixes if job.plan.preset else {}
    for entry in sheet.entries:
        for name in ("about", "beside"):
            word = entry.values.get(name)
            kind = prefixes.get(word[:3]) if word is not None else None
            if kind is not None and entry.values.get(kind) is None:
                entry.values[kind] = word
    links = await link(conn, job, sheet, _ELSEWHERE)
    of = {
        one.model.__tablename__: await _customers_of(conn, job, one.model, links, name)
        for name, one in _ELSEWHERE.items()
    }
    rows: dict[str, Row] = {}
    for entry in good(sheet.entries):
        row: Row = {"customer_id": None, "subject_type": None, "subject_id": None}
        for name, one in _ELSEWHERE.items():
            there = links.take(entry, name)
            if there is not None:
                table = one.model.__tablename__
                row |= {"subject_type": table, "subject_id": there}
                row["customer_id"] = there if table == "customers" else of[table].get(cast("int", there))
                break
        else:
            if must:
                entry.wrong.append("names nothing that it is about and that is here")
        rows[entry.values["external_id"]] = row
    return await bring(conn, job, sheet, model, rows, staff, links)


async def _customers_of(
    conn: AsyncConnection, job: Job, model: type[Record], links: Links, name: str
) -> dict[int, int]:
    """Return the customer of each record that a file names of a table whose records have one."""
    if not hasattr(model, "customer_id"):
        return {}
    named = [hit.id for found in (links.by_id[name], links.by_name[name]) for hit in found.hits.values()]
    found = await conn.exec_driver_sql(
        f"select id, customer_id from crm.{model.__tablename__} "
        "where org_id = %s and id = any(%s) and customer_id is not null",
        (job.who.org, named),
    )
    rows: list[Any] = list(found)
    return {row[0]: row[1] for row in rows}


def _name(entry: Entry, header: dict[str, str], *, beside: bool) -> None:
    """Set what a row is about as table, word and column; of its columns the nearest to it counts, a customer last."""
    given = entry.values
    given["target"] = None
    own = [name for name in OWN if given.get(name) is not None and not (beside and name == "contact")]
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
