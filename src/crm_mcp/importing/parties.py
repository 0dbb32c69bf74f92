"""Import customers, each with the person named beside it, and contacts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..crm.models import Contact, Customer, Individual, Organization
from ..errors import Refusal
from .finding import people
from .kept import Past, Upsert, good, past, refuse_twins
from .links import Link, Links, link
from .records import keep, name_in_full
from .rows import Row
from .sheet import Entry, Sheet
from .work import Counts, Job

_BESIDE = {"contact_name": "name", "contact_title": "title", "contact_email": "email", "contact_phone": "phone"}

_OF = {"customer": Link(Customer), "organization": Link(Organization, made=True), "individual": Link(Individual)}
"""Whom a contact is of."""


def _beside(external: str) -> str:
    """Return the external id under which the person in a customer's own row is known."""
    return f"customer:{external}"


@dataclass(slots=True)
class Parties:
    """Customers and their people, or people alone."""

    job: Job
    customers: Upsert
    contacts: Upsert
    owner: dict[str, str] = field(default_factory=dict[str, str])
    """The customer's external id of each new contact whose customer is new too."""
    links: Links | None = None
    counts: Counts = field(default_factory=Counts)

    @property
    def size(self) -> int:
        return self.customers.size + self.contacts.size + (self.links.size if self.links else 0)

    async def write(self, session: AsyncSession, done: Callable[[int], None]) -> None:
        org, source = self.job.who.org, self.job.plan.source
        if self.links is not None:
            await self.links.write(session, done)
            self.contacts.settle(self.links.beside.values())
        await self.customers.write(session, org, source, done)
        for external, row in self.contacts.fresh.items():
            if external in self.owner:
                row["customer_id"] = self.customers.ids[self.owner[external]]
        await self.contacts.write(session, org, source, done)


async def customers(conn: AsyncConnection, job: Job, sheet: Sheet) -> Parties:
    """Judge a file of customers."""
    refuse_twins(sheet.entries, "external_id", sheet.mapped()["external_id"])
    entries = good(sheet.entries)
    names = [name for name in sheet.columns if name not in {"external_id", "owner", *_BESIDE}]
    staff = await people(conn, job.who.org) if "owner" in sheet.columns else None
    beside = {theirs: ours for theirs, ours in _BESIDE.items() if theirs in sheet.columns}
    externals = [entry.values["external_id"] for entry in entries]
    known = await _past(conn, job, Customer, externals, [*names, "owner_id"])
    beside_them = await _past(conn, job, Contact, map(_beside, externals), [*beside.values(), "customer_id"])
    work = Parties(
        job, Upsert(Customer, dead=list(known.dead.values())), Upsert(Contact, dead=list(beside_them.dead.values()))
    )
    for entry in entries:
        external = entry.values["external_id"]
        row: Row = {name: entry.values[name] for name in names}
        if "kind" in row:
            row["kind"] = row["kind"] or "organization"
        elif external not in known.known:
            row["kind"] = "organization"
        if staff is not None:
            row["owner_id"] = staff.know(job, entry.values.get("owner"))
        work.customers.bring(external, row, known.known.get(external))
        if entry.values.get("contact_name"):
            person = {ours: entry.values[theirs] for theirs, ours in beside.items()}
            there = beside_them.known.get(_beside(external))
            if there is None:
                work.owner[_beside(external)] = external
                person["customer_id"] = work.customers.ids.get(external)
            work.contacts.bring(_beside(external), person, there)
    _count(work, work.customers)
    return work


async def contacts(conn: AsyncConnection, job: Job, sheet: Sheet) -> Parties:
    """Judge a file of contacts; each is of a customer, an organization or an individual, imported before."""
    header = sheet.mapped()
    links = await link(conn, job, sheet, _OF)
    if not links.named and not job.lenient:
        hint = f"{sheet.file.name} has no column for customer: name it with --map customer=HEADER, or organization."
        raise Refusal("MISSING_COLUMNS", hint, missing=["customer"], header=list(header.values()))
    refuse_twins(sheet.entries, "external_id", header.get("external_id", "id"))
    names = [
        name
        for name in sheet.columns
        if name not in {"external_id", "first_name", "last_name", *_OF, *(f"{name}_name" for name in _OF)}
    ]
    if job.lenient and "name" not in names:
        names.append("name")
    of = [f"{name}_id" for name in _OF if name in links.named or (job.lenient and name == "individual")]
    more = ["custom_fields"] if job.plan.keep else []
    externals = [entry.values["external_id"] for entry in good(sheet.entries)]
    known = await _past(conn, job, Contact, externals, [*names, *(f"{name}_id" for name in _OF), *more])
    alone = await _past(conn, job, Individual, [f"contact:{one}" for one in externals] if job.lenient else [])
    work = Parties(job, Upsert(Customer), Upsert(Contact, dead=list(known.dead.values())), links=links)
    for entry in good(sheet.entries):
        external = entry.values["external_id"]
        there = known.known.get(external)
        name_in_full(entry)
        if entry.values["name"] is None:
            entry.wrong.append("has no name")
        row: Row = {name: entry.values.get(name) for name in names}
        keep(entry, row, there)
        row |= dict.fromkeys(of) | {f"{name}_id": links.take(entry, name) for name in links.named}
        whose = {f"{name}_id": there.values[f"{name}_id"] for name in _OF} if there else {}
        _of_somebody(entry, row, whose, alone, links)
        if not entry.wrong:
            work.contacts.bring(external, row, there)
    _count(work, work.contacts)
    return work


def _of_somebody(entry: Entry, row: Row, whose: Row, alone: Past, links: Links) -> None:
    """See that a contact is of somebody: of another system, one of nobody is an individual in their own right."""
    if entry.wrong or any((whose | row).get(f"{name}_id") is not None for name in _OF):
        return
    if not links.job.lenient:
        entry.wrong.append("names neither a customer nor an organization")
        return
    external = f"contact:{entry.values['external_id']}"
    made = {name: entry.values.get(name) for name in ("name", "first_name", "last_name", "title", "email", "phone")}
    there = alone.known.get(external)
    row["individual_id"] = there.id if there else links.make(Individual, external, made)


def missing(header: str, value: str, noun: str, source: str) -> str:
    """Say that a row names a record which is not there."""
    return f"{header} {value!r} is no {noun} imported from {source}; import it first"


async def _past(
    conn: AsyncConnection,
    job: Job,
    model: type[Customer | Contact | Individual],
    wanted: Iterable[str],
    columns: list[str] | None = None,
) -> Past:
    return await past(conn, job.who.org, job.plan.source, model, wanted, columns or [])


def _count(work: Parties, main: Upsert) -> None:
    work.counts = Counts(
        len(main.fresh),
        len(main.changed),
        main.unchanged,
        {"customers": len(work.customers.fresh), "contacts": len(work.contacts.fresh)}
        | {model.__tablename__: len(one.fresh) for model, one in (work.links.beside if work.links else {}).items()},
    )
