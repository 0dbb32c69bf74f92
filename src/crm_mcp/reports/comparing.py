"""A report's rows beside those of another period: which period, which row beside which, and how they differ."""

import calendar
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

from ..errors import Refusal
from ..jsonvalue import is_object
from . import buckets
from .buckets import Place
from .report import Asked, Column, Report

Row = Mapping[str, Any]
Span = tuple[date, date]
WAYS = ("previous", "last_year")
MEASURES = frozenset({"integer", "money", "amount", "percent"})
_DAY = timedelta(days=1)
_SHARE = Decimal("0.1")


class Pair(NamedTuple):
    """A row and its counterpart in the other period; one of them may be missing."""

    now: Row | None
    before: Row | None


def span_before(report: Report, asked: Asked, way: Any) -> Span:
    """Return the days to compare with: as long just before, or the same a year before.

    Whole calendar months (and so quarters and years, fiscal ones too) go by as many months, all else by days.

    Raises:
        Refusal: INVALID_ARGUMENT, for a report without periods or rows that nothing names, or a period without ends.
    """
    if report.period is None:
        raise _refusal(f"{report.name} is of today alone: it has no period, so there is none to compare with.")
    if not report.key:
        raise _refusal(f"The rows of {report.name} have no key by which those of two periods could be put together.")
    if way not in WAYS:
        raise _refusal("compare is previous (as long, just before) or last_year (the same days a year before).")
    since, until = asked.shown["from"], asked.shown["to"]
    if not isinstance(since, date) or not isinstance(until, date):
        raise _refusal("All time has nothing before it. Name a period, such as this year.")
    try:
        return _earlier(since, until, way)
    except (ValueError, OverflowError):
        raise _refusal("What it would be compared with lies before the calendar begins.") from None


def _earlier(since: date, until: date, way: str) -> Span:
    whole = since.day == 1 and until.day == _days_in(until.year, until.month)
    months = (until.year - since.year) * 12 + until.month - since.month + 1
    if way == "last_year" or whole:
        back = 12 if way == "last_year" else months
        last = _back(until, back)
        return _back(since, back), last.replace(day=_days_in(last.year, last.month)) if whole else last
    length = until - since + _DAY
    return since - length, since - _DAY


def _back(day: date, months: int) -> date:
    """Return the day so many months before, the last of its month where that is shorter."""
    at = day.year * 12 + day.month - 1 - months
    year, month = at // 12, at % 12 + 1
    return date(year, month, min(day.day, _days_in(year, month)))


def _days_in(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


class Pairing:
    """Puts the rows of two periods together by the report's key; those in time by their place in the period."""

    def __init__(self, report: Report, now: Span, before: Span, starts: int) -> None:
        self._report, self._now, self._before, self._starts = report, now, before, starts

    def pairs(self, rows: Sequence[Row], others: Sequence[Row]) -> list[Pair]:
        """Return all rows of both periods in the order of the first, what is only before behind it or at its time."""
        left = self._by_key(others, self._before[0])
        pairs = [Pair(row, left.pop(key, None)) for key, row in self._by_key(rows, self._now[0]).items()]
        pairs += [Pair(None, row) for row in left.values()]
        times = [key.column for key in self._report.key if key.in_time]
        return sorted(pairs, key=lambda pair: self._times(pair, times)) if times else pairs

    def now_of(self, before: Row) -> dict[str, Any]:
        """Return what names a row that there is only before, as it would be named now."""
        return {
            key.column: self._moved(before[key.column]) if key.in_time else before[key.column]
            for key in self._report.key
        }

    def _by_key(self, rows: Sequence[Row], since: date) -> dict[tuple[Any, ...], Row]:
        met: Counter[tuple[Any, ...]] = Counter()
        found: dict[tuple[Any, ...], Row] = {}
        for row in rows:
            key = tuple(self._place(row[k.column], since) if k.in_time else row[k.column] for k in self._report.key)
            found[*key, met[key]] = row
            met[key] += 1
        return found

    def _place(self, label: Any, since: date) -> Any:
        place = buckets.place_of(label)
        return label if place is None else place._replace(at=self._into(place, since))

    def _into(self, place: Place, since: date) -> int:
        return place.at - buckets.around(since, place.unit, self._starts)

    def _moved(self, label: Any) -> Any:
        place = buckets.place_of(label)
        if place is None:
            return label
        here = buckets.around(self._now[0], place.unit, self._starts)
        return buckets.label_of(place._replace(at=here + self._into(place, self._before[0])))

    def _times(self, pair: Pair, columns: Iterable[str]) -> tuple[Any, ...]:
        row, since = (pair.now, self._now[0]) if pair.now is not None else (pair.before, self._before[0])
        assert row is not None
        places = (buckets.place_of(row[column]) for column in columns)
        return tuple(self._into(place, since) if place else 0 for place in places)


def measures(report: Report) -> list[Column]:
    """Return the columns that have a difference."""
    names = {key.column for key in report.key}
    return [column for column in report.columns if column.type in MEASURES and column.name not in names]


def nothing_of(report: Report, named: Mapping[str, Any], like: Row) -> dict[str, Any]:
    """Return the row that stands for one that there is not: counts and sums are nought, all else is not there."""
    blank: dict[str, Any] = {
        c.name: 0 if c.total else None if c.type in MEASURES else like[c.name] for c in report.columns
    }
    return {**blank, "ids": [], "id_count": 0, **named}


def changes(columns: Iterable[Column], now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the difference of figures in their wire form, and what per cent of the earlier one it is.

    A difference of per cents is in points. There is no per cent of nothing.
    """
    change: dict[str, Any] = {}
    percent: dict[str, Any] = {}
    for column in columns:
        one, other = now.get(column.name), before.get(column.name)
        if is_object(one) or is_object(other):
            change[column.name], percent[column.name] = _by_currency(one or {}, other or {})
        elif one is not None and other is not None:
            change[column.name] = _difference(one, other)
            if column.type != "percent" and (share := _share(one, other)) is not None:
                percent[column.name] = share
    return {"change": change, "percent": {name: said for name, said in percent.items() if said != {}}}


def _by_currency(now: Mapping[str, str], before: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    both = {currency: (now.get(currency, "0"), before.get(currency, "0")) for currency in sorted({*now, *before})}
    shares = {currency: _share(*pair) for currency, pair in both.items()}
    return (
        {currency: _difference(*pair) for currency, pair in both.items()},
        {currency: share for currency, share in shares.items() if share is not None},
    )


def _difference(now: Any, before: Any) -> Any:
    return now - before if isinstance(now, int) and isinstance(before, int) else str(Decimal(now) - Decimal(before))


def _share(now: Any, before: Any) -> str | None:
    base = abs(Decimal(before))
    return str((100 * (Decimal(now) - Decimal(before)) / base).quantize(_SHARE, ROUND_HALF_UP)) if base else None


def _refusal(hint: str) -> Refusal:
    return Refusal("INVALID_ARGUMENT", hint, argument="parameters.compare")
