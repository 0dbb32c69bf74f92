"""Import products with the stock that the other system counted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..crm.models import Product, StockMovement
from .kept import Upsert, good, past, refuse_twins, remember
from .rows import Row, add
from .sheet import Entry, Sheet
from .work import Counts, Job

_DEFAULTS: Row = {
    "tax_rate": Decimal(0),
    "reorder_level": 0,
    "discontinued": False,
    "tax_class": "standard",
    "warranty_months": 0,
}
"""What a blank cell of a mapped column means."""


@dataclass(slots=True)
class Goods:
    """Products, the opening stock of new ones, the corrections of known ones."""

    job: Job
    products: Upsert
    opening: dict[str, int] = field(default_factory=dict[str, int])
    corrections: dict[int, int] = field(default_factory=dict[int, int])
    counted: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    """The figure of the file, by the reference that remembers it."""
    counts: Counts = field(default_factory=Counts)

    @property
    def size(self) -> int:
        return self.products.size + len(self.counted)

    async def write(self, session: AsyncSession, done: Callable[[int], None]) -> None:
        org = self.job.who.org
        await self.products.write(session, org, self.job.plan.source, done)
        moved = [(self.products.ids[external], units, "opening") for external, units in self.opening.items()]
        moved += [(product, units, "correction") for product, units in self.corrections.items()]
        await add(
            session,
            StockMovement,
            org,
            [{"product_id": product, "quantity": units, "kind": kind} for product, units, kind in moved if units],
        )
        await remember(session, org, self.counted)
        done(len(self.counted))


async def products(conn: AsyncConnection, job: Job, sheet: Sheet) -> Goods:
    """Judge a file of products.

    A file's stock counts once: as the opening stock of a new product, and for a known one, when the figure
    differs from the one imported last, as a correction that makes the stock that figure.
    """
    header = sheet.mapped()
    refuse_twins(sheet.entries, "external_id", header["external_id"])
    names = [name for name in sheet.columns if name not in ("external_id", "stock", "sku")] + ["sku"]
    externals = [entry.values["external_id"] for entry in good(sheet.entries)]
    known = await past(conn, job.who.org, job.plan.source, Product, externals, names)
    for entry in good(sheet.entries):
        external = entry.values["external_id"]
        there = known.known.get(external)
        entry.values["sku"] = entry.values.get("sku") or (there.values["sku"] if there else external)
    refuse_twins(good(sheet.entries), "sku", header.get("sku", header["external_id"]))
    await _refuse_taken(conn, job, good(sheet.entries), {one: there.id for one, there in known.known.items()})
    stock = await _stock(conn, job.who.org)
    work = Goods(job, Upsert(Product, dead=list(known.dead.values())))
    for entry in good(sheet.entries):
        external, units = entry.values["external_id"], entry.values.get("stock")
        there = known.known.get(external)
        work.products.bring(external, _row(job, entry, names, new=there is None), there)
        if units is None:
            continue
        if there is None:
            work.opening[external] = units
            work.products.said[external] = {"stock": units}
        elif there.said.get("stock") != units:
            work.corrections[there.id] = units - stock.get(there.id, 0)
            work.counted[there.ref] = {**there.said, "stock": units}
    _count(work, {there.ref: one for one, there in known.known.items()})
    return work


def _row(job: Job, entry: Entry, names: list[str], *, new: bool) -> Row:
    row: Row = {name: entry.values[name] for name in names}
    row |= {name: value for name, value in _DEFAULTS.items() if name in row and row[name] is None}
    if new or "currency" in row:
        row["currency"] = row.get("currency") or job.plan.currency or job.who.currency
    if new:
        row = _DEFAULTS | row
    return row


def _count(work: Goods, external_of: dict[int, str]) -> None:
    only_counted = {external_of[ref] for ref in work.counted} - set(work.products.changed)
    moved = [units for units in (*work.opening.values(), *work.corrections.values()) if units]
    work.counts = Counts(
        len(work.products.fresh),
        len(work.products.changed) + len(only_counted),
        work.products.unchanged - len(only_counted),
        {"products": len(work.products.fresh), "stock_movements": len(moved)},
    )


async def _refuse_taken(conn: AsyncConnection, job: Job, entries: list[Entry], ours: dict[str, int]) -> None:
    """Mark rows whose SKU another product of the org has."""
    table = cast("Table", Product.__table__)
    found = await conn.execute(select(table.c.sku, table.c.id).where(table.c.org_id == job.who.org))
    taken: dict[str, int] = {row[0]: row[1] for row in found}
    for entry in entries:
        sku = entry.values["sku"]
        if sku in taken and taken[sku] != ours.get(entry.values["external_id"]):
            entry.wrong.append(f"SKU {sku!r} belongs to another product; give this one its own with a column sku")


async def _stock(conn: AsyncConnection, org: int) -> dict[int, int]:
    table = cast("Table", StockMovement.__table__)
    found = await conn.execute(
        select(table.c.product_id, func.sum(table.c.quantity))
        .where(table.c.org_id == org)
        .group_by(table.c.product_id)
    )
    return {product: int(units) for product, units in found}
