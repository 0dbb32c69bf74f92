"""Import deals: what they are worth in the org's own currency, and when they were closed."""

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from ..crm.models import Contact, Customer, Deal, Lead, Organization
from .kept import Known
from .links import Link, Links
from .places import place
from .rates import Rates, stated
from .records import Records, judge
from .rows import Row
from .sheet import Entry, Sheet
from .values import MOST
from .ways import DEALS, ways
from .work import Job


async def deals(conn: AsyncConnection, job: Job, sheet: Sheet) -> Records:
    """Judge a file of deals; one that is open is not closed, and one that is not was closed when it was to be."""
    links = {
        "customer": Link(Customer), "organization": Link(Organization, made=True), "contact": Link(Contact),
        "lead": Link(Lead),
    }  # fmt: skip
    pipelines = await ways(conn, job, sheet, DEALS)
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

    work = await judge(
        conn, job, sheet, Deal, links, amount, ("amount", "currency", "base_amount", "status", "closed_at")
    )
    if pipelines:
        work.places = await place(conn, job, sheet, work.main, pipelines, DEALS, lambda _: {})
        work.count()
    return work


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
