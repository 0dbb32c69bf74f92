"""What came in for the invoices, and what was taken back of some."""

from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

from ..money import rounded
from .trade import Deal, Market, worth

Row = dict[str, Any]
CREDITED = 0.012
"""The share of paid invoices of which a tenth was taken back."""
_METHODS = ("transfer", "transfer", "transfer", "transfer", "card", "direct_debit", "cheque")
_WHY = (
    "Scratched on arrival; 10 % off agreed on the phone.",
    "Delivered a week late; 10 % off as agreed.",
    "Two pieces in the wrong finish, kept at a discount.",
)


class Receipt(NamedTuple):
    """A payment of the customer at a place, and how much of it paid the invoice of which deal."""

    customer: int
    payment: Row
    allocations: list[tuple[int, Decimal]]


class Credit(NamedTuple):
    """A credit note on the invoice of a deal."""

    deal: int
    note: Row


def credits(chance: Random, market: Market, deals: list[Deal], spared: int | None = None) -> list[Credit]:
    """Take back a tenth of some paid invoices, which were paid by that much less; `spared` is a customer."""
    made: list[Credit] = []
    for at, deal in enumerate(deals):
        bill = deal.invoice
        if bill is None or bill["paid_total"] != bill["gross_total"] or deal.customer == spared:
            continue
        issued = bill["issued_on"] + timedelta(days=chance.randrange(4, 12))
        if chance.random() >= CREDITED or issued >= market.today:
            continue
        net, tax = (rounded(bill[name] / 10, bill["currency"]) for name in ("net_total", "tax_total"))
        bill["paid_total"] -= net + tax
        bill["credited_total"] = net + tax
        note: Row = {
            "currency": bill["currency"],
            "net_total": net,
            "tax_total": tax,
            "gross_total": net + tax,
            "base_total": worth(market, net + tax, bill["currency"], issued),
            "issued_on": issued,
            "explanation": chance.choice(_WHY),
        }
        made.append(Credit(at, note))
    return sorted(made, key=lambda credit: credit.note["issued_on"])


def receipts(chance: Random, market: Market, deals: list[Deal], on_account: int) -> list[Receipt]:
    """Return payments whose allocations are exactly what is paid of each invoice, and some that await an invoice."""
    made: list[Receipt] = []
    for at, deal in enumerate(deals):
        bill = deal.invoice
        if bill is None or not bill["paid_total"]:
            continue
        latest = (market.today - bill["issued_on"]).days - 1
        days = min(latest, chance.choice((7, 14, 21, 28, 29, 30, 32, 38)) + chance.randrange(-3, 4))
        parts = [bill["paid_total"]]
        if chance.random() < 0.06 and parts[0] > 300:
            half = rounded(parts[0] / 2, bill["currency"])
            parts = [half, parts[0] - half]
        for number, part in enumerate(parts):
            day = bill["issued_on"] + timedelta(days=min(latest, days + 12 * number))
            paid = _payment(chance, market, bill["currency"], part, day, bill["number"])
            made.append(Receipt(deal.customer, {**paid, "allocated_total": part}, [(at, part)]))
    for _ in range(on_account):
        day = market.today - timedelta(days=chance.randrange(2, 40))
        amount = Decimal(chance.randrange(2, 15) * 100)
        paid = _payment(chance, market, market.base, amount, day, "advance")
        made.append(Receipt(chance.choice(deals).customer, paid, []))
    return sorted(made, key=lambda receipt: receipt.payment["received_on"])


def _payment(chance: Random, market: Market, currency: str, amount: Decimal, day: date, reference: str) -> Row:
    return {
        "currency": currency,
        "amount": amount,
        "base_amount": worth(market, amount, currency, day),
        "allocated_total": Decimal(0),
        "received_on": day,
        "method": chance.choice(_METHODS),
        "reference": reference,
    }
