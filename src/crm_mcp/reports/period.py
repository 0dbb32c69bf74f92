"""The days that a report is of: a month, a year, some days back, or from one day to another."""

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ..errors import Refusal
from . import spoken

NAMES = ("period", "month", "year", "days", "from", "to")
BOUND = ("from", "to", "since", "until")
"""What a statement may take of a period: its first and last day, the instants at which it begins and is over."""
MEANING = {
    "period": "In words or ISO: last quarter, year to date, last 90 days, Q3 2026, 2026-W31, 2026-01/2026-03; by the org's "
    "fiscal year: last fiscal quarter, fiscal year to date, FY2026 (ends in 2026), FQ3, FY2026-Q3.",
    "month": "YYYY-MM",
    "year": "A calendar year.",
    "days": "That many days back from today, today included; 0: all time.",
    "from": "First day, YYYY-MM-DD.",
    "to": "Last day, YYYY-MM-DD, included.",
}
"""How a period is named: by one of period, month, year, days, or by from and to. Days are the org's."""
Days = tuple[date | None, date | None]
_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """A report's period: its `default` (all, this_month, last_month, 365_days …) and what it is of."""

    default: str
    meaning: str

    def days(self, given: Mapping[str, Any], today: date, starts: int = 1) -> Days:
        """Return the first and the last day, None where it is open; fiscal years begin in month `starts`.

        Raises:
            Refusal: INVALID_ARGUMENT.
        """
        named = [name for name in NAMES if given.get(name) is not None]
        if not named:
            return self._by_default(today)
        ways = {"from" if name == "to" else name for name in named}
        if len(ways) > 1:
            raise _refusal(named[1], "Name the period one way: period, month, year, days, or from and to.")
        try:
            since, until = _read(named[0], given, today, starts)
        except (ValueError, TypeError, OverflowError):
            raise _refusal(named[0], f"{named[0]}: {MEANING[named[0]]}") from None
        if since and until and since > until:
            raise _refusal("to", "The period ends before it begins.")
        return since, until

    def _by_default(self, today: date) -> Days:
        match self.default:
            case "all":
                return None, None
            case "this_month":
                return _month(today.year, today.month)
            case "last_month":
                before = today.replace(day=1) - timedelta(days=1)
                return _month(before.year, before.month)
            case back:
                return today - timedelta(days=int(back.removesuffix("_days")) - 1), today


def _read(name: str, given: Mapping[str, Any], today: date, starts: int) -> Days:
    value = given[name]
    match name:
        case "period":
            return _said(value, today, starts)
        case "month":
            if not isinstance(value, str) or (found := _MONTH.fullmatch(value)) is None:
                raise ValueError
            return _month(int(found[1]), int(found[2]))
        case "year":
            return date(_whole(value), 1, 1), date(_whole(value), 12, 31)
        case "days":
            if (days := _whole(value)) < 0:
                raise ValueError
            return (today - timedelta(days=days - 1), today) if days else (None, None)
        case _:
            return _day(given, "from"), _day(given, "to")


def _said(value: Any, today: date, starts: int) -> Days:
    if isinstance(value, str) and (found := spoken.days(value, today, starts)) is not None:
        return found
    near = spoken.nearest(value) if isinstance(value, str) else None
    hint = f"period: {MEANING['period']}" + (f" Did you mean {near!r}?" if near else "")
    raise _refusal("period", hint)


def _day(given: Mapping[str, Any], name: str) -> date | None:
    value = given.get(name)
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except (ValueError, TypeError):
        raise _refusal(name, f"{name}: {MEANING[name]}") from None


def _month(year: int, month: int) -> Days:
    first = date(year, month, 1)
    return first, first.replace(day=calendar.monthrange(year, month)[1])


def _whole(value: Any) -> int:
    if isinstance(value, bool) or int(value) != float(value):
        raise ValueError
    return int(value)


def _refusal(name: str, hint: str) -> Refusal:
    return Refusal("INVALID_ARGUMENT", hint, argument=f"parameters.{name}")


def begins(day: object, zone: ZoneInfo) -> object:
    """Return the first instant of a day in a zone, which is the first midnight where the clocks go back over it.

    What is no day, for a period open at an end, stays as it is.
    """
    return datetime.combine(day, time.min, zone) if isinstance(day, date) else day


def ends(day: object, zone: ZoneInfo) -> object:
    """Return the first instant after a day in a zone; never, after the last day there is."""
    if not isinstance(day, date):
        return day
    return begins(day + timedelta(days=1), zone) if day < date.max else "infinity"
