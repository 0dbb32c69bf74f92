"""Import invoices, with their lines where the file has them: what was paid of them comes with the payments."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..crm.models import Customer, Invoice, InvoiceLine, Order, Product
from ..money import rounded
from . import numbers
from .books import Books, books
from .documents import Document, group, settle, strip
from .fields import INVOICES
from .finding import Hit, find, words
from .kept import Known, Upsert, past, refuse_twins
from .lines import LINE, priced, unit
from .parts import Parts, Stored
from .rates import Rates, stated
from .sheet import Entry, Sheet
from .values import MOST
from .work import Counts, Job

_INVOICE = (
    "number", "customer_id", "order_id", "currency", "net_total", "tax_total", "gross_total", "base_total",
    "issued_on", "due_on",
)  # fmt: skip
_LINE_CELLS = ("product", "description", "quantity", "unit_price")


@dataclass(slots=True)
class Bills:
    """Invoices and their lines."""

    job: Job
    invoices: Upsert
    lines: Parts
    counts: Counts = field(default_factory=Counts)

    @property
    def size(self) -> int:
        return self.invoices.size + self.lines.size

    async def write(self, session: AsyncSession, done: Callable[[int], None]) -> None:
        org = self.job.who.org
        await self.invoices.write(session, org, self.job.plan.source, done)
        await self.lines.write(session, org, self.invoices.ids, done)


async def invoices(conn: AsyncConnection, job: Job, sheet: Sheet, lines: Sheet | None = None) -> Bills:
    """Judge a file of invoices and the file of their lines; without the second, the first may have a row a line."""
    header = sheet.mapped() | (lines.mapped() if lines else {})
    bills = group(sheet, lines, "invoice", INVOICES, bare=True)
    if lines is None:
        for one in bills:
            _strip(one)
    else:
        refuse_twins(sheet.entries, "external_id", sheet.mapped()["external_id"])
    settle(bills)
    open_books = await books(conn, job.who.org)
    await _look_up(conn, job, bills, header, open_books)
    columns = [*_INVOICE, "paid_total", "credited_total"]
    known = await past(conn, job.who.org, job.plan.source, Invoice, [one.external for one in bills], columns)
    await numbers.give(conn, job, Invoice, bills, known)
    settle(bills)
    rates = await stated(conn, job.who)
    for one in bills:
        if not one.is_wrong():
            _price(one, job, rates, header)
    settle(bills)
    work = Bills(
        job,
        Upsert(Invoice, dead=list(known.dead.values())),
        Parts(InvoiceLine, "invoice_id", "position", (*LINE, "order_line_id")),
    )
    there = await work.lines.stored(conn, job.who.org, [one.id for one in known.known.values()])
    await _link(conn, job, bills)
    for one in bills:
        if not one.is_wrong():
            _bring(work, one, known.known.get(one.external), there, open_books, header)
    settle(bills)
    work.counts.created = len(work.invoices.fresh)
    work.counts.rows = {"invoices": len(work.invoices.fresh), "invoice_lines": work.lines.made}
    return work


def _strip(one: Document) -> None:
    """Leave an invoice the rows that hold a line, whole or in part: it may come without any."""
    alone = len(one.lines) == 1
    strip(one, lambda row: not alone or any(row.values.get(name) is not None for name in _LINE_CELLS))
    for line in one.lines:
        missing = [name for name in ("quantity", "unit_price") if line.values.get(name) is None]
        if missing and not line.wrong:
            line.wrong.append(f"holds a line without {' and '.join(missing)}")
    for row in one.bare:
        one.head.wrong += row.wrong


async def _look_up(
    conn: AsyncConnection, job: Job, bills: list[Document], header: dict[str, str], open_books: Books
) -> None:
    """Find what invoices and their lines name; mark those that name nothing, or what is another customer's."""
    heads = [one.head for one in bills]
    lines = [line for one in bills for line in one.lines]
    buyers = await find(conn, job, Customer, words(heads, "customer"), ["payment_terms_days"])
    orders = await find(conn, job, Order, words(heads, "order"), ["customer_id"])
    goods = await find(conn, job, Product, words(lines, "product"), ["name"])
    for head in heads:
        if not head.wrong:
            terms = _customer(head, header, buyers.take, orders.take)
            given = head.values.get("due_on")
            days = open_books.terms if terms is None else terms
            head.values["due_on"] = given or head.values["issued_on"] + timedelta(days=days)
    for line in lines:
        if not line.wrong:
            named = line.values.get("product")
            product = goods.take(line, named, header["product"]) if named is not None else None
            line.values["product_id"] = product.id if product else None
            said = line.values.get("description")
            line.values["description"] = said or (product.values["name"] if product else None)
            if not line.wrong and line.values["description"] is None:
                line.wrong.append("holds a line without product or description")
    settle(bills)


def _customer(
    head: Entry,
    header: dict[str, str],
    customer: Callable[[Entry, str, str], Hit | None],
    order: Callable[[Entry, str, str], Hit | None],
) -> int | None:
    """Set an invoice's customer, its own or its order's; return the customer's terms where it has some."""
    given, ordered = head.values.get("customer"), head.values.get("order")
    buyer = customer(head, given, header["customer"]) if given is not None else None
    bought = order(head, ordered, header["order"]) if ordered is not None else None
    if head.wrong:
        return None
    if buyer is not None and bought is not None and bought.values["customer_id"] != buyer.id:
        head.wrong.append(f"{header['order']} {ordered!r} is an order of another customer than {given!r}")
    if buyer is None and bought is None:
        head.wrong.append("names neither a customer nor an order")
    head.values["customer_id"] = buyer.id if buyer else bought.values["customer_id"] if bought else None
    head.values["order_id"] = bought.id if bought else None
    terms = buyer.values["payment_terms_days"] if buyer else None
    return int(terms) if terms is not None else None


