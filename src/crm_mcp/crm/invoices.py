"""Invoices: what of an order is not yet invoiced, and every write of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field
from sqlalchemy import select

from .. import ids
from ..context import Write
from ..errors import Refusal
from ..money import Money, money, rounded, said
from ..tool import Args, View
from . import settings
from .models import Customer, Invoice, InvoiceLine, Order, OrderLine
from .rates import in_base

ZERO = Decimal(0)
MOST_LINES = 100
OPEN_IN_BASE = """select coalesce(sum(case when currency = %s then open_total
  else open_total * base_total / nullif(gross_total, 0) end), 0) from crm.invoices
 where org_id = %s and customer_id = %s and open_total > 0 and archived_at is null and id <> %s"""


class Portion(Args):
    position: int = Field(gt=0)
    quantity: int | None = Field(None, gt=0, description="Default: all that is left.")


class InvoiceLineView(View):
    noun: ClassVar[str] = "line"
    nouns: ClassVar[str] = "lines"

    position: int
    description: str
    quantity: int
    unitPrice: Money
    net: Money
    tax: Money


@dataclass(frozen=True, slots=True)
class Issued:
    invoice: Invoice
    order: Order
    customer: Customer
    lines: tuple[InvoiceLine, ...]
    warnings: tuple[str, ...]


@dataclass(slots=True)
class Invoiced:
    """What of an order, or of one of its lines, is on invoices: units and amounts."""

    quantity: int = 0
    net: Decimal = ZERO
    tax: Decimal = ZERO


async def create(
    ctx: Write, order: str, portions: Sequence[Portion] | None, issued_on: date | None, due_on: date | None
) -> Issued:
    """Invoice an order: all that is not invoiced yet, or given units of its lines.

    Amounts are the order's own, pro rata to units and cumulative, so that the invoices of an order sum to it to the
    minor unit: the last one takes what is left. An invoice that was credited in full frees what it had invoiced.
    The number is drawn by Postgres when a person approves.

    Raises:
        Refusal: ORDER_NOT_FOUND, ORDER_CANCELLED, ORDER_INVOICED, LINE_NOT_FOUND, MORE_THAN_LEFT, DUPLICATE_LINE,
            LINES_UNKNOWN, NOTHING_TO_INVOICE, DUE_BEFORE_ISSUED, FUTURE_DAY, BOOKS_CLOSED.
    """
    org = ctx.principal.org
    sold = await ctx.session.scalar(
        # Two invoices of one order wait for each other, so that no unit is on both.
        select(Order).where(Order.org_id == org, Order.id == ids.parse("orders", order)).with_for_update()
    )
    if sold is None:
        raise Refusal("ORDER_NOT_FOUND", "Find the id with get_orders.", searchedId=order[:60])
    if sold.status == "cancelled":
        raise Refusal("ORDER_CANCELLED", f"{_name(sold)} was cancelled; there is nothing to invoice.", order=order)
    customer = await ctx.session.get_one(Customer, (org, sold.customer_id))
    issued_on = issued_on or ctx.principal.day(ctx.now)
    await settings.postable(ctx, issued_on)
    due_on = due_on or issued_on + timedelta(days=await _terms(ctx, customer))
    if due_on < issued_on:
        hint = "An invoice is due on the day it is issued or later."
        raise Refusal("DUE_BEFORE_ISSUED", hint, issuedOn=issued_on.isoformat(), dueOn=due_on.isoformat())
    earlier = await _earlier(ctx, sold)
    lines, total = await _billed(ctx, sold, portions, [i for i in earlier if not is_credited(i)])
    if total.net + total.tax == 0:
        hint = f"Nothing is to be paid for {'these lines' if portions else _name(sold)}."
        raise Refusal("NOTHING_TO_INVOICE", hint, order=order)
    gross = total.net + total.tax
    invoice = Invoice(
        org_id=org,
        customer_id=customer.id,
        order_id=sold.id,
        currency=sold.currency,
        net_total=total.net,
        tax_total=total.tax,
        gross_total=gross,
        base_total=await in_base(ctx, gross, sold.currency),
        paid_total=ZERO,
        credited_total=ZERO,
        issued_on=issued_on,
        due_on=due_on,
        lines=lines,
    )
    ctx.session.add(invoice)
    await ctx.session.flush()
    return Issued(
        invoice, sold, customer, tuple(lines), tuple(await _warnings(ctx, invoice, sold, customer, earlier))
    )


async def locked(ctx: Write, invoices: Sequence[str]) -> dict[int, Invoice]:
    """Return invoices by number, locked in the order of their numbers so that two calls never wait crosswise.

    Raises:
        Refusal: INVOICE_NOT_FOUND (another org's and an archived one answer the same).
    """
    numbers = [ids.parse("invoices", invoice) for invoice in invoices]
    found = await ctx.session.scalars(
        select(Invoice)
        .where(Invoice.org_id == ctx.principal.org, Invoice.id.in_(numbers), Invoice.archived_at.is_(None))
        .order_by(Invoice.id)
        .with_for_update()
    )
    known = {invoice.id: invoice for invoice in found}
    for number, invoice in zip(numbers, invoices, strict=True):
        if number not in known:
            raise not_found(invoice)
    return known


def not_found(invoice: str) -> Refusal:
    return Refusal("INVOICE_NOT_FOUND", "Find the id with get_invoices.", searchedId=invoice[:60])


def name(invoice: Invoice) -> str:
    """Return how a sentence names an invoice."""
    return invoice.number or ids.show("invoices", invoice.id)


def is_credited(invoice: Invoice) -> bool:
    """Say whether an invoice was taken back in full."""
    return invoice.gross_total > 0 and invoice.credited_total == invoice.gross_total


def line_view(line: InvoiceLine, currency: str) -> InvoiceLineView:
    """Return an invoice's line as tools show it."""
    return InvoiceLineView(
        position=line.position,
        description=line.description,
        quantity=line.quantity,
        unitPrice=money(line.unit_price, currency),
        net=money(line.net_amount, currency),
        tax=money(line.tax_amount, currency),
    )


def share(whole: Decimal, of: int, before: int, taken: Decimal, quantity: int, currency: str) -> Decimal:
    """Return what `quantity` of `of` units cost of `whole`, when `before` units have cost `taken`.

    Rounded cumulatively: shares of all units sum to the whole, and none is below zero.
    """
    if before + quantity == of:
        return whole - taken
    return min(whole - taken, max(ZERO, rounded(whole * (before + quantity) / of, currency) - taken))


def chosen(portions: Sequence[Portion]) -> dict[int, int | None]:
    """Return the units asked for by position.

    Raises:
        Refusal: DUPLICATE_LINE.
    """
    asked: dict[int, int | None] = {}
    for portion in portions:
        if portion.position in asked:
            raise Refusal("DUPLICATE_LINE", "Name each position once.", position=portion.position)
        asked[portion.position] = portion.quantity
    return asked


async def _terms(ctx: Write, customer: Customer) -> int:
    if customer.payment_terms_days is not None:
        return customer.payment_terms_days
    return (await settings.of(ctx)).payment_terms_days


async def _earlier(ctx: Write, order: Order) -> list[Invoice]:
    found = await ctx.session.scalars(
        select(Invoice)
        .where(Invoice.org_id == order.org_id, Invoice.order_id == order.id, Invoice.archived_at.is_(None))
        .order_by(Invoice.issued_on, Invoice.id)
    )
    return list(found)


async def _billed(
    ctx: Write, order: Order, portions: Sequence[Portion] | None, standing: Sequence[Invoice]
) -> tuple[list[InvoiceLine], Invoiced]:
    """Return the lines of the next invoice of an order, and their sum."""
    sold = list(
        await ctx.session.scalars(
            select(OrderLine)
            .where(OrderLine.org_id == order.org_id, OrderLine.order_id == order.id, OrderLine.archived_at.is_(None))
            .order_by(OrderLine.position)
        )
    )
    whole = Invoiced(0, order.net_total, order.tax_total)
    if standing and sum((i.gross_total for i in standing), ZERO) >= order.gross_total:
        raise _invoiced(order, standing)
    before, without_lines = await _on(ctx, standing)
    if without_lines:
        hint = f"What is left of {_name(order)} is not known: {', '.join(map(name, without_lines))} has no lines."
        raise Refusal("LINES_UNKNOWN", f"{hint} Credit it, then invoice the order anew.", invoices=_known(standing))
    sums = (sum((s.net_amount for s in sold), ZERO), sum((s.tax_amount for s in sold), ZERO))
    if sums != (whole.net, whole.tax):
        if portions is None and not standing:
            alike = [_line(at, s, s.quantity, s.net_amount, s.tax_amount) for at, s in enumerate(sold, 1)]
            return alike, whole
        hint = f"The lines of {_name(order)} do not sum to its total. Invoice it whole, without lines."
        raise Refusal("LINES_UNKNOWN", hint, order=ids.show("orders", order.id))
    asked = _asked(order, sold, before, portions, standing)
    lines: list[InvoiceLine] = []
    total = Invoiced()
    for at, (line, quantity) in enumerate(asked, 1):
        done = before.get(line.id, Invoiced())
        net, tax = (
            share(amount, line.quantity, done.quantity, taken, quantity, order.currency)
            for amount, taken in ((line.net_amount, done.net), (line.tax_amount, done.tax))
        )
        lines.append(_line(at, line, quantity, net, tax))
        total.net += net
        total.tax += tax
    return lines, total


async def _on(ctx: Write, standing: Sequence[Invoice]) -> tuple[Mapping[int, Invoiced], list[Invoice]]:
    """Return what invoices hold by order line, and which of them have no lines."""
    found = await ctx.session.scalars(
        select(InvoiceLine).where(
            InvoiceLine.org_id == ctx.principal.org, InvoiceLine.invoice_id.in_([i.id for i in standing])
        )
    )
    held: dict[int, Invoiced] = {}
    with_lines: set[int] = set()
    for line in found:
        if line.order_line_id is None:
            continue
        with_lines.add(line.invoice_id)
        on = held.setdefault(line.order_line_id, Invoiced())
        on.quantity += line.quantity
        on.net += line.net_amount
        on.tax += line.tax_amount
    return held, [i for i in standing if i.id not in with_lines]


def _asked(
    order: Order,
    sold: Sequence[OrderLine],
    before: Mapping[int, Invoiced],
    portions: Sequence[Portion] | None,
    standing: Sequence[Invoice],
) -> list[tuple[OrderLine, int]]:
    left = {line.position: (line, line.quantity - before.get(line.id, Invoiced()).quantity) for line in sold}
    if not any(units > 0 for _, units in left.values()):
        raise _invoiced(order, standing)
    if portions is None:
        return [(line, units) for line, units in left.values() if units > 0]
    found: list[tuple[OrderLine, int]] = []
    for position, quantity in sorted(chosen(portions).items()):
        if position not in left:
            hint = f"{_name(order)} has the lines {', '.join(map(str, left))}."
            raise Refusal("LINE_NOT_FOUND", hint, position=position)
        line, units = left[position]
        if units < (quantity or 1):
            hint = f"Of line {position} of {_name(order)}, {units} of {line.quantity} are not invoiced yet."
            raise Refusal("MORE_THAN_LEFT", hint, position=position, left=units, invoices=_known(standing))
        found.append((line, quantity or units))
    return found


def _line(position: int, of: OrderLine, quantity: int, net: Decimal, tax: Decimal) -> InvoiceLine:
    return InvoiceLine(
        org_id=of.org_id,
        order_line_id=of.id,
        product_id=of.product_id,
        position=position,
        description=of.description,
        quantity=quantity,
        unit_price=of.unit_price,
        discount_percent=of.discount_percent,
        tax_rate=of.tax_rate,
        net_amount=net,
        tax_amount=tax,
    )


def _invoiced(order: Order, standing: Sequence[Invoice]) -> Refusal:
    named = ", ".join(map(name, standing)) or "earlier invoices"
    hint = f"{_name(order)} is invoiced already: {named}. To take one back use create_credit_note."
    return Refusal("ORDER_INVOICED", hint, order=ids.show("orders", order.id), invoices=_known(standing))


def _known(standing: Sequence[Invoice]) -> list[dict[str, Any]]:
    return [{"id": ids.show("invoices", i.id), "number": i.number} for i in standing]


def _name(order: Order) -> str:
    return order.number or ids.show("orders", order.id)


async def _warnings(
    ctx: Write, invoice: Invoice, order: Order, customer: Customer, earlier: Sequence[Invoice]
) -> list[str]:
    """Return what whoever approves an invoice should know."""
    told: list[str] = []
    if order.shipped_at is None and order.status == "confirmed":
        told.append(f"{_name(order)} has not shipped.")
    if customer.archived_at is not None:
        told.append(f"{customer.name} is archived.")
    if credited := [name(i) for i in earlier if is_credited(i)]:
        told.append(f"Invoiced again after {', '.join(credited)} was credited in full.")
    limit, base = customer.credit_limit, ctx.principal.currency
    if limit is not None and invoice.base_total is not None:
        connection = await ctx.session.connection()
        row = await connection.exec_driver_sql(OPEN_IN_BASE, (base, invoice.org_id, customer.id, invoice.id))
        owed = row.scalar_one() + invoice.base_total
        if owed > limit:
            told.append(
                f"{customer.name} would owe {said(owed, base)}, over the credit limit of {said(limit, base)}."
            )
    return told
