"""Import issues, tasks, notes and activities, each on the record that it is about."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any, cast
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..crm.models import (
    Activity,
    Contact,
    Customer,
    CustomerParty,
    Deal,
    Individual,
    Issue,
    Lead,
    Note,
    Order,
    Organization,
    Product,
    Record,
    Task,
)
from .finding import SUBJECTS, Found, People, find, people, words
from .kept import Pending, Upsert, good, past, refuse_twins
from .links import Link, Links, link
from .records import keep
from .rows import Row, add
from .sheet import Entry, Sheet
from .work import Counts, Job

_DEFAULTS: Row = {"type": "problem", "status": "open", "priority": "normal"}
"""What a blank cell of a mapped column means."""
_OWN = ("invoice", "issue", "order", "product", "deal", "lead", "project", "contact", "organization", "individual")
"""Columns of a row's subject, but for the customer; each holds records of the table of its name."""
_ELSEWHERE: dict[str, Link] = {
    "deal": Link(Deal), "lead": Link(Lead), "issue": Link(Issue), "contact": Link(Contact),
    "individual": Link(Individual), "organization": Link(Organization, made=True), "customer": Link(Customer),
}  # fmt: skip
"""What a row of another system may be about; of several it is about the first, the nearest to it."""
_ACCOUNTS = """select organization_id, min(customer_id) from crm.customer_parties
 where org_id = %s and organization_id is not null and archived_at is null group by organization_id"""
_CALLED = "select id, name from crm.organizations where org_id = %s"
_AT = "select id, customer_id, organization_id, name from crm.contacts where org_id = %s"
_NAMED = (
    "external_id",
    "assignee",
    "customer",
    "customer_name",
    "about_type",
    "about",
    "beside",
    *_OWN,
    *(f"{name}_name" for name in _OWN),
)


@dataclass(slots=True)
class Desk:
    """Records of one table."""

    job: Job
    records: Upsert
    links: Links | None = None
    parties: dict[str, int | Pending] = field(default_factory=dict[str, int | Pending])
    """The organization of each account that is made of it, by the account's external id."""
    counts: Counts = field(default_factory=Counts)

    @property
    def size(self) -> int:
        return self.records.size + (self.links.size if self.links else 0)

    async def write(self, session: AsyncSession, done: Callable[[int], None]) -> None:
        if self.links is not None:
            await self.links.write(session, done)
            self.records.settle(self.links.beside.values())
            await self._account(session, self.links)
        await self.records.write(session, self.job.who.org, self.job.plan.source, done)

    async def _account(self, session: AsyncSession, links: Links) -> None:
        """Say of which organizations accounts were made."""
        made = links.beside.get(Organization)
        rows: list[Row] = []
        for external, party in self.parties.items():
            number = party if isinstance(party, int) else made.ids[party.external] if made else None
            rows.append({"customer_id": links.beside[Customer].ids[external], "organization_id": number})
        await add(session, CustomerParty, self.job.who.org, rows)


async def issues(conn: AsyncConnection, job: Job, sheet: Sheet) -> Desk:
    """Judge a file of issues; deadlines are those of the file."""
    header = sheet.mapped()
    refuse_twins(sheet.entries, "external_id", header.get("external_id", "id"))
    staff = await people(conn, job.who.org)
    if job.lenient:
        return await _tickets(conn, job, sheet, staff)
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
    return await _bring(conn, job, sheet, model, rows, staff, links)


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


