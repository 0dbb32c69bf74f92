"""Deals and leads, and how they came through the pipelines in the last fourteen months."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

from .parties import Party

Row = dict[str, Any]
DAYS = 420
"""How long ago the first deal began; most have ended by now."""
WAY = (("Lead", 6.0, 0.78), ("Qualified", 9.0, 0.74), ("Demo", 11.0, 0.80), ("Proposal", 18.0, 0.70))
"""The stages of a sale: how many days one takes on average, and which share goes on from it."""
_STATED = {
    "Lead": ("company_identified",),
    "Qualified": ("has_budget_confirmed",),
    "Demo": ("demo_held",),
    "Proposal": ("terms_agreed",),
}
_WHAT = (
    "Office refit",
    "Reception furniture",
    "Meeting rooms",
    "Canteen seating",
    "Standing desks",
    "Hotel rooms",
    "Lounge",
    "Storage",
)
_SOURCES = ("website", "trade fair", "referral", "phone", "existing customer", "showroom")
_WHY_LOST = ("Too expensive", "Chose a competitor", "No budget this year", "No answer any more", "Delivery too late")
_WHY = {
    "Qualified": ("Budget and dates are known.", "Decision maker on the phone."),
    "Demo": ("Visits the showroom.", "Samples are on their way."),
    "Proposal": ("Asked for terms in writing.", "Liked what they saw."),
    "Customer": ("Signed.", "Order confirmed by e-mail."),
}
_INDUSTRIES = ("Hospitality", "Retail", "Software", "Public administration", "Health care", "Education", "Consulting")
_TECHNOLOGIES = ("SAP", "Salesforce", "Shopify", "Microsoft 365", "Odoo", "DATEV")
_TOUCHES = ("call", "email", "email", "meeting", "visit")
_SAID = {
    "call": "Talked about the offer",
    "email": "Sent details",
    "meeting": "Went through the plans",
    "visit": "Measured the rooms",
}


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


def organization(chance: Random, party: Party) -> Row:
    """Return the organization that a customer is."""
    known = party.customer
    return {
        **{
            name: known[name]
            for name in ("name", "domain", "email", "phone", "street", "city", "region", "postal_code", "country")
        },
        "website": f"https://www.{known['domain']}" if known["domain"] else None,
        "industry": chance.choice(_INDUSTRIES),
        "employees": int(min(20_000, chance.lognormvariate(4.2, 1.2))) + 1,
        "technologies": sorted(chance.sample(_TECHNOLOGIES, chance.randrange(3))),
    }


def individual(party: Party) -> Row:
    """Return the individual that a private customer is."""
    return {
        name: party.customer[name]
        for name in ("name", "email", "phone", "street", "city", "region", "postal_code", "country")
    }


def selling(chance: Random, today: date, parties: list[Party], rate: Decimal | None, count: int) -> Selling:
    """Return `count` deals with a third as many leads. `rate` is what a US dollar is worth, for the few sold in dollars."""
    firms = [at for at, party in enumerate(parties) if party.customer["kind"] == "organization"]
    made = Selling([], [], [])
    for number in range(count):
        _deal(chance, today, parties, firms, rate, number, made)
    for number in range(count // 4):
        _lead(chance, today, parties, firms, number, made)
    for number in range(count // 20):
        _partner(chance, today, parties, firms, number, made)
    _aftermath(chance, today, made)
    return made


def _deal(
    chance: Random,
    today: date,
    parties: list[Party],
    firms: list[int],
    rate: Decimal | None,
    number: int,
    made: Selling,
) -> None:
    customer = chance.choice(firms)
    party = parties[customer]
    amount = Decimal(int(min(60_000, max(300, chance.lognormvariate(8.3, 0.9)))) // 10 * 10)
    dollars = rate is not None and party.customer["country"] == "United States"
    warmth = chance.random()
    # every fourth is of the last weeks, so that enough are still open
    began = _moment(chance, today, 2 + int((50 if number % 4 == 0 else DAYS - 2) * chance.random()))
    stops, touches, ended = _through(chance, today, began, warmth)
    won = ended and stops[-1].stage == "Customer"
    status = "open" if not ended else "won" if won else "lost"
    last = stops[-1].at
    row = {
        "name": f"{chance.choice(_WHAT)}, {party.customer['name']}",
        "status": status,
        "amount": amount,
        "currency": "USD" if dollars else "EUR",
        "base_amount": (amount * rate).quantize(Decimal("0.01")) if dollars and rate is not None else amount,
        "expected_close_on": (began + timedelta(days=chance.randrange(30, 80))).date(),
        "closed_at": last if ended else None,
        "signed_on": last.date() if won else None,
        "lost_reason": chance.choice(_WHY_LOST) if status == "lost" else None,
        "source": chance.choice(_SOURCES),
    }
    made.deals.append((customer, chance.randrange(len(party.contacts)), row))
    place = _place(chance, today, warmth, last, ended) | {"amount": None, "currency": None, "base_amount": None}
    made.journeys.append(Journey("Sales", stops, customer, number, None, place, touches))


def _through(chance: Random, today: date, began: datetime, warmth: float) -> tuple[list[Stop], list[Row], bool]:
    """Return the stages a deal came to by yesterday, what happened about it, and whether it has ended.

    Who is warm goes on more often and is met more often; who hesitates long is lost more often.
    """
    now = datetime.combine(today - timedelta(days=1), time(17, tzinfo=UTC))
    stops, touches, at = [Stop("Lead", began)], list[Row](), began
    for step, (_, days, share) in enumerate(WAY):
        pace = chance.lognormvariate(-0.15, 0.55)
        leaves = _working(chance, at + timedelta(days=max(0.2, days * pace)))
        for _ in range(chance.randrange(1 + round(2.4 * warmth + 0.4))):
            kind = chance.choice(_TOUCHES)
            touches.append(
                {
                    "kind": kind,
                    "subject": _SAID[kind],
                    "direction": chance.choice(("in", "out")) if kind in ("call", "email") else None,
                    "happened_at": min(now, at + (leaves - at) * chance.random()),
                }
            )
        if leaves > now:
            return stops, touches, False
        goes_on = chance.random() < share + 0.22 * (warmth - 0.5) - 0.10 * max(0.0, pace - 1.2)
        following = WAY[step + 1][0] if step + 1 < len(WAY) else "Customer"
        stops.append(Stop(following if goes_on else "Lost", leaves))
        if not goes_on or following == "Customer":
            return stops, touches, True
        at = leaves
    raise AssertionError


def _lead(chance: Random, today: date, parties: list[Party], firms: list[int], number: int, made: Selling) -> None:
    """Add an opportunity that is no deal yet: two in three newly arrived, the others qualified, some without a budget."""
    customer = chance.choice(firms)
    qualified = number % 3 == 0
    warmth = chance.random()
    began = _moment(chance, today, 3 + int(25 * chance.random()))
    stops = [Stop("Lead", began)]
    if qualified:
        stops.append(Stop("Qualified", _working(chance, began + timedelta(days=1 + chance.random()))))
    amount = Decimal(int(min(9_900, max(300, chance.lognormvariate(7.6, 0.6)))) // 10 * 10)
    row = {
        "kind": "opportunity",
        "name": f"{chance.choice(_WHAT)} for {parties[customer].customer['name']}",
        "status": "qualified" if qualified else "new",
        "source": chance.choice(_SOURCES),
        "contacted_at": stops[-1].at,
        "converted_at": None,
        "lost_reason": None,
    }
    part = {
        "amount": amount,
        "currency": "EUR",
        "expected_close_on": today + timedelta(days=chance.randrange(20, 120)),
        "budget_confirmed": None if number % 9 == 0 else True if qualified else None,
        "decision_maker": parties[customer].contacts[0]["name"] if qualified else None,
        "timeline": "this quarter" if qualified else None,
    }
    at = len(made.leads)
    made.leads.append((customer, row, "opportunity", part))
    place = _place(chance, today, warmth, stops[-1].at, False)
    place |= {"amount": amount, "currency": "EUR", "base_amount": amount}
    made.journeys.append(Journey("Sales", stops, customer, None, at, place, []))


def _partner(chance: Random, today: date, parties: list[Party], firms: list[int], number: int, made: Selling) -> None:
    customer = chance.choice(firms)
    began = _moment(chance, today, 10 + int(200 * chance.random()))
    names = ("Application", "Review", "Training", "Active")[: 1 + number % 4]
    stops, at = list[Stop](), began
    for name in names:
        stops.append(Stop(name, at))
        at = min(_working(chance, at + timedelta(days=5 + 20 * chance.random())), _moment(chance, today, 1))
    over = names[-1] == "Active"
    row = {
        "kind": "partnership",
        "name": f"Reseller in {parties[customer].customer['country']}: {parties[customer].customer['name']}",
        "status": "converted" if over else "contacted",
        "source": "website",
        "contacted_at": began,
        "converted_at": stops[-1].at if over else None,
        "lost_reason": None,
    }
    lead = len(made.leads)
    made.leads.append(
        (customer, row, "partnership", {"type": "reseller", "territory": parties[customer].customer["country"]})
    )
    place = _place(chance, today, 0.5, stops[-1].at, over) | {"amount": None, "currency": None, "base_amount": None}
    made.journeys.append(Journey("Partner", stops, customer, None, lead, place, []))


def _aftermath(chance: Random, today: date, made: Selling) -> None:
    """Put the customers of the latest sales into onboarding, and a few into support."""
    seen: set[int] = set()
    sold = [way for way in made.journeys if way.pipeline == "Sales" and way.stops[-1].stage == "Customer"]
    for way in sorted(sold, key=lambda way: way.stops[-1].at, reverse=True)[: len(sold) // 3]:
        assert way.customer is not None
        if way.customer in seen:
            continue
        seen.add(way.customer)
        last = _moment(chance, today, 1)
        stops, at = list[Stop](), way.stops[-1].at
        for name, days in (("Kick-off", 4), ("Setup", 14), ("Training", 8), ("Live", 0)):
            at = _working(chance, at + timedelta(days=1 + chance.random()))
            if at > last:
                break
            stops.append(Stop(name, at))
            at += timedelta(days=days * (0.5 + chance.random()))
        if stops:
            made.journeys.append(_unpaid("Onboarding", stops, way.customer, chance, today))
            if len(seen) % 4 == 0:
                first = Stop("New", _working(chance, stops[0].at + timedelta(hours=30)))
                made.journeys.append(
                    _unpaid(
                        "Support", [first] if first.at < last else [Stop("New", last)], way.customer, chance, today
                    )
                )


def _unpaid(pipeline: str, stops: list[Stop], customer: int, chance: Random, today: date) -> Journey:
    over = stops[-1].stage in ("Live", "Resolved")
    place = _place(chance, today, 0.5, stops[-1].at, over) | {"amount": None, "currency": None, "base_amount": None}
    return Journey(pipeline, stops, customer, None, None, place, [])


def _place(chance: Random, today: date, warmth: float, last: datetime, ended: bool) -> Row:
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


def criteria_of(stage: str | None) -> Row:
    """Return the criteria that a move kept when it left a stage."""
    named = _STATED.get(stage or "")
    return {"stated": list(named)} if named else {}


def explanation_of(chance: Random, stage: str) -> str | None:
    return chance.choice(_WHY[stage]) if stage in _WHY else None


def _moment(chance: Random, today: date, age: int) -> datetime:
    at = time(chance.randrange(7, 17), chance.randrange(60), tzinfo=UTC)
    return datetime.combine(today - timedelta(days=age), at)


def _working(chance: Random, moment: datetime) -> datetime:
    """Return a moment of the working hours of that day, or of the Monday after a weekend."""
    day = moment.date() + timedelta(days=max(0, 7 - moment.weekday()) if moment.weekday() > 4 else 0)
    at = datetime.combine(day, time(chance.randrange(7, 17), chance.randrange(60), tzinfo=UTC))
    return max(at, moment)