def _price(one: Document, job: Job, rates: Rates, header: dict[str, str]) -> None:
    """Set an invoice's totals: as its file states them, else those of its lines."""
    head = one.head.values
    currency = head.get("currency") or job.plan.currency or job.who.currency
    one.rows = [
        priced(position, line, Decimal(0), currency, lambda exact: rounded(exact, currency))
        for position, line in enumerate(one.lines, 1)
    ]
    totals = _totals(one, currency, header)
    if totals is None:
        return
    net, tax, gross = totals
    issued = datetime.combine(head["issued_on"], time(12), ZoneInfo(job.who.timezone))
    if head["due_on"] < head["issued_on"]:
        one.head.wrong.append(f"is due on {head['due_on']}, before it was issued on {head['issued_on']}")
    one.row = {name: head.get(name) for name in _INVOICE} | {
        "currency": currency,
        "net_total": net,
        "tax_total": tax,
        "gross_total": gross,
        "base_total": rates.in_base(gross, currency, issued),
    }


def _totals(one: Document, currency: str, header: dict[str, str]) -> tuple[Decimal, Decimal, Decimal] | None:
    """Return net, tax and gross of an invoice; None, and the invoice marked, where they do not go together."""
    head, wrong = one.head.values, one.head.wrong
    net: Decimal | None = head.get("net_total")
    tax: Decimal | None = head.get("tax_total")
    gross: Decimal | None = head.get("gross_total")
    if one.rows:
        come = {name: sum((row[name] for row in one.rows), Decimal(0)) for name in ("net_amount", "tax_amount")}
        summed = (come["net_amount"], come["tax_amount"], come["net_amount"] + come["tax_amount"])
        slack = unit(currency) * len(one.rows)
        for name, said, lines in zip(
            ("net_total", "tax_total", "gross_total"), (net, tax, gross), summed, strict=True
        ):
            if said is not None and abs(said - lines) > slack:
                wrong.append(f"{header[name]} is {said}, but its lines come to {lines}")
        if net is None and gross is None:
            net = summed[0]
        if tax is None and (net is None or gross is None):
            tax = summed[1]
    if net is None and gross is None:
        wrong.append("has neither lines nor a total")
    if wrong:
        return None
    if gross is None:
        gross = (net or Decimal(0)) + (tax or Decimal(0))
    if net is None:
        net = gross - (tax or Decimal(0))
    if tax is None:
        tax = gross - net
    for name, amount in (("net_total", net), ("tax_total", tax), ("gross_total", gross)):
        if amount != rounded(amount, currency):
            wrong.append(f"{header.get(name, name)} is {amount}, finer than {currency} has coins")
    if min(net, tax) < 0 or net + tax != gross:
        wrong.append(f"net {net} and tax {tax} do not come to the total {gross}")
    if gross >= MOST:
        wrong.append("the total is larger than can be kept")
    return None if wrong else (net, tax, gross)


async def _link(conn: AsyncConnection, job: Job, bills: list[Document]) -> None:
    """Name the order's line that each line invoices, so that it is not invoiced again."""
    orders = sorted({one.row["order_id"] for one in bills if one.row.get("order_id") is not None})
    found = await conn.exec_driver_sql(
        "select order_id, product_id, id from crm.order_lines where org_id = %s and order_id = any(%s) "
        "order by order_id, position desc",
        (job.who.org, orders),
    )
    below: dict[int, dict[int, list[int]]] = {}
    rows: list[Any] = list(found)
    for order, product, number in rows:
        below.setdefault(order, {}).setdefault(product, []).append(number)
    for one in bills:
        left = {product: list(numbers) for product, numbers in below.get(one.row.get("order_id") or 0, {}).items()}
        for row in one.rows:
            waiting = left.get(row["product_id"] or 0)
            row["order_line_id"] = waiting.pop() if waiting else None


def _bring(
    work: Bills, one: Document, known: Known | None, there: Stored, open_books: Books, header: dict[str, str]
) -> None:
    """Take an invoice in; a known one is changed where its books are open and what was paid still fits."""
    issued = one.row["issued_on"]
    if known is None:
        open_books.refuse(one.head, header["issued_on"], issued)
        if not one.is_wrong():
            work.invoices.bring(one.external, one.row, None)
            work.lines.fresh[one.external] = one.rows
        return
    old = there.get(known.id, {})
    if one.row["base_total"] is None or known.values["currency"] == one.row["currency"]:
        # a rate that was stated since does not make it another invoice
        one.row["base_total"] = (
            known.values["base_total"]
            if known.values["gross_total"] == one.row["gross_total"]
            else one.row["base_total"]
        )
    relined = work.lines.differ(one.rows, old)
    if not relined and all(known.values[name] == one.row[name] for name in _INVOICE):
        work.invoices.ids[one.external] = known.id
        work.counts.unchanged += 1
        return
    open_books.refuse(one.head, header["issued_on"], issued, known.values["issued_on"])
    settled = known.values["paid_total"] + known.values["credited_total"]
    if one.row["gross_total"] < settled:
        one.head.wrong.append(f"the total is {one.row['gross_total']}, but {settled} of it is settled already")
    for name in ("customer_id", "currency"):
        if settled and one.row[name] != known.values[name]:
            one.head.wrong.append(f"{name.removesuffix('_id')} differs from before, and {settled} of it is settled")
    if not one.is_wrong():
        work.invoices.bring(one.external, one.row, known)
        work.lines.replace(known.id, one.rows, old)
        work.counts.updated += 1
