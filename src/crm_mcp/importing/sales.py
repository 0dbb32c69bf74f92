"""Import orders with their lines: an order is taken whole or not at all, and moves no stock."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..crm.models import Customer, Order, OrderLine, Product
from .bought import Bought, group, settle
from .kept import Known, Past, Upsert, good, past, refuse_twins
from .parties import missing
from .rates import Rates, stated
from .rows import Row, add, change
from .sheet import Entry, Sheet
from .values import HUNDRED, MOST, kept
from .work import Counts, Job

_LINE = (
    "product_id",
    "description",
    "quantity",
    "unit_price",
    "discount_percent",
    "tax_rate",
    "net_amount",
    "tax_amount",
)
_ORDER = (
    "number",
    "customer_id",
    "status",
    "currency",
    "net_total",
    "tax_total",
    "gross_total",
    "base_total",
    "placed_at",
    "shipped_at",
)
_OPTIONAL = ("salesperson", "comment")


@dataclass(slots=True)
class Sales:
    """Orders, and for each its lines in the order of the file."""

    job: Job
    orders: Upsert
    lines: dict[str, list[Row]] = field(default_factory=dict[str, list[Row]])
    """The lines of each new order, by its external id."""
    added: list[Row] = field(default_factory=list[Row])
    changed: list[Row] = field(default_factory=list[Row])
    removed: list[int] = field(default_factory=list[int])
    counts: Counts = field(default_factory=Counts)

    @property
    def size(self) -> int:
        fresh = sum(len(lines) for lines in self.lines.values())
        return self.orders.size + fresh + len(self.added) + len(self.changed) + len(self.removed)

    async def write(self, session: AsyncSession, done: Callable[[int], None]) -> None:
        org = self.job.who.org
        await self.orders.write(session, org, self.job.plan.source, done)
        if self.removed:
            conn = await session.connection()
            await conn.exec_driver_sql(
                "delete from crm.order_lines where org_id = %s and id = any(%s)", (org, self.removed)
            )
        fresh = [
            {"order_id": self.orders.ids[external], **line}
            for external, lines in self.lines.items()
            for line in lines
        ]
        await add(session, OrderLine, org, [*fresh, *self.added], done)
        await change(session, OrderLine, org, self.changed)
        done(len(self.changed) + len(self.removed))


async def orders(conn: AsyncConnection, job: Job, sheet: Sheet, lines: Sheet | None = None) -> Sales:
    """Judge a file of orders and the file of their lines; without the second, the first has a row a line."""
    bought = group(sheet, lines)
    if lines is not None:
        refuse_twins(sheet.entries, "external_id", sheet.mapped()["external_id"])
    await _look_up(conn, job, bought, sheet.mapped() | (lines.mapped() if lines else {}))
    optional = [name for name in _OPTIONAL if name in sheet.columns]
    externals = [one.external for one in bought]
    known = await past(conn, job.who.org, job.plan.source, Order, externals, [*_ORDER, *optional])
    await _refuse_numbers(conn, job, bought, known)
    rates = await stated(conn, job.who)
    for one in bought:
        if not one.is_wrong():
            _price(one, job, rates, optional)
    settle(bought)
    work = Sales(job, Upsert(Order, dead=list(known.dead.values())))
    there = await _lines_of(
        conn, job.who.org, [known.known[one.external].id for one in bought if one.external in known.known]
    )
    for one in bought:
        if not one.is_wrong():
            _bring(work, one, known.known.get(one.external), there)
    return work


async def _look_up(conn: AsyncConnection, job: Job, bought: list[Bought], header: dict[str, str]) -> None:
    """Find the customer of each order and the product of each line; mark those that name none."""
    org, source = job.who.org, job.plan.source
    heads = [one.head for one in bought]
    lines = [line for one in bought for line in one.lines]
    buyers = await past(conn, org, source, Customer, {e.values["customer"] for e in good(heads)})
    goods = await past(conn, org, source, Product, {e.values["product"] for e in good(lines)}, ["name"])
    for head in good(heads):
        if head.values["customer"] in buyers.known:
            head.values["customer_id"] = buyers.known[head.values["customer"]].id
        else:
            head.wrong.append(missing(header["customer"], head.values["customer"], "customer", source))
    for line in good(lines):
        if line.values["product"] in goods.known:
            product = goods.known[line.values["product"]]
            line.values["product_id"] = product.id
            line.values["description"] = line.values.get("description") or product.values["name"]
        else:
            line.wrong.append(missing(header["product"], line.values["product"], "product", source))
    settle(bought)


async def _refuse_numbers(conn: AsyncConnection, job: Job, bought: list[Bought], known: Past) -> None:
    """Mark orders whose number another order of the org has."""
    table = cast("Table", Order.__table__)
    found = await conn.execute(
        select(table.c.number, table.c.id).where(table.c.org_id == job.who.org, table.c.number.is_not(None))
    )
    taken: dict[str, int] = {row[0]: row[1] for row in found}
    for one in bought:
        ours = known.known.get(one.external)
        if one.external in taken and (ours is None or taken[one.external] != ours.id):
            one.head.wrong.append(f"order number {one.external!r} belongs to another order")
    settle(bought)


def _price(one: Bought, job: Job, rates: Rates, optional: list[str]) -> None:
    """Compute an order's amounts: exact to four decimals, as the other system's sums expect."""
    head = one.head.values
    one.rows = [_line(position, line) for position, line in enumerate(one.lines, 1)]
    net = sum((row["net_amount"] for row in one.rows), Decimal(0))
    tax = sum((row["tax_amount"] for row in one.rows), Decimal(0))
    if net + tax >= MOST:
        one.head.wrong.append("the total is larger than can be kept")
        return
    currency = head.get("currency") or job.plan.currency or job.who.currency
    shipped = head.get("shipped_at")
    one.order = {
        "number": one.external,
        "customer_id": head["customer_id"],
        "status": head.get("status") or ("completed" if shipped else "confirmed"),
        "currency": currency,
        "net_total": net,
        "tax_total": tax,
        "gross_total": net + tax,
        "base_total": rates.in_base(net + tax, currency, head["placed_at"]),
        "placed_at": head["placed_at"],
        "shipped_at": shipped,
        **{name: head[name] for name in optional},
    }


def _line(position: int, line: Entry) -> Row:
    given = line.values
    discount = given.get("discount") or Decimal(0)
    rate = given.get("tax_rate") or Decimal(0)
    net = kept(given["unit_price"] * given["quantity"] * (HUNDRED - discount) / HUNDRED)
    return {
        "position": position,
        "product_id": given["product_id"],
        "description": given["description"],
        "quantity": given["quantity"],
        "unit_price": given["unit_price"],
        "discount_percent": discount,
        "tax_rate": rate,
        "net_amount": net,
        "tax_amount": kept(net * rate / HUNDRED),
    }


def _bring(work: Sales, one: Bought, known: Known | None, there: dict[int, dict[int, Row]]) -> None:
    """Take an order in; a known one is changed where it or one of its lines differs."""
    before = work.orders.unchanged
    work.orders.bring(one.external, one.order, known)
    if known is None:
        work.lines[one.external] = one.rows
        work.counts.created += 1
        work.counts.rows["orders"] = work.counts.rows.get("orders", 0) + 1
        work.counts.rows["order_lines"] = work.counts.rows.get("order_lines", 0) + len(one.rows)
        return
    old = there.get(known.id, {})
    added = [{"order_id": known.id, **row} for row in one.rows if row["position"] not in old]
    changed: list[Row] = []
    for row in one.rows:
        kept_line = old.pop(row["position"], None)
        if kept_line is not None and any(kept_line[name] != row[name] for name in _LINE):
            changed.append({"id": kept_line["id"], **row})
    work.added += added
    work.changed += changed
    work.removed += [gone["id"] for gone in old.values()]
    same = work.orders.unchanged > before and not (added or changed or old)
    work.counts.unchanged += same
    work.counts.updated += not same
    if added:
        work.counts.rows["order_lines"] = work.counts.rows.get("order_lines", 0) + len(added)


async def _lines_of(conn: AsyncConnection, org: int, orders: list[int]) -> dict[int, dict[int, Row]]:
    """Return the lines of orders by order and position."""
    names = ("order_id", "position", "id", *_LINE)
    found = await conn.exec_driver_sql(
        f"select {', '.join(names)} from crm.order_lines where org_id = %s and order_id = any(%s)",
        (org, orders),
    )
    lines: dict[int, dict[int, Row]] = {}
    for values in found:
        row: dict[str, Any] = dict(zip(names, values, strict=True))
        lines.setdefault(row["order_id"], {})[row["position"]] = row
    return lines
