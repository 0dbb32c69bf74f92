"""Import payments with the invoices they pay, in whole or in part; what pays none stays on account."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..crm.models import Customer, Invoice, Payment, PaymentAllocation
from ..errors import Refusal
from ..money import rounded
from .books import Books, books
from .documents import Document, group, settle, strip
from .fields import PAYMENTS
from .finding import Found, find, words
from .kept import Known, Upsert, past, refuse_twins
from .parts import Parts, Stored
from .rates import Rates, stated
from .rows import CHUNK, Row
from .sheet import Entry, Sheet
from .values import MOST
from .work import Counts, Job

_PAYMENT = ("customer_id", "currency", "amount", "base_amount", "allocated_total", "received_on")
_OPTIONAL = ("method", "reference")
_OWED = ("customer_id", "currency", "gross_total", "paid_total", "credited_total", "archived_at", "number")
_SETTLE = """update crm.invoices i set paid_total = paid_total + paid.delta
 from unnest(%s::bigint[], %s::numeric[]) as paid(id, delta)
 where i.org_id = %s and i.id = paid.id and i.gross_total - i.credited_total - i.paid_total >= paid.delta
   and i.paid_total + paid.delta >= 0"""


@dataclass(slots=True)
class Receipts:
    """Payments, what each pays, and by how much what was paid of an invoice rises."""

    job: Job
    payments: Upsert
    parts: Parts
    paid: dict[int, Decimal] = field(default_factory=dict[int, Decimal])
    counts: Counts = field(default_factory=Counts)

    @property
    def size(self) -> int:
        return self.payments.size + self.parts.size

    async def write(self, session: AsyncSession, done: Callable[[int], None]) -> None:
        org = self.job.who.org
        await self.payments.write(session, org, self.job.plan.source, done)
        await self.parts.write(session, org, self.payments.ids, done)
        conn = await session.connection()
        moved = sorted((number, by) for number, by in self.paid.items() if by)
        for start in range(0, len(moved), CHUNK):
            chunk = moved[start : start + CHUNK]
            settled = await conn.exec_driver_sql(
                _SETTLE, ([number for number, _ in chunk], [by for _, by in chunk], org)
            )
            if settled.rowcount != len(chunk):
                raise Refusal(
                    "INVOICES_CHANGED",
                    "An invoice was paid or credited while the import ran. Nothing was imported; start it again.",
                )


async def payments(conn: AsyncConnection, job: Job, sheet: Sheet, lines: Sheet | None = None) -> Receipts:
    """Judge a file of payments; the invoices they pay are in a file of their own, or in rows of the same payment.

    Without a column of what goes to each invoice, the amounts of a payment's rows are its parts.
    """
    header = sheet.mapped() | (lines.mapped() if lines else {})
    parted = lines is None and "allocated" not in sheet.columns and "invoice" in sheet.columns
    received = group(sheet, lines, "payment", PAYMENTS, apart=["amount"] if parted else [], bare=True)
    if lines is not None:
        refuse_twins(sheet.entries, "external_id", sheet.mapped()["external_id"])
    for one in received:
        if lines is None:
            _part(one, parted)
    settle(received)
    owed = await find(conn, job, Invoice, words(_lines(received), "invoice"), _OWED)
    await _look_up(conn, job, received, owed, header)
    optional = [name for name in _OPTIONAL if name in sheet.columns]
    columns = [*_PAYMENT, *optional, "archived_at"]
    known = await past(conn, job.who.org, job.plan.source, Payment, [one.external for one in received], columns)
    rates, open_books = await stated(conn, job.who), await books(conn, job.who.org)
    work = Receipts(
        job,
        Upsert(Payment, dead=list(known.dead.values())),
        Parts(PaymentAllocation, "payment_id", "invoice_id", ("amount",)),
    )
    there = await work.parts.stored(conn, job.who.org, [one.id for one in known.known.values()])
    left = {hit.id: _open(hit.values) for hit in owed.hits.values()}
    for one in received:
        if not one.is_wrong():
            _put(one, job, rates, optional, header)
        if not one.is_wrong():
            _bring(work, one, known.known.get(one.external), there, open_books, left, header)
    settle(received)
    work.counts.created = len(work.payments.fresh)
    work.counts.rows = {"payments": len(work.payments.fresh), "payment_allocations": work.parts.made}
    return work


def _lines(received: list[Document]) -> list[Entry]:
    return [line for one in received for line in one.lines]


def _open(invoice: Row) -> Decimal:
    return invoice["gross_total"] - invoice["paid_total"] - invoice["credited_total"]


def _part(one: Document, parted: bool) -> None:
    """Say what each row of a payment puts to its invoice, where no column says it."""
    rows = one.lines
    if parted and len(rows) > 1 and not any(line.wrong for line in rows):
        one.head.values["amount"] = sum((line.values["amount"] for line in rows), Decimal(0))
    for line in rows:
        named = line.values.get("invoice") is not None
        if line.values.get("allocated") is None and named:
            if parted or len(rows) == 1:
                line.values["allocated"] = line.values.get("amount")
            elif not line.wrong:
                line.wrong.append("names an invoice without the amount allocated to it")
        if line.values.get("allocated") is not None and not named and not line.wrong:
            line.wrong.append("allocates an amount and names no invoice")
    strip(one, lambda row: row.values.get("invoice") is not None or (bool(row.wrong) and len(rows) > 1))
    for row in one.bare:
        one.head.wrong += row.wrong


async def _look_up(
    conn: AsyncConnection, job: Job, received: list[Document], owed: Found, header: dict[str, str]
) -> None:
    """Find payers and invoices; mark what names none, mixes customers or currencies, or pays what is archived."""
    payers = await find(conn, job, Customer, words([one.head for one in received], "customer"))
    for one in received:
        head = one.head
        if one.is_wrong():
            continue
        given = head.values.get("customer")
        payer = payers.take(head, given, header["customer"]) if given is not None else None
        head.values["customer_id"] = payer.id if payer else None
        if head.wrong:
            continue
        for line in one.lines:
            word = line.values["invoice"]
            hit = owed.take(line, word, header["invoice"])
            if hit is None:
                continue
            line.values["invoice_id"] = hit.id
            _agree(head, line, word, hit.values, header)
        if head.values["customer_id"] is None and not any(line.wrong for line in one.lines):
            head.wrong.append("names neither a customer nor an invoice")
    settle(received)


def _agree(head: Entry, line: Entry, word: str, invoice: dict[str, Any], header: dict[str, str]) -> None:
    named = f"{header['invoice']} {word!r}"
    if invoice["archived_at"] is not None:
        line.wrong.append(f"{named} is archived")
    head.values["customer_id"] = head.values["customer_id"] or invoice["customer_id"]
    if head.values["customer_id"] != invoice["customer_id"]:
        line.wrong.append(f"{named} is an invoice of another customer")
    head.values["currency"] = head.values.get("currency") or invoice["currency"]
    if head.values["currency"] != invoice["currency"]:
        line.wrong.append(f"{named} is in {invoice['currency']}, and the payment in {head.values['currency']}")


def _put(one: Document, job: Job, rates: Rates, optional: list[str], header: dict[str, str]) -> None:
    """Set a payment's row and its allocations, one an invoice."""
    head = one.head.values
    currency = head.get("currency") or job.plan.currency or job.who.currency
    shares: dict[int, Decimal] = {}
    for line in one.lines:
        share = line.values["allocated"]
        if share <= 0 or share != rounded(share, currency):
            line.wrong.append(
                f"{header.get('allocated', header['amount'])} is {share}, no amount to pay in {currency}"
            )
        shares[line.values["invoice_id"]] = shares.get(line.values["invoice_id"], Decimal(0)) + share
    amount, allocated = head["amount"], sum(shares.values(), Decimal(0))
    if amount <= 0 or amount >= MOST or amount != rounded(amount, currency):
        one.head.wrong.append(f"{header['amount']} is {amount}, no amount to pay in {currency}")
    elif allocated > amount:
        one.head.wrong.append(f"{allocated} goes to invoices, but only {amount} was received")
    settle([one])
    at = datetime.combine(head["received_on"], time(12), ZoneInfo(job.who.timezone))
    one.rows = [{"invoice_id": number, "amount": share} for number, share in shares.items()]
    one.row = {
        "customer_id": head["customer_id"],
        "currency": currency,
        "amount": amount,
        "base_amount": rates.in_base(amount, currency, at),
        "allocated_total": allocated,
        "received_on": head["received_on"],
        **{name: head[name] for name in optional},
    }
    if "method" in one.row:
        one.row["method"] = one.row["method"] or "transfer"


