"""Times as rows are named by them (2026-W31, 2026-03, 2026-Q3, 2026, FY2026-Q3, FY2026): their place in order, and back."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

from . import fiscal

_MONDAY = date(1, 1, 1)
_WEEK = timedelta(days=7)


class Place(NamedTuple):
    """A time among all of its unit: the next one is at one more."""

    unit: str
    at: int


def _week(year: int, week: int) -> int:
    return (date.fromisocalendar(year, week, 1) - _MONDAY) // _WEEK


def _month(year: int, month: int) -> int:
    return year * 12 + month - 1


def _quarter(year: int, quarter: int) -> int:
    return year * 4 + quarter - 1


def _year(year: int) -> int:
    return year


def _day(year: int, month: int, day: int) -> int:
    return date(year, month, day).toordinal()


_WRITTEN: tuple[tuple[str, str, Callable[..., int]], ...] = (
    ("week", r"(\d{4})-W(\d\d)", _week),
    ("month", r"(\d{4})-(\d\d)", _month),
    ("quarter", r"(\d{4})-Q([1-4])", _quarter),
    ("year", r"(\d{4})", _year),
    ("fiscal_quarter", r"FY(\d{4})-Q([1-4])", _quarter),
    ("fiscal_year", r"FY(\d{4})", _year),
    ("day", r"(\d{4})-(\d\d)-(\d\d)", _day),
)


def place_of(label: object) -> Place | None:
    """Return the place of a time as a row writes it; None if it is none."""
    for unit, shape, count in _WRITTEN:
        if found := re.fullmatch(shape, str(label), re.ASCII):
            try:
                return Place(unit, count(*map(int, found.groups())))
            except ValueError:
                return None
    return None


def around(day: date, unit: str, starts: int) -> int:
    """Return the place of the week, month, … that a day is in."""
    months = day.year * 12 + day.month - 1
    moved = months + fiscal.offset(starts)
    match unit:
        case "week":
            return (day - _MONDAY) // _WEEK
        case "month":
            return months
        case "quarter":
            return months // 3
        case "year":
            return day.year
        case "fiscal_quarter":
            return moved // 3
        case "fiscal_year":
            return moved // 12
        case _:
            return day.toordinal()


def label_of(place: Place) -> str:
    """Return how a time at a place is written.

    Raises:
        ValueError, OverflowError: a time outside of the calendar.
    """
    unit, at = place
    match unit:
        case "week":
            year, week, _ = (_MONDAY + at * _WEEK).isocalendar()
            return f"{year:04}-W{week:02}"
        case "month":
            return f"{at // 12:04}-{at % 12 + 1:02}"
        case "quarter":
            return f"{at // 4:04}-Q{at % 4 + 1}"
        case "fiscal_quarter":
            return f"FY{at // 4:04}-Q{at % 4 + 1}"
        case "fiscal_year":
            return f"FY{at:04}"
        case "year":
            return f"{at:04}"
        case _:
            return date.fromordinal(at).isoformat()
