"""Credit notes: what is taken back of an invoice, in whole or in part."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from .. import ids
from ..context import Write
from ..errors import Refusal
from ..money import money, rounded, said
from . import invoices, payments, settings
from .invoices import Invoiced, Portion
from .models import CreditNote, Customer, Invoice, InvoiceLine, Payment
from .rates import in_base

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Credited:
    """A credit note, what it put back on account by payment, and what is to be refunded without one on record."""

    note: CreditNote
    invoice: Invoice
    customer: Customer
    on_account: tuple[tuple[Payment, Decimal], ...]
    to_refund: Decimal


@dataclass(frozen=True, slots=True)
class _Taken:
    net: Decimal
    tax: Decimal
    lines: list[dict[str, Any]]


async def create(
    ctx: Write,
    invoice: str,
    portions: Sequence[Portion] | None,
    gross: Decimal | None,
    issued_on: date | None,
    explanation: str,
) -> Credited:
    """Credit an invoice: what is left of it, or units of its lines, or a gross amount with its tax pro rata.

    It settles what is open first. What had been paid already goes back on account of the payments that paid it,
    the latest first, where record_payment can allocate it anew; what was paid without a payment on record leaves
    the invoice open below zero: that is to be refunded. The number is drawn by Postgres when a person approves.

    Raises:
        Refusal: INVOICE_NOT_FOUND, INVALID_ARGUMENT, INVOICE_CREDITED, LINES_UNKNOWN, LINE_NOT_FOUND,
            DUPLICATE_LINE, MORE_THAN_LEFT, TOO_FINE, BEFORE_INVOICE, FUTURE_DAY, BOOKS_CLOSED.
    """
    if portions is not None and gross is not None:
        hint = "Give lines or gross, not both; neither credits all that is left."
        raise Refusal("INVALID_ARGUMENT", hint, argument="gross")
    billed = next(iter((await invoices.locked(ctx, [invoice])).values()))
    issued_on = issued_on or ctx.principal.day(ctx.now)
    await settings.postable(ctx, issued_on)
    if issued_on < billed.issued_on:
        hint = f"{invoices.name(billed)} was issued on {billed.issued_on}; date the credit note then or later."
        raise Refusal("BEFORE_INVOICE", hint, given=issued_on.isoformat())
    left = billed.gross_total - billed.credited_total
    if left <= 0:
        hint = f"{invoices.name(billed)} is credited in full."
        raise Refusal("INVOICE_CREDITED", hint, invoice=invoice)
    taken = await _taken(ctx, billed, portions, gross)
    amount = taken.net + taken.tax
    if amount > left:
        hint = f"Of {invoices.name(billed)}, {said(left, billed.currency)} is not credited yet."
        raise Refusal("MORE_THAN_LEFT", hint, left=money(left, billed.currency).model_dump())
    if amount <= 0:
        raise Refusal("NOTHING_TO_CREDIT", "These lines cost nothing.", invoice=invoice)
    note = CreditNote(
        org_id=ctx.principal.org,
        invoice_id=billed.id,
        customer_id=billed.customer_id,
        currency=billed.currency,
        net_total=taken.net,
        tax_total=taken.tax,
        gross_total=amount,
        base_total=await in_base(ctx, amount, billed.currency),
        issued_on=issued_on,
        explanation=explanation,
        lines=taken.lines,
    )
    ctx.session.add(note)
    billed.credited_total += amount
    await ctx.session.flush()
    freed = await payments.release(ctx, billed, -billed.open) if billed.open < 0 else []
    customer = await ctx.session.get_one(Customer, (ctx.principal.org, billed.customer_id))
    # Of what stays below zero, only what this note added is its to refund.
    to_refund = min(max(ZERO, -billed.open), amount - sum((part for _, part in freed), ZERO))
    return Credited(note, billed, customer, tuple(freed), to_refund)


async def _taken(ctx: Write, billed: Invoice, portions: Sequence[Portion] | None, gross: Decimal | None) -> _Taken:
    earlier = list(
        await ctx.session.scalars(
            select(CreditNote).where(
                CreditNote.org_id == ctx.principal.org,
                CreditNote.invoice_id == billed.id,
                CreditNote.archived_at.is_(None),
            )
        )
    )
    if portions is not None:
        return await _of_lines(ctx, billed, portions, earlier)
    left = billed.gross_total - billed.credited_total
    tax = billed.tax_total - sum((note.tax_total for note in earlier), ZERO)
    # Credits that were imported as a total alone have no tax on record.
    tax = min(left, max(ZERO, tax))
    if gross is None or gross == left:
        return _Taken(left - tax, tax, [])
    payments.exact(gross, billed.currency)
    part = rounded(gross * tax / left, billed.currency)
    return _Taken(gross - part, part, [])


async def _of_lines(
    ctx: Write, billed: Invoice, portions: Sequence[Portion], earlier: Sequence[CreditNote]
) -> _Taken:
    """Return what units of an invoice's lines cost, cumulatively rounded over its credit notes."""
    found = await ctx.session.scalars(
        select(InvoiceLine).where(InvoiceLine.org_id == ctx.principal.org, InvoiceLine.invoice_id == billed.id)
    )
    lines = {line.position: line for line in found}
    if not lines:
        hint = f"{invoices.name(billed)} has no lines; credit it by gross amount or whole."
        raise Refusal("LINES_UNKNOWN", hint, argument="lines")
    before: dict[int, Invoiced] = {}
    for line in (line for note in earlier for line in note.lines):
        done = before.setdefault(line["position"], Invoiced())
        done.quantity += line["quantity"]
        done.net += Decimal(line["net"])
        done.tax += Decimal(line["tax"])
    net, tax, taken = ZERO, ZERO, list[dict[str, Any]]()
    for position, quantity in sorted(invoices.chosen(portions).items()):
        if position not in lines:
            hint = f"{invoices.name(billed)} has the lines {', '.join(map(str, sorted(lines)))}."
            raise Refusal("LINE_NOT_FOUND", hint, position=position)
        line, done = lines[position], before.get(position, Invoiced())
        units = line.quantity - done.quantity
        if units < (quantity or 1):
            hint = f"Of line {position} of {invoices.name(billed)}, {units} of {line.quantity} are not credited yet."
            raise Refusal("MORE_THAN_LEFT", hint, position=position, left=units)
        part, part_tax = (
            invoices.share(whole, line.quantity, done.quantity, gone, quantity or units, billed.currency)
            for whole, gone in ((line.net_amount, done.net), (line.tax_amount, done.tax))
        )
        net, tax = net + part, tax + part_tax
        taken.append(
            {"position": position, "quantity": quantity or units, "net": f"{part:f}", "tax": f"{part_tax:f}"}
        )
    return _Taken(net, tax, taken)


def on_account_said(credited: Credited) -> str:
    """Return what a sentence adds where the invoice had been paid; empty where it had not."""
    currency = credited.note.currency
    told = [
        f"{said(part, currency)} of {ids.show('payments', payment.id)} goes back on account"
        for payment, part in credited.on_account
    ]
    if credited.to_refund:
        told.append(f"{said(credited.to_refund, currency)} is to be refunded")
    return "".join(f"; {part}" for part in told)
