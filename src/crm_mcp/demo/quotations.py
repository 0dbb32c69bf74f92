"""Quotes: those that became orders, and those that are open, expired or declined."""

from datetime import datetime, time, timedelta
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from .trade import Deal, Market, drawn, totals

Row = dict[str, Any]
VALID = 30
_LOST = (
    "Price",
    "Price",
    "Price",
    "Delivery time",
    "Chose a competitor",
    "Project postponed",
    "Wanted another finish",
)


class Quotation(NamedTuple):
    """A quote to the customer at a place with its lines; `deal` is the place of the order it became."""

    customer: int
    quote: Row
    lines: list[Row]
    deal: int | None


def quotations(chance: Random, market: Market, deals: list[Deal], customers: int, count: int) -> list[Quotation]:
    """Return `count` quotes by date: four in ten accepted, one in four declined, the rest open or expired."""
    standing = [at for at, deal in enumerate(deals) if deal.order["status"] != "cancelled"]
    recent = sorted(standing, key=lambda at: deals[at].order["placed_at"])[-count * 4 :]
    accepted = chance.sample(recent, count * 2 // 5)
    made = [_accepted(chance, market, deals[at], at) for at in accepted]
    for number in range(count - len(made)):
        age = chance.randrange(1, VALID) if number % 5 < 2 else chance.randrange(VALID + 2, 300)
        made.append(_undecided(chance, market, chance.randrange(customers), age, declined=number % 5 in (1, 2)))
    return sorted(made, key=lambda quotation: quotation.quote["quoted_at"])


def _accepted(chance: Random, market: Market, deal: Deal, at: int) -> Quotation:
    order = deal.order
    quoted = order["placed_at"] - timedelta(days=chance.randrange(1, 21), minutes=chance.randrange(50))
    quote = {
        **{name: order[name] for name in ("currency", "net_total", "tax_total", "gross_total", "salesperson")},
        **_dated(market, quoted),
        "base_total": totals(market, order["gross_total"], order["currency"], quoted)["base_total"],
        "status": "accepted",
        "decided_at": order["placed_at"],
        "lost_reason": None,
    }
    return Quotation(deal.customer, quote, deal.lines, at)


def _undecided(chance: Random, market: Market, customer: int, age: int, *, declined: bool) -> Quotation:
    total, lines = drawn(chance, market)
    hour = time(chance.randrange(8, 18), chance.randrange(60), tzinfo=ZoneInfo(market.zone))
    quoted = datetime.combine(market.today - timedelta(days=age), hour)
    decided = quoted + timedelta(days=chance.randrange(1, min(age, VALID))) if age > 1 else quoted
    quote: Row = {
        "currency": total.currency,
        "net_total": total.net,
        "tax_total": total.tax,
        **totals(market, total.gross, total.currency, quoted),
        "salesperson": chance.choice(market.sellers),
        **_dated(market, quoted),
        "status": "declined" if declined else "open",
        "decided_at": decided if declined else None,
        "lost_reason": chance.choice(_LOST) if declined else None,
    }
    return Quotation(customer, quote, lines, None)


def _dated(market: Market, quoted: datetime) -> Row:
    day = quoted.astimezone(ZoneInfo(market.zone)).date()
    return {"quoted_at": quoted, "valid_until": day + timedelta(days=VALID)}
