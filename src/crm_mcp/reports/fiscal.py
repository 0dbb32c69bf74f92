"""The org's fiscal year: named by the calendar year in which it ends, its quarters of three months each.

So says the field: "a fiscal year is designated by the calendar year in which it ends" (GAO-05-734SP, A Glossary of
Terms Used in the Federal Budget Process, "Fiscal Year"). One that begins in January is the calendar year.
"""

import calendar
import re
from datetime import date, timedelta

Span = tuple[date, date]
FORMS = (
    *("this fiscal year", "last fiscal year", "this fiscal quarter", "last fiscal quarter", "fiscal year to date"),
    *("FY2026", "FQ3 2026", "FY2026-Q3"),
)
_YEAR = re.compile(r"fy ?(\d{4}|\d\d)", re.ASCII)
_QUARTER = re.compile(r"fq([1-4])(?:[ -](?:of )?(?:fy ?)?(\d{4}|\d\d))?", re.ASCII)
_YEAR_QUARTER = re.compile(r"fy ?(\d{4}|\d\d)[ -]?f?q([1-4])", re.ASCII)
_FISCAL = re.compile(r"\bfiscal\b|\bf[yq] ?\d|\bfytd\b|\bfqtd\b", re.ASCII)


def is_meant(text: str) -> bool:
    """Say whether a period speaks of fiscal years or quarters."""
    return _FISCAL.search(text.lower()) is not None


def offset(starts: int) -> int:
    """Return the months by which a day is moved so that its calendar year and quarter are the fiscal ones."""
    return (13 - starts) % 12


def written(said: str, today: date, starts: int) -> Span | None:
    """Return the days of a year or a quarter by its name, such as fy2026, fq3 (of the year that it is) or fy2026-q3."""
    if found := _YEAR.fullmatch(said):
        return _year(_full(found[1]), starts)
    if found := _YEAR_QUARTER.fullmatch(said):
        return _quarter(_full(found[1]), int(found[2]), starts)
    if found := _QUARTER.fullmatch(said):
        return _quarter(_full(found[2]) if found[2] else _of(today, starts)[0], int(found[1]), starts)
    return None


def relative(said: str, today: date, starts: int) -> Span | None:
    """Return the days of a fiscal year or quarter as people say them from where they stand."""
    year, quarter = _of(today, starts)
    match said.split(" "):
        case ["fiscal", "year"] | ["this" | "current", "fiscal", "year"]:
            return _year(year, starts)
        case ["last" | "previous", "fiscal", "year"]:
            return _year(year - 1, starts)
        case ["fiscal", "quarter"] | ["this" | "current", "fiscal", "quarter"]:
            return _quarter(year, quarter, starts)
        case ["last" | "previous", "fiscal", "quarter"]:
            before = _quarter(year, quarter, starts)[0] - timedelta(days=1)
            return _quarter(*_of(before, starts), starts)
        case ["fiscal", "year", "to", "date"] | ["fytd"]:
            return _year(year, starts)[0], today
        case ["fiscal", "quarter", "to", "date"] | ["fqtd"]:
            return _quarter(year, quarter, starts)[0], today
        case _:
            return None


def named(span: Span, starts: int) -> str:
    """Return what a span is called where it is a whole fiscal year or quarter: FY2026, FY2026-Q3; else nothing."""
    year, quarter = _of(span[0], starts)
    if span == _year(year, starts):
        return f"FY{year}"
    return f"FY{year}-Q{quarter}" if span == _quarter(year, quarter, starts) else ""


def rule(starts: int) -> str:
    """Return the rule that fiscal periods went by, for whoever reads the figures."""
    return (
        f"The org's fiscal year begins in {calendar.month_name[starts]} and is named by the calendar year it ends in."
    )


def _of(day: date, starts: int) -> tuple[int, int]:
    """Return the fiscal year and quarter of a day."""
    months = day.year * 12 + day.month - 1 + offset(starts)
    return months // 12, months % 12 // 3 + 1


def _full(year: str) -> int:
    return int(year) if len(year) == 4 else 2000 + int(year)


def _year(year: int, starts: int) -> Span:
    return _quarter(year, 1, starts)[0], _quarter(year, 4, starts)[1]


def _quarter(year: int, quarter: int, starts: int) -> Span:
    first = year * 12 + (quarter - 1) * 3 - offset(starts)
    after = first + 3
    last = date(after // 12, after % 12 + 1, 1) - timedelta(days=1) if after < 9999 * 12 + 12 else date(9999, 12, 31)
    return date(first // 12, first % 12 + 1, 1), last
