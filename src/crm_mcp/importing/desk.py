"""What issues, tasks, notes, activities and documents share: rows of one table, taken in with what they name."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import cast
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..crm.models import (
    Customer,
    CustomerParty,
    Note,
    Organization,
    Record,
    Task,
)
from .finding import People
from .kept import Pending, Upsert, good, past
from .links import Links
from .records import keep
from .rows import Row, add
from .sheet import Sheet
from .work import Counts, Job

_DEFAULTS: Row = {"type": "problem", "status": "open", "priority": "normal"}
"""What a blank cell of a mapped column means."""
OWN = ("invoice", "issue", "order", "product", "deal", "lead", "project", "contact", "organization", "individual")
"""Columns of a row's subject, but for the customer; each holds records of the table of its name."""
_NAMED = (
    "external_id",
    "assignee",
    "customer",
    "customer_name",
    "about_type",
    "about",
    "beside",
    "file",
    "owner_name",
    "is_latest",
    *OWN,
    *(f"{name}_name" for name in OWN),
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


async def bring(
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
    if "owner_name" in sheet.columns and "description" not in plain:
        plain.append("description")
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
    if model is Note and "written_at" not in sheet.columns:
        for row in records.fresh.values():  # that nobody says when is known, not that it was now
            row["written_at"] = None
    work.counts = Counts(len(records.fresh), len(records.changed), records.unchanged, {table: len(records.fresh)})
    return work


def _completed(row: Row, job: Job) -> datetime:
    """Return when a task was done: as its file says, else when it was due."""
    due = row.get("due_on")
    noon = datetime.combine(due, time(12), ZoneInfo(job.who.timezone)) if due else job.now
    return row.get("completed_at") or min(noon, job.now)
