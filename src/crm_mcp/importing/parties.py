"""Import customers, each with the person named beside it, and contacts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..crm.models import Contact, Customer
from .kept import Past, Upsert, good, past, refuse_twins
from .rows import Row
from .sheet import Sheet
from .work import Counts, Job

_BESIDE = {"contact_name": "name", "contact_title": "title", "contact_email": "email", "contact_phone": "phone"}


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
    counts: Counts = field(default_factory=Counts)

    @property
    def size(self) -> int:
        return self.customers.size + self.contacts.size

    async def write(self, session: AsyncSession, done: Callable[[int], None]) -> None:
        org, source = self.job.who.org, self.job.plan.source
        await self.customers.write(session, org, source, done)
        for external, row in self.contacts.fresh.items():
            if external in self.owner:
                row["customer_id"] = self.customers.ids[self.owner[external]]
        await self.contacts.write(session, org, source, done)


async def customers(conn: AsyncConnection, job: Job, sheet: Sheet) -> Parties:
    """Judge a file of customers."""
    refuse_twins(sheet.entries, "external_id", sheet.mapped()["external_id"])
    entries = good(sheet.entries)
    names = [name for name in sheet.columns if name not in {"external_id", *_BESIDE}]
    beside = {theirs: ours for theirs, ours in _BESIDE.items() if theirs in sheet.columns}
    externals = [entry.values["external_id"] for entry in entries]
    known = await _past(conn, job, Customer, externals, names)
    people = await _past(conn, job, Contact, map(_beside, externals), [*beside.values(), "customer_id"])
    work = Parties(
        job, Upsert(Customer, dead=list(known.dead.values())), Upsert(Contact, dead=list(people.dead.values()))
    )
    for entry in entries:
        external = entry.values["external_id"]
        row: Row = {name: entry.values[name] for name in names}
        if "kind" in row:
            row["kind"] = row["kind"] or "organization"
        elif external not in known.known:
            row["kind"] = "organization"
        work.customers.bring(external, row, known.known.get(external))
        if entry.values.get("contact_name"):
            person = {ours: entry.values[theirs] for theirs, ours in beside.items()}
            there = people.known.get(_beside(external))
            if there is None:
                work.owner[_beside(external)] = external
                person["customer_id"] = work.customers.ids.get(external)
            work.contacts.bring(_beside(external), person, there)
    _count(work, work.customers)
    return work


async def contacts(conn: AsyncConnection, job: Job, sheet: Sheet) -> Parties:
    """Judge a file of contacts; their customers were imported before, from the same source."""
    header = sheet.mapped()
    refuse_twins(sheet.entries, "external_id", header["external_id"])
    owners = await _past(conn, job, Customer, {e.values["customer"] for e in good(sheet.entries)})
    for entry in good(sheet.entries):
        if entry.values["customer"] not in owners.known:
            entry.wrong.append(missing(header["customer"], entry.values["customer"], "customer", job.plan.source))
    entries = good(sheet.entries)
    names = [name for name in sheet.columns if name not in ("external_id", "customer")]
    known = await _past(conn, job, Contact, [e.values["external_id"] for e in entries], [*names, "customer_id"])
    work = Parties(job, Upsert(Customer), Upsert(Contact, dead=list(known.dead.values())))
    for entry in entries:
        row = {name: entry.values[name] for name in names}
        row["customer_id"] = owners.known[entry.values["customer"]].id
        work.contacts.bring(entry.values["external_id"], row, known.known.get(entry.values["external_id"]))
    _count(work, work.contacts)
    return work


def missing(header: str, value: str, noun: str, source: str) -> str:
    """Say that a row names a record which is not there."""
    return f"{header} {value!r} is no {noun} imported from {source}; import it first"


async def _past(
    conn: AsyncConnection,
    job: Job,
    model: type[Customer | Contact],
    wanted: Iterable[str],
    columns: list[str] | None = None,
) -> Past:
    return await past(conn, job.who.org, job.plan.source, model, wanted, columns or [])


def _count(work: Parties, main: Upsert) -> None:
    work.counts = Counts(
        len(main.fresh),
        len(main.changed),
        main.unchanged,
        {"customers": len(work.customers.fresh), "contacts": len(work.contacts.fresh)},
    )