async def _tickets(conn: AsyncConnection, job: Job, sheet: Sheet, staff: People) -> Desk:
    """Judge tickets of another system: the organization that one is of becomes an account, where it is none yet."""
    links = await link(
        conn,
        job,
        sheet,
        {"contact": Link(Contact), "organization": Link(Organization, made=True), "customer": Link(Customer)},
    )
    accounts = {row[0]: row[1] for row in list[Any](await conn.exec_driver_sql(_ACCOUNTS, (job.who.org,)))}
    names = {row[0]: row[1] for row in list[Any](await conn.exec_driver_sql(_CALLED, (job.who.org,)))}
    at = {row[0]: (row[1], row[2], row[3]) for row in list[Any](await conn.exec_driver_sql(_AT, (job.who.org,)))}
    alone = {hit.id for one in (links.by_id["contact"], links.by_name["contact"]) for hit in one.hits.values()}
    made = await past(conn, job.who.org, job.plan.source, Customer, [f"contact:{one}" for one in alone])
    parties: dict[str, int | Pending] = {}
    rows: dict[str, Row] = {}
    for entry in good(sheet.entries):
        contact = links.take(entry, "contact")
        whose, firm, called = at.get(cast("int", contact), (None, None, None))
        party = links.take(entry, "organization")
        party = party if party is not None else firm
        customer = links.take(entry, "customer")
        customer = customer if customer is not None else accounts.get(cast("int", party))
        customer = customer if customer is not None or party is not None else whose
        if customer is None and party is not None:
            external = f"organization:{party.external if isinstance(party, Pending) else party}"
            name = (
                links.beside[Organization].fresh[party.external]["name"]
                if isinstance(party, Pending)
                else names[party]
            )
            customer = links.make(Customer, external, {"name": name, "kind": "organization"})
            parties[external] = party
        elif customer is None and contact is not None:
            external = f"contact:{contact}"
            there = made.known.get(external)
            customer = there.id if there else links.make(Customer, external, {"name": called, "kind": "person"})
        if customer is None:
            entry.wrong.append("names no company and no contact that is here")
        # a contact of another account cannot be the one of this issue
        contact = contact if whose is None or whose == customer else None
        rows[entry.values["external_id"]] = {"customer_id": customer, "contact_id": contact}
    work = await _bring(conn, job, sheet, Issue, rows, staff, links)
    work.parties = parties
    return work


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
    conn: AsyncConnection,
    job: Job,
    sheet: Sheet,
    model: type[Record],
    rows: dict[str, Row],
    staff: People,
    links: Links | None = None,
) -> Desk:
    """Add what rows say themselves to what they name, and take them in."""
    header = sheet.mapped()
    plain = [name for name in sheet.columns if name not in _NAMED]
    table = model.__tablename__
    for entry in good(sheet.entries):
        row = rows[entry.values["external_id"]]
        row |= {name: entry.values.get(name) for name in plain}
        row |= {name: value for name, value in _DEFAULTS.items() if name in row and row[name] is None}
        if "assignee" in header:
            known_by = entry.values.get("assignee")
            row["assignee_id"] = staff.know(job, known_by) if job.lenient else staff.take(entry, header["assignee"])
        if model is Task and job.lenient:
            row["completed_at"] = _completed(row, job) if row.get("status") == "done" else None
    taken = good(sheet.entries)
    columns = list(rows[taken[0].values["external_id"]]) if taken else []
    if job.plan.keep and "custom_fields" not in columns:
        columns.append("custom_fields")
    known = await past(
        conn, job.who.org, job.plan.source, model, [entry.values["external_id"] for entry in taken], columns
    )
    work = Desk(job, Upsert(model, dead=list(known.dead.values())), links)
    for entry in taken:
        external = cast("str", entry.values["external_id"])
        keep(entry, rows[external], known.known.get(external))
        work.records.bring(external, rows[external], known.known.get(external))
    records = work.records
    work.counts = Counts(len(records.fresh), len(records.changed), records.unchanged, {table: len(records.fresh)})
    return work


def _completed(row: Row, job: Job) -> datetime:
    """Return when a task was done: as its file says, else when it was due."""
    due = row.get("due_on")
    noon = datetime.combine(due, time(12), ZoneInfo(job.who.timezone)) if due else job.now
    return row.get("completed_at") or min(noon, job.now)
