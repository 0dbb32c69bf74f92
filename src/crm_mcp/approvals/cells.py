"""Values as a person reads them: money with its currency, times in the org's zone, words for the rest."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, Literal
from zoneinfo import ZoneInfo

from ..money import minor_units

Kind = Literal["text", "number", "code", "written", "time", "none"]
"""`written` is free text, boxed as an agent's; `none` says that there is no value."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One value. `hint` stands small beside it, `warning` says what is wrong with it, `iso` is a time's."""

    text: str
    kind: Kind = "text"
    hint: str | None = None
    warning: str | None = None
    iso: str | None = None


EMPTY = Cell("none", "none")
_WIDEST = 30
"""Digits before or after the point, beyond which a number is left as it came."""


def money(value: object, currency: str | None) -> str:
    """Return an amount with its currency, to the minor units, or further where it goes further."""
    return f"{currency or ''} {_digits(value, minor_units(currency or ''))}".strip()


def number(value: object) -> str:
    """Return a number without idle zeros, its thousands apart."""
    return _digits(value, 0)


def _digits(value: object, places: int) -> str:
    try:
        exact = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    if not exact.is_finite() or abs(exact.adjusted()) > _WIDEST:
        return str(value)
    places = max(places, -int(exact.normalize().as_tuple().exponent))
    return f"{exact:,.{places}f}"


def zone_of(name: str) -> tzinfo:
    """Return a zone by its name; UTC where this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def moment(when: datetime, zone: tzinfo) -> str:
    """Return a time as a person says it: Tue 4 Nov 2025, 14:05 CET."""
    local = when.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M} {local.tzname() or ''}".rstrip()


def relative(when: datetime, now: datetime) -> str:
    """Return how far a time is: in 23 hours, 5 minutes ago."""
    seconds = (when - now).total_seconds()
    size = abs(seconds)
    if size < 45:
        return "just now" if seconds <= 0 else "in less than a minute"
    for unit, length, limit in (("minute", 60, 90 * 60), ("hour", 3600, 36 * 3600), ("day", 86400, float("inf"))):
        if size < limit:
            count = max(1, round(size / length))
            said = f"{count} {unit}{'' if count == 1 else 's'}"
            return f"in {said}" if seconds > 0 else f"{said} ago"
    raise AssertionError


def parsed(value: Any) -> datetime | None:
    """Return a timestamp given as ISO text; None for any other value, a bare date too."""
    if not isinstance(value, str) or len(value) < 16 or value[4:5] != "-" or value[10:11] not in ("T", " "):
        return None
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def time_cell(when: datetime, zone: tzinfo) -> Cell:
    return Cell(moment(when, zone), "time", iso=when.isoformat())
