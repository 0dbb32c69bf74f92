"""Import orders with their lines: an order is taken whole or not at all; it moves no stock, but what is confirmed keeps some."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..crm.models import Customer, Order, OrderLine, Product
from . import numbers
from .documents import Document, group, settle
from .fields import ORDERS
from .kept import Known, Upsert, good, past, refuse_twins
from .lines import LINE, priced
from .parties import missing
from .parts import Parts, Stored
from .rates import Rates, stated
from .rows import CHUNK
from .sheet import Sheet
from .values import MOST, kept
from .work import Counts, Job

_ORDER = (
    "number",
    "customer_id",
    "status",
    "currency",
    "discount_percent",
    "net_total",
    "tax_total",
    "gross_total",
    "base_total",
    "placed_at",
    "shipped_at",
)
_OPTIONAL = ("salesperson", "comment", "completed_at", "cancelled_at", "cancel_reason")
_RESERVE = """with wanted as (
  select o.id, l.product_id, sum(l.quantity) as units from crm.orders o join crm.order_lines l on l.org_id = o.org_id and l.order_id = o.id
  where o.org_id = %(org)s and o.id = any(%(orders)s) and o.status = 'confirmed' group by o.id, l.product_id),
kept as (
  select order_id as id, product_id, sum(quantity) as units from crm.stock_reservations
  where org_id = %(org)s and order_id = any(%(orders)s) and released_at is null group by order_id, product_id),
released as (
  update crm.stock_reservations r set released_at = now() where r.org_id = %(org)s and r.order_id = any(%(orders)s) and r.released_at is null
  and not exists (select from wanted w join kept k using (id, product_id, units) where w.id = r.order_id and w.product_id = r.product_id))
insert into crm.stock_reservations(org_id, product_id, order_id, quantity)
select l.org_id, l.product_id, l.order_id, l.quantity from crm.order_lines l join wanted w on w.id = l.order_id and w.product_id = l.product_id
where l.org_id = %(org)s and not exists (select from kept k where (k.id, k.product_id, k.units) = (w.id, w.product_id, w.units))
order by l.order_id, l.position"""
"""Keep stock for what is confirmed, a reservation a line, and give back what is no longer so."""


@dataclass(slots=True)
class Sales:
    """Orders, and for each its lines in the order of the file."""

    job: Job
    orders: Upsert
    lines: Parts
    relined: list[int] = field(default_factory=list[int])
    """Known orders whose lines differ."""
    counts: Counts = field(default_factory=Counts)

    @property
    def size(self) -> int:
        return self.orders.size + self.lines.size

    async def write(self, session: AsyncSession, done: Callable[[int], None]) -> None:
        org = self.job.who.org
        await self.orders.write(session, org, self.job.plan.source, done)
        await self.lines.write(session, org, self.orders.ids, done)
        touched = {self.orders.ids[external] for external in (*self.orders.fresh, *self.orders.changed)}
        conn = await session.connection()
        ordered = sorted(touched | set(self.relined))
        for start in range(0, len(ordered), CHUNK):
            await conn.exec_driver_sql(_RESERVE, {"org": org, "orders": ordered[start : start + CHUNK]})


async def orders(conn: AsyncConnection, job: Job, sheet: Sheet, lines: Sheet | None = None) -> Sales:
    """Judge a file of orders and the file of their lines; without the second, the first has a row a line."""
    bought = group(sheet, lines, "order", ORDERS)
    if lines is not None:
        refuse_twins(sheet.entries, "external_id", sheet.mapped()["external_id"])
    await _look_up(conn, job, bought, sheet.mapped() | (lines.mapped() if lines else {}))
    optional = [name for name in _OPTIONAL if name in sheet.columns]
    externals = [one.external for one in bought]
    known = await past(conn, job.who.org, job.plan.source, Order, externals, [*_ORDER, *optional])
    await numbers.give(conn, job, Order, bought, known)
    settle(bought)
    rates = await stated(conn, job.who)
    for one in bought:
        if not one.is_wrong():
            _price(one, job, rates, optional)
    settle(bought)
    work = Sales(job, Upsert(Order, dead=list(known.dead.values())), Parts(OrderLine, "order_id", "position", LINE))
    there = await work.lines.stored(conn, job.who.org, [one.id for one in known.known.values()])
    for one in bought:
        if not one.is_wrong():
            _bring(work, one, known.known.get(one.external), there)
    work.counts.rows = {"orders": len(work.orders.fresh), "order_lines": work.lines.made}
    work.counts.rows["stock_reservations"] = sum(
        len(work.lines.fresh[external]) for external, row in work.orders.fresh.items() if row["status"] == "confirmed"
    )
    return work


async def _look_up(conn: AsyncConnection, job: Job, bought: list[Document], header: dict[str, str]) -> None:
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


def _price(one: Document, job: Job, rates: Rates, optional: list[str]) -> None:
    """Compute an order's amounts: exact to four decimals, as the other system's sums expect."""
    head = one.head.values
    currency = head.get("currency") or job.plan.currency or job.who.currency
    discount = head.get("order_discount") or Decimal(0)
    one.rows = [priced(position, line, discount, currency, kept) for position, line in enumerate(one.lines, 1)]
    net = sum((row["net_amount"] for row in one.rows), Decimal(0))
    tax = sum((row["tax_amount"] for row in one.rows), Decimal(0))
    if net + tax >= MOST:
        one.head.wrong.append("the total is larger than can be kept")
        return
    shipped = head.get("shipped_at")
    one.row = {
        "number": head["number"],
        "customer_id": head["customer_id"],
        "status": head.get("status") or ("completed" if shipped else "confirmed"),
        "currency": currency,
        "discount_percent": discount,
        "net_total": net,
        "tax_total": tax,
        "gross_total": net + tax,
        "base_total": rates.in_base(net + tax, currency, head["placed_at"]),
        "placed_at": head["placed_at"],
        "shipped_at": shipped,
        **{name: head[name] for name in optional},
    }


def _bring(work: Sales, one: Document, known: Known | None, there: Stored) -> None:
    """Take an order in; a known one is changed where it or one of its lines differs."""
    before = work.orders.unchanged
    work.orders.bring(one.external, one.row, known)
    if known is None:
        work.lines.fresh[one.external] = one.rows
        work.counts.created += 1
        return
    old = there.get(known.id, {})
    relined = work.lines.differ(one.rows, old)
    if relined:
        work.lines.replace(known.id, one.rows, old)
        work.relined.append(known.id)
    same = work.orders.unchanged > before and not relined
    work.counts.unchanged += same
    work.counts.updated += not same
