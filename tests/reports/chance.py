"""What chance decides of a generated org: the same for the same seed; days and moments lie at edges as often as not."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from crm_mcp.money import minor_units, rounded

One = TypeVar("One")
ZONES = (
    "Europe/Berlin", "Atlantic/Azores", "America/New_York", "America/St_Johns", "America/Havana", "Asia/Kolkata",
    "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Chatham", "America/Nuuk", "Asia/Beirut", "America/Santiago",
)  # fmt: skip
"""In some of them a day begins twice or an hour late; others are not whole hours from UTC."""
BASES = ("EUR", "USD", "JPY", "KWD")
YEAR = 2024
FIRST, LAST = date(YEAR, 1, 1), date(YEAR, 3, 31)


class Chance(random.Random):
    """A source of chance for one org: its zone, its currencies and their rates come first."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.zone = ZoneInfo(ZONES[seed % len(ZONES)])
        self.base = BASES[seed // len(ZONES) % len(BASES)] if seed else BASES[0]
        foreign = [one for one in (*BASES, "GBP", "CHF") if one != self.base]
        self.currencies = (self.base, *self.sample(foreign, 3))
        self.rates = {one: Decimal(self.randint(1, 3 * 10**8)).scaleb(-8 if one != "JPY" else -10) for one in foreign}
        self.is_even = seed % 3 == 0
        """All of whose prices are even, and taxed by a fifth: what is worth a sixth of a cent more adds up to halves."""
        self.now = datetime.now(UTC)
        self.today = self.now.astimezone(self.zone).date()
        self.turns = [turn.astimezone(self.zone) for turn in turns(self.zone)]
        """Moments at which the clocks change, as they then show."""

    def one(self, *of: One) -> One:
        return self.choice(of)

    def often(self, share: float) -> bool:
        return self.random() < share

    def currency(self) -> str:
        return self.base if self.often(0.6) else self.choice(self.currencies)

    def amount(self, currency: str, most: int = 20_000) -> Decimal:
        """Return an amount in whole minor units, small ones as often as large; one of twenty is finer than that."""
        exact = Decimal(repr(self.random() ** 4 * most)) + Decimal("0.01")
        if self.often(0.05):
            return exact.quantize(Decimal("0.0001"), ROUND_HALF_UP)
        return max(rounded(exact, currency), Decimal(1).scaleb(-minor_units(currency)))

    def in_base(self, amount: Decimal, currency: str) -> Decimal | None:
        """Return what an amount is worth; of a fourth of the foreign ones there is no rate."""
        if currency == self.base:
            return amount
        return None if self.often(0.25) else rounded(amount * self.rates[currency], self.base)

    def day(self, since: date = date(YEAR - 1, 10, 1), until: date = date(YEAR + 1, 3, 1)) -> date:
        edges = (FIRST, LAST, date(YEAR, 12, 31), *(turn.date() for turn in self.turns))
        if self.often(0.4):
            near = self.choice(edges) + timedelta(days=self.randint(-1, 1))
            return min(max(near, since), until)
        return since + timedelta(days=self.randint(0, (until - since).days))

    def moment(self) -> datetime:
        """Return a moment of those days: often about midnight, or within an hour of the clocks' change."""
        if self.often(0.2):
            return self.choice(self.turns).astimezone(UTC) + timedelta(
                microseconds=self.randint(-7_200_000_000, 7_200_000_000)
            )
        if self.often(0.3):
            midnight = datetime.combine(self.day(), time(), self.zone).astimezone(UTC)
            return midnight + self.one(
                timedelta(), timedelta(microseconds=-1), timedelta(minutes=self.randint(-50, 50))
            )
        return datetime.combine(self.day(), time(self.randint(0, 23), self.randint(0, 59)), self.zone).astimezone(UTC)

    def ago(self, days: int) -> datetime:
        """Return a moment of the last days, often some whole days and a little ago."""
        if self.often(0.3):
            return self.now - timedelta(days=self.one(1, 2, 7, 8, 30, 31, 90), minutes=self.one(-9, 9))
        return self.now - timedelta(seconds=self.randint(600, days * 86_400))

    def maybe(self, share: float, value: Any) -> Any:
        return value if self.often(share) else None

    def some(self, of: Sequence[One], most: int) -> list[One]:
        return self.sample(of, min(len(of), self.randint(1, most)))


def turns(zone: ZoneInfo) -> list[datetime]:
    """Return the moments of the year at which the clocks of a zone change, else those at which it begins and ends."""
    first = datetime(YEAR, 1, 1, tzinfo=UTC)
    minutes = [first + timedelta(minutes=30 * n) for n in range(366 * 48)]
    offsets = [at.astimezone(zone).utcoffset() for at in minutes]
    found = [minutes[n] for n in range(1, len(minutes)) if offsets[n] != offsets[n - 1]]
    return found or [datetime(YEAR, 1, 1, tzinfo=zone), datetime(YEAR, 12, 31, tzinfo=zone)]
