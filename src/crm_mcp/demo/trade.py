"""Two years of orders and invoices."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from .. import ids
from ..crm.pricing import Line, Offer, Total, price
from ..money import rounded
from .goods import TAX, Good

Row = dict[str, Any]
DAYS = 730
OVERDUE = 0.14
"""The share of unpaid invoices among those that fell due in the last 200 days; older ones are settled."""

_WHY_CANCELLED = ("Ordered twice by mistake.", "Could not be delivered in time.", "The customer's budget was cut.")


class Deal(NamedTuple):
    """An order with its lines and its invoice, which name customers, products and orders by their place.

    `customer` and each line's `product_id` count from 0 in their lists.
    """

    customer: int
    order: Row
    lines: list[Row]
    invoice: Row | None


class Market(NamedTuple):
    """Where trade happens: what a day's orders are drawn from."""

    today: date
    zone: str
    base: str
    goods: list[Good]
    rates: list[Row]
    sellers: tuple[str, ...]


def rates(today: date) -> list[Row]:
    """Return what one US dollar was worth in euros: one rate for the older half, one for the newer."""
    return [
        {"currency": "USD", "valid_from": today - timedelta(days=DAYS + 30), "rate": Decimal("0.94150000")},
        {"currency": "USD", "valid_from": today - timedelta(days=DAYS // 2), "rate": Decimal("0.91820000")},
    ]


def deals(chance: Random, market: Market, customers: int, count: int, special: int | None = None) -> list[Deal]:
    """Return `count` orders by date; few customers place most of them.

    `special` is a customer with orders of the last weeks and two overdue invoices.
    """
    order_of_size = list(range(customers))
    chance.shuffle(order_of_size)
    weights = [0.0] * customers
    for rank, customer in enumerate(order_of_size, 1):
        weights[customer] = 1 / rank**0.9
    made: list[Deal] = []
    if special is not None:
        weights[special] = 0
        made = [
            _deal(chance, market, special, age, overdue)
            for age, overdue in ((210, False), (96, True), (61, True), (18, False), (5, False), (2, False))
        ]
    buyers = chance.choices(range(customers), weights, k=count - len(made))
    made += [_deal(chance, market, buyer, _age(chance)) for buyer in buyers]
    made.sort(key=lambda deal: (deal.order["placed_at"], deal.customer))
    return made


def ended(chance: Random, made: list[Deal]) -> None:
    """Say of completed and cancelled orders when they were, and why."""
    for deal in made:
        order = deal.order
        done, gone = order["status"] == "completed", order["status"] == "cancelled"
        order["completed_at"] = order["shipped_at"] + timedelta(days=chance.randrange(1, 4)) if done else None
        order["cancelled_at"] = order["placed_at"] + timedelta(hours=chance.randrange(1, 4)) if gone else None
        order["cancel_reason"] = chance.choice(_WHY_CANCELLED) if gone else None


def numbered(made: list[Deal]) -> int:
    """Number the invoices by their date; return how many there are."""
    invoices = sorted((deal.invoice for deal in made if deal.invoice), key=lambda row: row["issued_on"])
    for number, invoice in enumerate(invoices, 1):
        invoice["number"] = f"INV-{number:05}"
    return len(invoices)


def _age(chance: Random) -> int:
    """Return how many days ago an order was placed: business grew."""
    return 1 + int((DAYS - 1) * chance.random() ** 1.25)


def _deal(chance: Random, market: Market, customer: int, age: int, overdue: bool | None = None) -> Deal:
    placed = _at(chance, market, age)
    total, lines = drawn(chance, market)
    status, shipped = _progress(chance, placed, age) if overdue is None else _delivered(placed, age)
    order: Row = {
        "status": status,
        "currency": total.currency,
        "net_total": total.net,
        "tax_total": total.tax,
        "gross_total": total.gross,
        "base_total": worth(market, total.gross, total.currency, placed.date()),
        "placed_at": placed,
        "shipped_at": shipped,
        "salesperson": chance.choice(market.sellers),
        "comment": None,
    }
    invoice = _invoice(chance, market, total, shipped, overdue) if shipped else None
    return Deal(customer, order, lines, invoice)


def _at(chance: Random, market: Market, age: int) -> datetime:
    hour = time(chance.randrange(8, 18), chance.randrange(60), tzinfo=ZoneInfo(market.zone))
    return datetime.combine(market.today - timedelta(days=age), hour).astimezone(UTC)


def drawn(chance: Random, market: Market) -> tuple[Total, list[Row]]:
    """Return lines of goods of one currency at their prices, and what they cost."""
    imports = [i for i, good in enumerate(market.goods) if good.currency != market.base]
    at_home = [i for i, good in enumerate(market.goods) if good.currency == market.base]
    shelf = imports if imports and chance.random() < 0.05 else at_home
    chosen = chance.sample(shelf, min(len(shelf), chance.choice((1, 2, 2, 3, 3, 4, 5))))
    asked = [
        Line(
            product=ids.show("products", i + 1),
            quantity=chance.choice((1, 1, 2, 2, 3, 4, 6, 8, 12)),
            discount_percent=Decimal(chance.choice((0, 0, 0, 0, 5, 10))),
        )
        for i in chosen
    ]
    total = price(asked, {i + 1: _offer(i + 1, market.goods[i]) for i in chosen})
    return total, [
        {
            "product_id": line.product - 1,
            "position": position,
            "description": line.name,
            "quantity": line.quantity,
            "unit_price": line.unit_price,
            "discount_percent": line.discount_percent,
            "tax_rate": line.tax_rate,
            "net_amount": line.net,
            "tax_amount": line.tax,
        }
        for position, line in enumerate(total.lines, 1)
    ]


def _offer(number: int, good: Good) -> Offer:
    """Return a product as it was offered in its day, which a discontinued one had too."""
    return Offer(number, good.name, good.price, good.currency, TAX, False, good.stock)


def _progress(chance: Random, placed: datetime, age: int) -> tuple[str, datetime | None]:
    shipped = placed + timedelta(days=chance.randrange(2, 7), hours=2)
    if chance.random() < 0.04:
        return "cancelled", None
    if age <= 7:
        return "confirmed", None
    if age <= 16:
        return chance.choice((("confirmed", None), ("shipped", shipped), ("shipped", shipped)))
    return "completed", shipped


def _delivered(placed: datetime, age: int) -> tuple[str, datetime | None]:
    return ("confirmed", None) if age <= 7 else ("completed", placed + timedelta(days=3))


def _invoice(chance: Random, market: Market, total: Total, shipped: datetime, overdue: bool | None) -> Row:
    issued, today = shipped.date(), market.today
    due = issued + timedelta(days=30)
    if overdue is None:
        overdue = due < today and today - due < timedelta(days=200) and chance.random() < OVERDUE
    paid = total.gross
    if overdue:
        paid = rounded(total.gross / 3, total.currency) if chance.random() < 0.25 else Decimal(0)
    elif due >= today and chance.random() < 0.6:
        paid = Decimal(0)
    return {
        "currency": total.currency,
        "net_total": total.net,
        "tax_total": total.tax,
        "gross_total": total.gross,
        "base_total": worth(market, total.gross, total.currency, issued),
        "paid_total": paid,
        "credited_total": Decimal(0),
        "issued_on": issued,
        "due_on": due,
    }


def totals(market: Market, gross: Decimal, currency: str, moment: datetime) -> Row:
    """Return a gross total with what it was worth then."""
    return {"gross_total": gross, "base_total": worth(market, gross, currency, moment.date())}


def worth(market: Market, amount: Decimal, currency: str, day: date) -> Decimal:
    """Return an amount in the base currency by the rate of a day."""
    if currency == market.base:
        return amount
    known = [row["rate"] for row in market.rates if row["currency"] == currency and row["valid_from"] <= day]
    return rounded(amount * known[-1], market.base)
