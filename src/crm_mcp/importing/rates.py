"""What an amount of another day is worth in the org's base currency."""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import cast
from zoneinfo import ZoneInfo

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..crm.models import ExchangeRate
from ..money import rounded
from ..principal import Principal


@dataclass(frozen=True, slots=True)
class Rates:
    """The stated rates of an org, by currency in the order of their days."""

    base: str
    zone: ZoneInfo
    stated: dict[str, list[tuple[date, Decimal]]] = field(default_factory=dict[str, list[tuple[date, Decimal]]])

    def in_base(self, amount: Decimal, currency: str, at: datetime) -> Decimal | None:
        """Return an amount in the base currency by the rate of its day; None where there is none."""
        if currency == self.base:
            return amount
        known = self.stated.get(currency, [])
        place = bisect_right([day for day, _ in known], at.astimezone(self.zone).date())
        return rounded(amount * known[place - 1][1], self.base) if place else None


async def stated(conn: AsyncConnection, who: Principal) -> Rates:
    """Read the rates of an org."""
    table = cast("Table", ExchangeRate.__table__)
    rates = Rates(who.currency, ZoneInfo(who.timezone))
    found = await conn.execute(
        select(table.c.currency, table.c.valid_from, table.c.rate)
        .where(table.c.org_id == who.org)
        .order_by(table.c.currency, table.c.valid_from)
    )
    for currency, day, rate in found:
        rates.stated.setdefault(currency, []).append((day, rate))
    return rates
