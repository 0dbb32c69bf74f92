"""Payments: what was received, which invoices it paid, and what of it is on account."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import Field
from sqlalchemy import literal_column, or_, select

from .. import ids
from ..context import Write
from ..errors import Refusal
from ..money import Sum, minor_units, money, rounded, said
from ..tool import Args
from . import invoices, missing, settings
from .models import Amount, Customer, Invoice, Payment, PaymentAllocation
from .rates import in_base

ZERO = Decimal(0)
MOST_INVOICES = 100
OPEN = literal_column("invoices.open_total", Amount)
"""The generated column, by which the index of open invoices is chosen."""
Method = Literal["transfer", "card", "cash", "cheque", "direct_debit", "other"]


class Allocation(Args):
    invoice: str = Field(max_length=60, description="inv_…")
    amount: Sum | None = Field(None, description="Default: as much as is open and left.")


@dataclass(frozen=True, slots=True)
class Received:
    """What a call is told of a new payment; None where it is left to the rules of `record`."""

    amount: Decimal | None
    currency: str | None
    received_on: date | None
    method: Method | None
    reference: str | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A payment and what this call allocated of it, by invoice."""

    payment: Payment
    customer: Customer
    allocated: tuple[tuple[Invoice, Decimal], ...]
    warnings: tuple[str, ...]

    @property
    def on_account(self) -> Decimal:
        return self.payment.amount - self.payment.allocated_total


async def record(
    ctx: Write, received: Received, customer: str | None, chosen: Sequence[Allocation] | None
) -> Recorded:
    """Record money received and allocate it: to the chosen invoices, else to the customer's, the oldest due first.

    What no invoice takes stays on account. Invoices are locked before anything is read of them.

    Raises:
        Refusal: INVALID_ARGUMENT, CUSTOMER_NOT_FOUND, INVOICE_NOT_FOUND, OTHER_CUSTOMER, OTHER_CURRENCY,
            MORE_THAN_OPEN, MORE_THAN_RECEIVED, NOTHING_OPEN, TOO_FINE, FUTURE_DAY, BOOKS_CLOSED.
    """
    if received.amount is None:
        raise _argument("amount", "Say what was received, or give the payment whose rest is to be allocated.")
    org = ctx.principal.org
    day = received.received_on or ctx.principal.day(ctx.now)
    await settings.postable(ctx, day)
    asked = ids.parse("customers", customer) if customer else None
    to_pay = await _chosen(ctx, chosen) if chosen else []
    payer = await _payer(ctx, customer, asked, to_pay)
    currency = received.currency or (to_pay[0].currency if to_pay else None)
    if currency is None:
        raise _argument("currency", "Say in which currency it was received.")
    exact(received.amount, currency)
    if not chosen:
        to_pay = await _oldest_due_first(ctx, payer.id, currency)
    warnings = await _repeats(ctx, received, payer, currency, day)
    payment = Payment(
        org_id=org,
        customer_id=payer.id,
        currency=currency,
        amount=received.amount,
        base_amount=await in_base(ctx, received.amount, currency),
        allocated_total=ZERO,
        received_on=day,
        method=received.method or "transfer",
        reference=received.reference,
    )
    ctx.session.add(payment)
    await ctx.session.flush()
    allocated = await _allocate(ctx, payment, to_pay, chosen)
    if not allocated and (others := await _open_in_others(ctx, payer.id, currency)):
        warnings.append(f"Nothing of {payer.name} is open in {currency}, but in {', '.join(others)}.")
    return Recorded(payment, payer, tuple(allocated), tuple(warnings))


async def allocate_rest(ctx: Write, payment: str, chosen: Sequence[Allocation] | None) -> Recorded:
    """Allocate what is left of an earlier payment, as `record` does with a new one.

    Raises:
        Refusal: PAYMENT_NOT_FOUND, PAYMENT_ARCHIVED, NOTHING_ON_ACCOUNT, and those of allocating in `record`.
    """
    org, number = ctx.principal.org, ids.parse("payments", payment)
    known = await ctx.session.get(Payment, (org, number))
    if known is None:
        raise not_found(payment)
    # Invoices before payments, in every call: then no two wait for each other crosswise.
    if chosen:
        to_pay = await _chosen(ctx, chosen)
    else:
        to_pay = await _oldest_due_first(ctx, known.customer_id, known.currency)
    (paid,) = await locked(ctx, [number])
    if paid.archived_at is not None:
        raise Refusal("PAYMENT_ARCHIVED", f"{payment} was taken back; nothing of it can be allocated.")
    if paid.allocated_total == paid.amount:
        raise Refusal("NOTHING_ON_ACCOUNT", f"All of {payment} is allocated; see get_payments.", payment=payment)
    payer = await ctx.session.get_one(Customer, (org, paid.customer_id))
    allocated = await _allocate(ctx, paid, to_pay, chosen)
    if not allocated:
        hint = f"{payer.name} has no open invoice in {paid.currency}."
        raise Refusal(
            "NOTHING_OPEN", hint, onAccount=money(paid.amount - paid.allocated_total, paid.currency).model_dump()
        )
    return Recorded(paid, payer, tuple(allocated), ())


