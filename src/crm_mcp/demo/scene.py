"""All records of a demo org as values, the same for the same day: nothing here knows a database."""

from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any

from . import desk, goods, parties, trade
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
    issues: list[tuple[int, Row]]
    activities: list[tuple[int, Row]]
    notes: list[tuple[int, Row]]


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
    deals = trade.deals(chance, market, len(people), 900, special=names.index("John Smith"))
    trade.numbered(deals)
    return Scene(
        DEMO,
        people,
        sold,
        rates,
        deals,
        desk.issues(chance, today, len(people), 160, [good.name for good in sold]),
        desk.activities(chance, today, len(people), 620),
        desk.notes(chance, len(people), 180, planted=names.index("J. Smith Inc")),
    )


def other(today: date) -> Scene:
    """Return the neighbour's records, some of whose customers bear the names of the demo's."""
    chance = Random(SEED + 1)  # noqa: S311
    people = parties.neighbours(chance, parties.parties(Random(SEED)))  # noqa: S311
    sold = goods.goods(chance)[:20]
    market = trade.Market(today, OTHER.timezone, OTHER.currency, sold, [], (OTHER.members[0].name,))
    deals = trade.deals(chance, market, len(people), 100)
    trade.numbered(deals)
    return Scene(
        OTHER,
        people,
        sold,
        [],
        deals,
        desk.issues(chance, today, len(people), 15, [good.name for good in sold]),
        desk.activities(chance, today, len(people), 60),
        desk.notes(chance, len(people), 20, planted=None),
    )