def _bring(
    work: Receipts,
    one: Document,
    known: Known | None,
    there: Stored,
    open_books: Books,
    left: dict[int, Decimal],
    header: dict[str, str],
) -> None:
    """Take a payment in while its invoices are open by as much; one that was taken back since stays so."""
    old = there.get(known.id, {}) if known else {}
    if known is not None:
        if known.values["amount"] == one.row["amount"]:
            one.row["base_amount"] = known.values["base_amount"]
        same = all(known.values[name] == value for name, value in one.row.items())
        if known.values["archived_at"] is not None or (same and not work.parts.differ(one.rows, old)):
            work.counts.unchanged += 1
            return
    days = [one.row["received_on"], *([known.values["received_on"]] if known else [])]
    open_books.refuse(one.head, header["received_on"], *days)
    by = {row["invoice_id"]: row["amount"] for row in one.rows}
    for number, row in old.items():
        by[number] = by.get(number, Decimal(0)) - row["amount"]
    for line in one.lines:
        number = line.values["invoice_id"]
        if by[number] > left[number] and not line.wrong:
            free = max(left[number] + (old[number]["amount"] if number in old else 0), Decimal(0))
            said = f"pays more than is open of {header['invoice']} {line.values['invoice']!r}: {free.normalize():f}"
            line.wrong.append(said)
    settle([one])
    if one.is_wrong():
        return
    for number, change in by.items():
        work.paid[number] = work.paid.get(number, Decimal(0)) + change
        if number in left:
            left[number] -= change
    work.payments.bring(one.external, one.row, known)
    if known is None:
        work.parts.fresh[one.external] = one.rows
        return
    work.parts.replace(known.id, one.rows, old)
    work.counts.updated += 1