async def release(ctx: Write, invoice: Invoice, amount: Decimal) -> list[tuple[Payment, Decimal]]:
    """Put up to `amount` of what paid a locked invoice back on account, the latest payment first.

    Returns what each payment got back; what was paid of the invoice without a payment on record stays paid.
    """
    asked = select(PaymentAllocation).where(
        PaymentAllocation.org_id == invoice.org_id, PaymentAllocation.invoice_id == invoice.id
    )
    held = list(await ctx.session.scalars(asked.with_for_update()))
    known = {payment.id: payment for payment in await locked(ctx, [a.payment_id for a in held])}
    freed: list[tuple[Payment, Decimal]] = []
    for allocation in sorted(held, key=lambda a: (known[a.payment_id].received_on, a.id), reverse=True):
        back = min(amount, allocation.amount)
        if back <= 0:
            break
        payment = known[allocation.payment_id]
        if back == allocation.amount:
            await ctx.session.delete(allocation)
        else:
            allocation.amount -= back
        payment.allocated_total -= back
        invoice.paid_total -= back
        amount -= back
        freed.append((payment, back))
    await ctx.session.flush()
    return freed


async def locked(ctx: Write, numbers: Sequence[int]) -> list[Payment]:
    """Return payments as they are now, locked in the order of their numbers."""
    found = await ctx.session.scalars(
        select(Payment)
        .where(Payment.org_id == ctx.principal.org, Payment.id.in_(numbers))
        .order_by(Payment.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return list(found)


def not_found(payment: str) -> Refusal:
    return Refusal("PAYMENT_NOT_FOUND", "Find the id with get_payments.", searchedId=payment[:60])


def exact(amount: Decimal, currency: str) -> None:
    """Refuse an amount that the currency cannot hold.

    Raises:
        Refusal: TOO_FINE, OUT_OF_RANGE.
    """
    if amount >= Decimal(10) ** 15:
        raise Refusal("OUT_OF_RANGE", "The amount is larger than can be stored.")
    if rounded(amount, currency) != amount:
        hint = f"{currency} has {minor_units(currency)} decimals; round the amount."
        raise Refusal("TOO_FINE", hint, amount=str(amount))


async def _chosen(ctx: Write, chosen: Sequence[Allocation]) -> list[Invoice]:
    numbers = [ids.parse("invoices", one.invoice) for one in chosen]
    if len(set(numbers)) < len(numbers):
        raise Refusal("DUPLICATE_INVOICE", "Name each invoice once.")
    known = await invoices.locked(ctx, [one.invoice for one in chosen])
    return [known[number] for number in numbers]


async def _payer(ctx: Write, customer: str | None, number: int | None, to_pay: Sequence[Invoice]) -> Customer:
    """Return who paid: the customer named, else the one of the invoices."""
    if number is None and not to_pay:
        raise _argument("customer", "Say whose payment it is, or which invoices it pays.")
    found = await ctx.session.get(Customer, (ctx.principal.org, number or to_pay[0].customer_id))
    if found is None:
        raise missing.customer(customer or "")
    return found


async def _oldest_due_first(ctx: Write, customer: int, currency: str) -> list[Invoice]:
    found = await ctx.session.scalars(
        select(Invoice)
        .where(
            Invoice.org_id == ctx.principal.org,
            Invoice.customer_id == customer,
            Invoice.currency == currency,
            OPEN > 0,
            Invoice.archived_at.is_(None),
        )
        .order_by(Invoice.id)
        .with_for_update()
    )
    return sorted(found, key=lambda invoice: (invoice.due_on, invoice.id))


async def _allocate(
    ctx: Write, payment: Payment, to_pay: Sequence[Invoice], chosen: Sequence[Allocation] | None
) -> list[tuple[Invoice, Decimal]]:
    """Allocate what is left of a locked payment to locked invoices, in their order."""
    wanted = [one.amount for one in chosen] if chosen else [None] * len(to_pay)
    left = payment.amount - payment.allocated_total
    if sum((amount for amount in wanted if amount is not None), ZERO) > left:
        hint = f"The invoices get more than the {said(left, payment.currency)} there is."
        raise Refusal("MORE_THAN_RECEIVED", hint, left=money(left, payment.currency).model_dump())
    allocated: list[tuple[Invoice, Decimal]] = []
    for invoice, amount in zip(to_pay, wanted, strict=True):
        part = min(invoice.open, left) if amount is None else amount
        if chosen:
            _allowed(payment, invoice, part, left)
        if part <= 0:
            break
        await _allocate_to(ctx, payment, invoice, part)
        left -= part
        allocated.append((invoice, part))
    await ctx.session.flush()
    return allocated


def _allowed(payment: Payment, invoice: Invoice, part: Decimal, left: Decimal) -> None:
    number, shown = invoices.name(invoice), ids.show("invoices", invoice.id)
    if invoice.customer_id != payment.customer_id:
        hint = f"{number} is another customer's. One payment pays one customer's invoices."
        raise Refusal("OTHER_CUSTOMER", hint, invoice=shown)
    if invoice.currency != payment.currency:
        hint = f"{number} is in {invoice.currency}, the payment in {payment.currency}. Amounts are not converted."
        raise Refusal("OTHER_CURRENCY", hint, invoice=shown)
    if invoice.open <= 0:
        raise Refusal("NOTHING_OPEN", f"Nothing is open of {number}.", invoice=shown)
    if part > invoice.open:
        hint = f"Of {number}, {said(invoice.open, invoice.currency)} is open. The rest can stay on account."
        raise Refusal("MORE_THAN_OPEN", hint, invoice=shown, open=money(invoice.open, invoice.currency).model_dump())
    if part > left or left == 0:
        hint = f"Nothing is left of the payment for {number}; leave it out, or give amounts that fit."
        raise Refusal("MORE_THAN_RECEIVED", hint, invoice=shown, left=money(left, payment.currency).model_dump())
    exact(part, payment.currency)


async def _allocate_to(ctx: Write, payment: Payment, invoice: Invoice, part: Decimal) -> None:
    """Add to what a payment paid of an invoice, and to the totals of both."""
    earlier = await ctx.session.scalar(
        select(PaymentAllocation)
        .where(
            PaymentAllocation.org_id == payment.org_id,
            PaymentAllocation.payment_id == payment.id,
            PaymentAllocation.invoice_id == invoice.id,
        )
        .with_for_update()
    )
    if earlier is None:
        ctx.session.add(
            PaymentAllocation(org_id=payment.org_id, payment_id=payment.id, invoice_id=invoice.id, amount=part)
        )
    else:
        earlier.amount += part
    payment.allocated_total += part
    invoice.paid_total += part


async def _repeats(ctx: Write, received: Received, payer: Customer, currency: str, day: date) -> list[str]:
    """Warn where the same was recorded already: customer, amount, and the day or the reference."""
    alike = Payment.received_on == day
    if received.reference:
        alike = or_(alike, Payment.reference == received.reference)
    found = await ctx.session.scalars(
        select(Payment)
        .where(
            Payment.org_id == ctx.principal.org,
            Payment.customer_id == payer.id,
            Payment.currency == currency,
            Payment.amount == received.amount,
            Payment.archived_at.is_(None),
            alike,
        )
        .order_by(Payment.id)
        .limit(3)
    )
    return [
        f"{ids.show('payments', p.id)} of {payer.name} over {said(p.amount, currency)} was recorded already, "
        f"received on {p.received_on}" + (f" with reference {p.reference!r}." if p.reference else ".")
        for p in found
    ]


async def _open_in_others(ctx: Write, customer: int, currency: str) -> list[str]:
    found = await ctx.session.scalars(
        select(Invoice.currency)
        .where(
            Invoice.org_id == ctx.principal.org,
            Invoice.customer_id == customer,
            Invoice.currency != currency,
            OPEN > 0,
            Invoice.archived_at.is_(None),
        )
        .distinct()
        .order_by(Invoice.currency)
    )
    return list(found)


def _argument(name: str, hint: str) -> Refusal:
    return Refusal("INVALID_ARGUMENT", hint, argument=name)
