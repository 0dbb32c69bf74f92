"""A record's way through a pipeline in the demo: its stages in time, and how it was scored there."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

Row = dict[str, Any]


class Stop(NamedTuple):
    """A stage that a record came to, and when."""

    stage: str
    at: datetime


class Journey(NamedTuple):
    """A record's way through a pipeline. `deal` and `lead` are places in their lists, of which at most one is meant.

    `customer` is a place in the parties; `touches` are activities about the record.
    """

    pipeline: str
    stops: list[Stop]
    customer: int | None
    deal: int | None
    lead: int | None
    place: Row
    touches: list[Row]


class Selling(NamedTuple):
    """What is sold and how: deals with the place of customer and contact, leads with their customer and part."""

    deals: list[tuple[int, int, Row]]
    leads: list[tuple[int | None, Row, str | None, Row]]
    journeys: list[Journey]


def place(chance: Random, today: date, warmth: float, last: datetime, ended: bool) -> Row:
    """Return the score and plans of a record in its pipeline."""
    factors = {
        name: float(min(100, max(0, round(100 * (0.15 + 0.7 * warmth) + chance.gauss(0, 12)))))
        for name in ("engagement", "fit", "intent", "timing")
    }
    waits = (today - last.date()).days
    return {
        "closed_at": last if ended else None,
        "score": Decimal(str(sum(factors.values()) / 4)),
        "factors": factors,
        "reasons": ["Answers within a day"] if warmth > 0.66 else ["Hard to reach"] if warmth < 0.33 else [],
        "score_confidence": Decimal(str(round(0.7 + 0.25 * chance.random(), 2))),
        "scored_at": last,
        "next_follow_up_on": None
        if ended or chance.random() < 0.4
        else today + timedelta(days=chance.randrange(-3, 12)),
        "risk_factors": [f"Nothing heard for {waits} days"] if not ended and waits > 30 else [],
    }


def unpaid(chance: Random, today: date, warmth: float, last: datetime, ended: bool) -> Row:
    """Return the score and plans of a record that is worth nothing there itself."""
    return place(chance, today, warmth, last, ended) | {"amount": None, "currency": None, "base_amount": None}


def moment(chance: Random, today: date, age: int) -> datetime:
    """Return a moment of the working hours of the day `age` days ago."""
    at = time(chance.randrange(7, 17), chance.randrange(60), tzinfo=UTC)
    return datetime.combine(today - timedelta(days=age), at)


def working(chance: Random, earliest: datetime) -> datetime:
    """Return the first moment from `earliest` on at a time of the working hours, on no weekend."""
    at = time(chance.randrange(7, 17), chance.randrange(60), tzinfo=UTC)
    day = earliest.date()
    if datetime.combine(day, at) < earliest:
        day += timedelta(days=1)
    return datetime.combine(day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0), at)
