"""All records of a demo org as values, the same for the same day: nothing here knows a database."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from . import agenda, desk, goods, parties, quotations, receipts, selling, trade
from .staff import DEMO, OTHER, Org

SEED = 20_240_229
"""Of the chance that draws the records; another one makes another demo."""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """The records of one org; what belongs to a customer names it by its place in `parties`."""

    org: Org
    parties: list[parties.Party]
    goods: list[goods.Good]
    rates: list[Row]
    deals: list[trade.Deal]
    quotations: list[quotations.Quotation]
    credits: list[receipts.Credit]
    receipts: list[receipts.Receipt]
    cases: list[desk.Case]
    tasks: list[tuple[int | None, str, Row]]
    activities: list[tuple[int, Row]]
    notes: list[tuple[int, Row]]
    taxes: list[Row]
    settings: Row
    selling: selling.Selling


def demo(today: date) -> Scene:
    """Return the furniture dealer's records, the last of them of the day before `today`."""
    chance = Random(SEED)  # noqa: S311 - the same demo everywhere is the point
    people = parties.parties(chance)
    sold = goods.goods(chance)
    rates = trade.rates(today)
    market = trade.Market(
        today,
        DEMO.timezone,
        DEMO.currency,
        sold,
        rates,
        tuple(m.name for m in DEMO.members if m.role == "sales"),
    )
    names = [party.customer["name"] for party in people]
    special = names.index("John Smith")
    deals = trade.deals(chance, market, len(people), 900, special=special)
    trade.numbered(deals)
    raised = desk.issues(chance, today, len(people), 160, [good.name for good in sold])
    activities = desk.activities(chance, today, len(people), 620)
    notes = desk.notes(chance, len(people), 180, planted=names.index("J. Smith Inc"))
    _extend_credit(chance, people)
    trade.ended(chance, deals)
    return Scene(
        DEMO,
        people,
        sold,
        rates,
        deals,
        quotations.quotations(chance, market, deals, len(people), 80),
        receipts.credits(chance, market, deals, spared=special),
        receipts.receipts(chance, market, deals, on_account=5),
        desk.cases(chance, today, raised, deals, sold, ("sue@demo.example", "sue@demo.example", "olga@demo.example")),
        agenda.tasks(chance, today, DEMO.members, names, 120),
        activities,
        notes,
        _taxes(today),
        _settings(today, "Northlight Furniture", "hello@northlight.example"),
        selling.selling(Random(SEED + 2), today, people, rates[-1]["rate"], 180, _met(activities, today)),  # noqa: S311
    )


def other(today: date) -> Scene:
    """Return the neighbour's records, some of whose customers bear the names of the demo's."""
    chance = Random(SEED + 1)  # noqa: S311
    people = parties.neighbours(chance, parties.parties(Random(SEED)))  # noqa: S311
    sold = goods.goods(chance)[:20]
    market = trade.Market(today, OTHER.timezone, OTHER.currency, sold, [], (OTHER.members[0].name,))
    deals = trade.deals(chance, market, len(people), 100)
    trade.numbered(deals)
    raised = desk.issues(chance, today, len(people), 15, [good.name for good in sold])
    activities = desk.activities(chance, today, len(people), 60)
    notes = desk.notes(chance, len(people), 20, planted=None)
    _extend_credit(chance, people)
    trade.ended(chance, deals)
    return Scene(
        OTHER,
        people,
        sold,
        [],
        deals,
        quotations.quotations(chance, market, deals, len(people), 8),
        receipts.credits(chance, market, deals),
        receipts.receipts(chance, market, deals, on_account=1),
        desk.cases(chance, today, raised, deals, sold, (OTHER.members[0].email,)),
        agenda.tasks(chance, today, OTHER.members, [party.customer["name"] for party in people], 10),
        activities,
        notes,
        _taxes(today),
        _settings(today, "Harbour Supplies", "office@harbour.example"),
        selling.selling(Random(SEED + 3), today, people, None, 20, _met(activities, today)),  # noqa: S311
    )


def _met(activities: list[tuple[int, Row]], today: date) -> frozenset[int]:
    """Return the places of customers whom somebody met within the last five weeks."""
    since = today - timedelta(weeks=5)
    return frozenset(customer for customer, row in activities if row["happened_at"].date() >= since)


def _extend_credit(chance: Random, people: list[parties.Party]) -> None:
    """Agree a credit limit with two in three companies."""
    for party in people:
        agreed = party.customer["kind"] == "organization" and chance.random() < 0.67
        limit = Decimal(chance.choice((2_500, 5_000, 10_000, 25_000))) if agreed else None
        party.customer["credit_limit"] = limit


def _taxes(today: date) -> list[Row]:
    since = date(today.year - 3, 1, 1)
    return [
        {"zone": zone, "tax_class": "standard", "rate": rate, "valid_from": since}
        for zone, rate in (("domestic", goods.TAX), ("eu_business", Decimal(0)), ("export", Decimal(0)))
    ]


def _settings(today: date, sender: str, email: str) -> Row:
    """Return how the org works; its books are closed through the end of the month before last."""
    last_month = today.replace(day=1) - timedelta(days=1)
    closed = last_month.replace(day=1) - timedelta(days=1)
    return {"books_closed_through": closed, "sender_name": sender, "sender_email": email}
