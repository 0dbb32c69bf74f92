"""Import tax rates and exchange rates: known by what they say, so that they need no id of another system."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..crm.models import ExchangeRate, Record, TaxRate
from .kept import Known, Upsert, good, refuse_twins
from .sheet import Sheet
from .work import Counts, Job


@dataclass(slots=True)
class Tariffs:
    """Rates by the day from which they hold."""

    job: Job
    rates: Upsert
    counts: Counts = field(default_factory=Counts)

    @property
    def size(self) -> int:
        return self.rates.size

    async def write(self, session: AsyncSession, done: Callable[[int], None]) -> None:
        await self.rates.write(session, self.job.who.org, self.job.plan.source, done)


async def tax_rates(conn: AsyncConnection, job: Job, sheet: Sheet) -> Tariffs:
    """Judge a file of tax rates."""
    return await _judge(conn, job, sheet, TaxRate, ("zone", "tax_class", "valid_from"))


async def exchange_rates(conn: AsyncConnection, job: Job, sheet: Sheet) -> Tariffs:
    """Judge a file of exchange rates: the org's base currency for one unit of another."""
    for entry in good(sheet.entries):
        if entry.values["currency"] == job.who.currency:
            entry.wrong.append(f"{job.who.currency} is the org's base currency and has no rate")
    return await _judge(conn, job, sheet, ExchangeRate, ("currency", "valid_from"))


async def _judge(conn: AsyncConnection, job: Job, sheet: Sheet, model: type[Record], key: Sequence[str]) -> Tariffs:
    for entry in good(sheet.entries):
        entry.values["external_id"] = " ".join(str(entry.values[name]) for name in key)
    refuse_twins(sheet.entries, "external_id", ", ".join(key))
    table = cast("Table", model.__table__)
    found = await conn.execute(
        select(table.c.id, *(table.c[name] for name in key), table.c.rate).where(table.c.org_id == job.who.org)
    )
    known = {" ".join(map(str, row[1:-1])): Known(0, row[0], {}, {"rate": row[-1]}) for row in found}
    work = Tariffs(job, Upsert(model, referred=False))
    for entry in good(sheet.entries):
        there = known.get(entry.values["external_id"])
        row = {"rate": entry.values["rate"]}
        if there is None:
            row |= {name: entry.values[name] for name in key}
        work.rates.bring(entry.values["external_id"], row, there)
    rates = work.rates
    work.counts = Counts(
        len(rates.fresh), len(rates.changed), rates.unchanged, {model.__tablename__: len(rates.fresh)}
    )
    return work
