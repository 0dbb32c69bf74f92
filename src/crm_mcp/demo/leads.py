"""Leads of the demo orgs: opportunities, jobs for the dealer's planners, and partnerships."""

from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import NamedTuple

from .journeys import Journey, Selling, Stop, moment, place, unpaid, working
from .parties import Party

SOURCES = ("website", "trade fair", "referral", "phone", "existing customer", "showroom")
WHAT = (
    "Office refit",
    "Reception furniture",
    "Meeting rooms",
    "Canteen seating",
    "Standing desks",
    "Hotel rooms",
    "Lounge",
    "Storage",
)
QUALIFIED = 12
"""Opportunities that are qualified, of which every third has no budget yet."""
_ROLES = ("Interior planner", "Office planner", "Fit-out supervisor", "Lighting planner")
_SENIORITY = ("junior", "senior", "senior", "lead")
_JOB_STATUSES = ("interview", "new", "contacted", "interview", "new", "contacted", "lost")
_JOB_SOURCES = ("job board", "referral", "website")


class Market(NamedTuple):
    """Whom there is to sell to: all customers, and the places of the companies among them."""

    today: date
    parties: list[Party]
    firms: list[int]

    def country(self, customer: int) -> str:
        return self.parties[customer].customer["country"]

    def name(self, customer: int) -> str:
        return self.parties[customer].customer["name"]


def opportunity(chance: Random, market: Market, number: int, made: Selling) -> None:
    """Add an opportunity that is no deal yet: newly arrived, or qualified."""
    customer, today = chance.choice(market.firms), market.today
    qualified = number % 3 == 0 and number < 3 * QUALIFIED
    warmth = chance.random()
    # a weekend and a night may lie between the two moves, and both are over
    began = moment(chance, today, 7 + int(21 * chance.random()))
    stops = [Stop("Lead", began)]
    if qualified:
        stops.append(Stop("Qualified", working(chance, began + timedelta(days=1 + chance.random()))))
    amount = Decimal(int(min(9_900, max(300, chance.lognormvariate(7.6, 0.6)))) // 10 * 10)
    row = {
        "kind": "opportunity",
        "name": f"{chance.choice(WHAT)} for {market.name(customer)}",
        "status": "qualified" if qualified else "new",
        "source": chance.choice(SOURCES),
        "contacted_at": stops[-1].at,
        "converted_at": None,
        "lost_reason": None,
    }
    part = {
        "amount": amount,
        "currency": "EUR",
        "expected_close_on": today + timedelta(days=chance.randrange(20, 120)),
        "budget_confirmed": True if qualified and number % 9 else None,
        "decision_maker": market.parties[customer].contacts[0]["name"] if qualified else None,
        "timeline": "this quarter" if qualified else None,
    }
    at = len(made.leads)
    made.leads.append((customer, row, "opportunity", part))
    where = place(chance, today, warmth, stops[-1].at, False)
    where |= {"amount": amount, "currency": "EUR", "base_amount": amount}
    made.journeys.append(Journey("Sales", stops, customer, None, at, where, []))


def job(chance: Random, market: Market, number: int, made: Selling) -> None:
    """Add a job that one of the dealer's planners may take for a while; it stands in no pipeline."""
    customer, today = chance.choice(market.firms), market.today
    status, role = _JOB_STATUSES[number % len(_JOB_STATUSES)], chance.choice(_ROLES)
    posted = moment(chance, today, 20 + int(60 * chance.random()))
    least = 44_000 + 2_000 * chance.randrange(10)
    row = {
        "kind": "job",
        "name": f"{role} at {market.name(customer)}",
        "status": status,
        "source": chance.choice(_JOB_SOURCES),
        "contacted_at": None if status == "new" else posted + timedelta(days=2),
        "converted_at": None,
        "lost_reason": "Filled from within" if status == "lost" else None,
    }
    part = {
        "role": role,
        "seniority": chance.choice(_SENIORITY),
        "location": market.parties[customer].customer["city"],
        "is_remote": chance.random() < 0.3,
        "salary_min": Decimal(least),
        "salary_max": Decimal(least + 8_000),
        "currency": "EUR",
        "posted_on": posted.date(),
        "closes_on": today + timedelta(days=chance.randrange(5, 40)),
    }
    made.leads.append((customer, row, "job", part))


def partnership(chance: Random, market: Market, number: int, made: Selling) -> None:
    """Add a partner to be: every fourth has come to the end of the way."""
    customer, today = chance.choice(market.firms), market.today
    began = moment(chance, today, 10 + int(200 * chance.random()))
    stops, at = list[Stop](), began
    for name in ("Application", "Review", "Training", "Active")[: 1 + number % 4]:
        if at.date() >= today:
            break
        stops.append(Stop(name, at))
        at = working(chance, at + timedelta(days=5 + 20 * chance.random()))
    over = stops[-1].stage == "Active"
    country = market.country(customer)
    row = {
        "kind": "partnership",
        "name": f"Reseller in {country}: {market.name(customer)}",
        "status": "converted" if over else "contacted",
        "source": "website",
        "contacted_at": began,
        "converted_at": stops[-1].at if over else None,
        "lost_reason": None,
    }
    lead = len(made.leads)
    made.leads.append((customer, row, "partnership", {"type": "reseller", "territory": country}))
    where = unpaid(chance, today, 0.5, stops[-1].at, over)
    made.journeys.append(Journey("Partner", stops, customer, None, lead, where, []))
