"""Periods as people say and ISO 8601 writes them: "last quarter", "Q3 2026", "2026-W31", "2026-01/2026-03"."""

import calendar
import difflib
import re
from collections.abc import Callable
from datetime import date, timedelta

from . import fiscal

Span = tuple[date, date]
_DAY = timedelta(days=1)
FORMS = (
    *("today", "yesterday", "all time", "year to date", "quarter to date", "month to date"),
    *(f"{which} {unit}" for which in ("this", "last") for unit in ("week", "month", "quarter", "year")),
    *fiscal.FORMS,
    *("last 30 days", "last 90 days", "last 12 months", "Q3 2026", "2026-Q3", "2026-W31", "2026-08", "2026"),
)
"""What is said of a period that is none: the nearest of these."""


def days(text: str, today: date, starts: int = 1) -> tuple[date | None, date | None] | None:
    """Return the first and the last day of what is said; None if it is no period. Fiscal years begin in month `starts`.

    Raises:
        OverflowError, ValueError: a day outside of the calendar.
    """
    said = " ".join(text.strip().lower().split())
    if said == "all time":
        return None, None
    if "/" in said:
        first, _, last = said.partition("/")
        begins, ends = (_written(part.strip(), today, starts) for part in (first, last))
        return (begins[0], ends[1]) if begins and ends and begins[0] <= ends[1] else None
    return _written(said, today, starts) or fiscal.relative(said, today, starts) or _relative(said, today)


def nearest(text: str) -> str | None:
    """Return the valid form that is most like what was said."""
    by = {form.lower(): form for form in FORMS}
    found = difflib.get_close_matches(" ".join(text[:60].lower().split()), list(by), 1, 0.5)
    return by[found[0]] if found else None


def _written(said: str, today: date, starts: int) -> Span | None:
    for shape, span in _WRITTEN:
        if found := shape.fullmatch(said):
            return span(*(int(number) for number in found.groups()))
    return fiscal.written(said, today, starts)


def _relative(said: str, today: date) -> Span | None:
    if found := re.fullmatch(r"(?:last|past) (\d{1,4}) (days|weeks|months|years)", said, re.ASCII):
        return _back(int(found[1]), found[2], today)
    match said.split(" "):
        case ["today"]:
            return today, today
        case ["yesterday"]:
            return today - _DAY, today - _DAY
        case ["this", unit] if unit in _AROUND:
            return _AROUND[unit](today)
        case ["last" | "previous", unit] if unit in _AROUND:
            return _AROUND[unit](_AROUND[unit](today)[0] - _DAY)
        case [unit, "to", "date"] if unit in _AROUND:
            return _AROUND[unit](today)[0], today
        case ["ytd"]:
            return _AROUND["year"](today)[0], today
        case _:
            return None


def _back(count: int, unit: str, today: date) -> Span | None:
    """Return so many days or weeks up to today, today included; of months and years the same day before, exclusive."""
    if count == 0:
        return None
    if unit in ("days", "weeks"):
        return today - timedelta(days=count * (7 if unit == "weeks" else 1) - 1), today
    months = today.year * 12 + today.month - 1 - count * (12 if unit == "years" else 1)
    first = date(months // 12, months % 12 + 1, 1)
    last = _month(first.year, first.month)[1]
    return min(first + timedelta(days=today.day - 1), last) + _DAY, today


def _day(year: int, month: int, day: int) -> Span:
    return date(year, month, day), date(year, month, day)


def _month(year: int, month: int) -> Span:
    return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])


def _quarter(year: int, quarter: int) -> Span:
    return _month(year, quarter * 3 - 2)[0], _month(year, quarter * 3)[1]


def _quarter_of(quarter: int, year: int) -> Span:
    return _quarter(year, quarter)


def _year(year: int) -> Span:
    return date(year, 1, 1), date(year, 12, 31)


def _week(year: int, week: int) -> Span:
    first = date.fromisocalendar(year, week, 1)
    return first, first + timedelta(days=6)


_WRITTEN: tuple[tuple[re.Pattern[str], Callable[..., Span]], ...] = tuple(
    (re.compile(shape, re.ASCII), span)
    for shape, span in (
        (r"(\d{4})-(\d\d)-(\d\d)", _day),
        (r"(\d{4})-(\d\d)", _month),
        (r"(\d{4})-?q([1-4])", _quarter),
        (r"q([1-4])[ -](\d{4})", _quarter_of),
        (r"(\d{4})-?w(\d\d)", _week),
        (r"(\d{4})", _year),
    )
)
_AROUND: dict[str, Callable[[date], Span]] = {
    "week": lambda day: _week(*day.isocalendar()[:2]),
    "month": lambda day: _month(day.year, day.month),
    "quarter": lambda day: _quarter(day.year, (day.month + 2) // 3),
    "year": lambda day: _year(day.year),
}
