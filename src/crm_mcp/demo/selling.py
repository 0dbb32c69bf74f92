"""Deals and leads, and how they came through the pipelines in the last fourteen months."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random

from . import leads
from .journeys import Journey, Row, Selling, Stop, moment, unpaid, working
from .leads import SOURCES, WHAT
from .parties import Party

DAYS = 420
"""How long ago the first deal began; most have ended by now."""
WAY = (("Lead", 6.0, 0.78), ("Qualified", 9.0, 0.74), ("Demo", 11.0, 0.80), ("Proposal", 27.0, 0.70))
"""The stages of a sale: how many days one takes on average, and which share goes on from it."""
_STATED = {
    "Lead": ("company_identified",),
    "Qualified": ("has_budget_confirmed",),
    "Demo": ("demo_held",),
    "Proposal": ("terms_agreed",),
}
_WHY_LOST = ("Too expensive", "Chose a competitor", "No budget this year", "No answer any more", "Delivery too late")
_WHY = {
    "Qualified": ("Budget and dates are known.", "Decision maker on the phone."),
    "Demo": ("Visits the showroom.", "Samples are on their way."),
    "Proposal": ("Asked for terms in writing.", "Liked what they saw."),
    "Customer": ("Signed.", "Order confirmed by e-mail."),
}
_INDUSTRIES = ("Hospitality", "Retail", "Software", "Public administration", "Health care", "Education", "Consulting")
_TECHNOLOGIES = ("SAP", "Salesforce", "Shopify", "Microsoft 365", "Odoo", "DATEV")
HELD_UP = (80_000, 50_000, 45_000, 40_000, 35_000)
"""What the deals are worth that wait and wait, in euros."""
_TOUCHES = ("call", "email", "email", "meeting", "visit")
_SAID = {
    "call": "Talked about the offer",
    "email": "Sent details",
    "meeting": "Went through the plans",
    "visit": "Measured the rooms",
}


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


def selling(
    chance: Random, today: date, parties: list[Party], rate: Decimal | None, count: int, met: frozenset[int]
) -> Selling:
    """Return `count` deals with a third as many leads.

    `rate` is what a US dollar is worth, for the few sold in dollars; `met` are customers whom somebody met lately.
    """
    firms = [at for at, party in enumerate(parties) if party.customer["kind"] == "organization"]
    market = leads.Market(today, parties, firms)
    made = Selling([], [], [])
    for number in range(count):
        _deal(chance, market, rate, number, made)
    for number in range(count // 4):
        leads.opportunity(chance, market, number, made)
    for number in range(count // 12):
        leads.job(chance, market, number, made)
    for number in range(count // 20):
        leads.partnership(chance, market, number, made)
    _aftermath(chance, today, made)
    _hold_up(chance, today, made, met)
    return made


def _deal(chance: Random, market: leads.Market, rate: Decimal | None, number: int, made: Selling) -> None:
    customer, today = chance.choice(market.firms), market.today
    party = market.parties[customer]
    amount = Decimal(int(min(60_000, max(300, chance.lognormvariate(8.3, 0.9)))) // 10 * 10)
    dollars = rate is not None and party.customer["country"] == "United States"
    warmth = chance.random()
    # every fourth is of the last weeks, so that enough are still open
    began = moment(chance, today, 2 + int((50 if number % 4 == 0 else DAYS - 2) * chance.random()))
    stops, touches, ended = _through(chance, today, began, warmth)
    won = ended and stops[-1].stage == "Customer"
    status = "open" if not ended else "won" if won else "lost"
    last = stops[-1].at
    row = {
        "name": f"{chance.choice(WHAT)}, {party.customer['name']}",
        "status": status,
        "amount": amount,
        "currency": "USD" if dollars else "EUR",
        "base_amount": (amount * rate).quantize(Decimal("0.01")) if dollars and rate is not None else amount,
        "expected_close_on": (began + timedelta(days=chance.randrange(30, 80))).date(),
        "closed_at": last if ended else None,
        "signed_on": last.date() if won else None,
        "lost_reason": chance.choice(_WHY_LOST) if status == "lost" else None,
        "source": chance.choice(SOURCES),
    }
    made.deals.append((customer, chance.randrange(len(party.contacts)), row))
    where = unpaid(chance, today, warmth, last, ended)
    made.journeys.append(Journey("Sales", stops, customer, number, None, where, touches))


def _through(chance: Random, today: date, began: datetime, warmth: float) -> tuple[list[Stop], list[Row], bool]:
    """Return the stages a deal came to by yesterday, what happened about it, and whether it has ended.

    Who is warm goes on more often and is met more often; who hesitates long is lost more often.
    """
    now = datetime.combine(today - timedelta(days=1), time(17, tzinfo=UTC))
    stops, touches, at = [Stop("Lead", began)], list[Row](), began
    for step, (_, days, share) in enumerate(WAY):
        pace = chance.lognormvariate(-0.15, 0.55)
        leaves = working(chance, at + timedelta(days=max(0.2, days * pace)))
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


def _aftermath(chance: Random, today: date, made: Selling) -> None:
    """Put the customers of the latest sales into onboarding, and a few into support."""
    seen: set[int] = set()
    sold = [way for way in made.journeys if way.pipeline == "Sales" and way.stops[-1].stage == "Customer"]
    for way in sorted(sold, key=lambda way: way.stops[-1].at, reverse=True)[: len(sold) // 3]:
        assert way.customer is not None
        if way.customer in seen:
            continue
        seen.add(way.customer)
        last = moment(chance, today, 1)
        stops, at = list[Stop](), way.stops[-1].at
        for name, days in (("Kick-off", 4), ("Setup", 14), ("Training", 8), ("Live", 0)):
            at = working(chance, at + timedelta(days=1 + chance.random()))
            if at > last:
                break
            stops.append(Stop(name, at))
            at += timedelta(days=days * (0.5 + chance.random()))
        if stops:
            made.journeys.append(_unworthy("Onboarding", stops, way.customer, chance, today))
            if len(seen) % 4 == 0:
                first = Stop("New", working(chance, stops[0].at + timedelta(hours=30)))
                made.journeys.append(
                    _unworthy(
                        "Support", [first] if first.at < last else [Stop("New", last)], way.customer, chance, today
                    )
                )


def _unworthy(pipeline: str, stops: list[Stop], customer: int, chance: Random, today: date) -> Journey:
    over = stops[-1].stage in ("Live", "Resolved")
    return Journey(pipeline, stops, customer, None, None, unpaid(chance, today, 0.5, stops[-1].at, over), [])


def _hold_up(chance: Random, today: date, made: Selling, met: frozenset[int]) -> None:
    """Let the most advanced open deals of customers whom nobody met lately wait for weeks, past their expected close."""
    waiting = [
        at
        for at, way in enumerate(made.journeys)
        if way.deal is not None
        and way.place["closed_at"] is None
        and way.customer not in met
        and made.deals[way.deal][2]["currency"] == "EUR"
    ]
    order = [name for name, _, _ in WAY]
    waiting.sort(key=lambda at: order.index(made.journeys[at].stops[-1].stage), reverse=True)
    seen: set[int | None] = set()
    for at in waiting:
        way = made.journeys[at]
        if way.customer in seen or len(seen) == len(HELD_UP):
            continue
        amount = Decimal(HELD_UP[len(seen)])
        seen.add(way.customer)
        last = max([way.stops[-1].at, *(touch["happened_at"] for touch in way.touches)])
        # whole weeks keep working days working days
        back = timedelta(weeks=-(-(32 - (today - last.date()).days) // 7) + len(seen) % 2)
        stops = [Stop(stage, moved - back) for stage, moved in way.stops]
        touches = [{**touch, "happened_at": touch["happened_at"] - back} for touch in way.touches]
        silent = (today - (last - back).date()).days
        where = way.place | {
            "scored_at": stops[-1].at,
            "next_follow_up_on": None,
            "risk_factors": [f"Nothing heard for {silent} days"],
        }
        made.journeys[at] = way._replace(stops=stops, touches=touches, place=where)
        assert way.deal is not None
        late = today - timedelta(days=chance.randrange(16, 30))
        made.deals[way.deal][2].update(amount=amount, base_amount=amount, expected_close_on=late)


def criteria_of(stage: str | None) -> Row:
    """Return the criteria that a move kept when it left a stage."""
    named = _STATED.get(stage or "")
    return {"stated": list(named)} if named else {}


def explanation_of(chance: Random, stage: str) -> str | None:
    return chance.choice(_WHY[stage]) if stage in _WHY else None
