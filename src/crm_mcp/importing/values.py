"""Cells of a file as values: each reader says in words what is wrong with a cell it does not take."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from psycopg.types.json import Jsonb

EXACT = Decimal("0.0001")
"""What the database keeps of an amount."""
HUNDRED = Decimal(100)
MOST = Decimal(10) ** 15
MOST_UNITS = 2**31 - 1
_DATE = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_ELSEWHERE = re.compile(
    r"(?P<a>[0-9]{1,2})(?P<sign>[/.-])(?P<b>[0-9]{1,2})(?P=sign)(?P<year>[0-9]{4}|[0-9]{2})"
    r"(?:,?[ T](?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}))?\s?(?P<half>[AaPp][Mm])?)?"
)
_SERIAL = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,12})?")
_SLASHED = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/[0-9]{2,4}(?:\D.*)?", re.DOTALL)
_NUMBER = {sign: re.compile(rf"[+-]?[0-9]+(?:{re.escape(sign)}[0-9]+)?") for sign in ".,"}
_AROUND = re.compile(r"[\s\u00a0\u202f']|^[^\d+.,-]+|[^\d]+$")
_TRUE, _FALSE = frozenset({"1", "true", "t", "yes", "y"}), frozenset({"0", "false", "f", "no", "n"})


class Wrong(Exception):
    """A cell that cannot be taken; its text completes the sentence "<column> …"."""


@dataclass(frozen=True, slots=True)
class How:
    """How the cells of a file are to be read."""

    zone: ZoneInfo
    decimal: str = "."
    fractions: bool = False
    dates: str = "iso"
    """iso alone, or besides the order of day and month in other dates: mdy, dmy."""
    loose: bool = False
    """Whether amounts may have thousands signs and currency signs."""


Reader = Callable[[str, How], Any]


def shown(cell: str) -> str:
    """Return a cell as a message quotes it."""
    return repr(cell if len(cell) <= 40 else f"{cell[:40]}…")


def text(longest: int) -> Reader:
    """Return a reader of texts, kept as written; blank is nothing."""

    def read(cell: str, _: How) -> str | None:
        if len(cell) > longest:
            raise Wrong(f"has {len(cell):,} characters; at most {longest:,} can be kept")
        return cell if cell.strip() else None

    return read


def key(cell: str, _: How) -> str | None:
    """Read an id of the other system, without spaces around it."""
    return _ID(cell.strip(), _)


_ID = text(200)


def choice(*allowed: str, **same: str) -> Reader:
    """Return a reader of one of some words, whatever their case; `same` are other words for them."""

    def read(cell: str, _: How) -> str | None:
        word = cell.strip().lower()
        if word and word not in allowed and word not in same:
            raise Wrong(f"is {shown(cell)}, not one of {', '.join(allowed)}")
        return same.get(word, word) or None

    return read


def number(cell: str, how: How) -> Decimal | None:
    plain = bare(cell, how.decimal) if how.loose else cell.strip()
    if not plain:
        return None
    if not _NUMBER[how.decimal].fullmatch(plain):
        other = "" if how.decimal == "," else ", or say that the decimal sign is a comma"
        raise Wrong(f"is {shown(cell)}, not a number such as 1234{how.decimal}56 (no thousands signs{other})")
    return Decimal(plain.replace(how.decimal, "."))


def amount(cell: str, how: How) -> Decimal | None:
    """Read an amount of money or a price: not negative, at most four decimals."""
    found = number(cell, how)
    if found is None:
        return None
    if found < 0:
        raise Wrong(f"is {shown(cell)}; it may not be negative")
    if found >= MOST:
        raise Wrong(f"is {shown(cell)}, larger than can be kept")
    if found != found.quantize(EXACT):
        raise Wrong(f"is {shown(cell)}; at most four decimals can be kept")
    return found


def listed(cell: str, _: How) -> Jsonb:
    """Read a list of texts: one a line or after a semicolon; blank is an empty list."""
    return Jsonb([part.strip() for part in re.split("[;\\n]", cell) if part.strip()])


def percent(cell: str, how: How) -> Decimal | None:
    """Read a percentage from 0 to 100, at most three decimals."""
    return share(cell, number(cell, how))


def discount(cell: str, how: How) -> Decimal | None:
    """Read a discount as a percentage: 0.15 is 15 where the file holds fractions."""
    found = number(cell, how)
    return share(cell, found * HUNDRED if found is not None and how.fractions else found)


def share(cell: str, found: Decimal | None) -> Decimal | None:
    """See that a percentage is one, with three decimals at most."""
    if found is None:
        return None
    if not 0 <= found <= HUNDRED:
        raise Wrong(f"is {shown(cell)}, not between 0 and 100 per cent")
    if found != (kept := found.quantize(Decimal("0.001"))):
        raise Wrong(f"is {shown(cell)}; at most three decimals of a per cent can be kept")
    return kept


def whole(cell: str, how: How) -> int | None:
    found = number(cell, how)
    if found is None:
        return None
    if found != found.to_integral_value() or abs(found) > MOST_UNITS:
        raise Wrong(f"is {shown(cell)}, not a whole number up to {MOST_UNITS:,}")
    return int(found)


def units(cell: str, how: How) -> int | None:
    """Read a quantity: a whole number above 0."""
    found = whole(cell, how)
    if found is not None and found <= 0:
        raise Wrong(f"is {shown(cell)}; it must be above 0")
    return found


def level(cell: str, how: How) -> int | None:
    """Read a whole number that is not negative."""
    found = whole(cell, how)
    if found is not None and found < 0:
        raise Wrong(f"is {shown(cell)}; it may not be negative")
    return found


def between(least: int, most: int) -> Reader:
    """Return a reader of a whole number within bounds."""

    def read(cell: str, how: How) -> int | None:
        found = whole(cell, how)
        if found is not None and not least <= found <= most:
            raise Wrong(f"is {shown(cell)}, not a whole number from {least} to {most:,}")
        return found

    return read


def label(cell: str, _: How) -> str | None:
    """Read a short name that others refer to, such as a tax zone: small letters, digits, underscores."""
    word = cell.strip().lower()
    if word and not re.fullmatch("[a-z][a-z0-9_]{0,39}", word):
        raise Wrong(f"is {shown(cell)}, not a short name such as reduced_rate (letters, digits, underscores)")
    return word or None


def flag(cell: str, _: How) -> bool | None:
    word = cell.strip().lower()
    if word and word not in _TRUE | _FALSE:
        raise Wrong(f"is {shown(cell)}, not 1 or 0, true or false, yes or no")
    return word in _TRUE if word else None


def currency(cell: str, _: How) -> str | None:
    code = cell.strip().upper()
    if code and not re.fullmatch("[A-Z]{3}", code):
        raise Wrong(f"is {shown(cell)}, not an ISO 4217 code such as EUR")
    return code or None


def moment(cell: str, how: How) -> datetime | None:
    """Read a date or a time of ISO 8601; one without zone is of the org's zone, a date alone is its midnight."""
    plain = cell.strip()
    if not plain:
        return None
    shape = _DATE.fullmatch(plain)
    if shape is None and how.dates != "iso" and (other := elsewhere(plain, how)) is not None:
        return other
    try:
        if shape is None or not 1900 <= int(plain[:4]) <= 2200:
            raise ValueError
        found = datetime.fromisoformat(f"{shape['day']}T{shape['time'] or '00:00'}{shape['zone'] or ''}")
    except ValueError:
        raise Wrong(f"is {shown(cell)}, not a date such as 1996-07-04 (year-month-day)") from None
    return found if found.tzinfo else found.replace(tzinfo=how.zone)


def elsewhere(plain: str, how: How) -> datetime | None:
    """Read a date as other systems write it: 7/31/2024, 31.7.2024 14:05, 7/31/2024 2:05 PM, or Excel's number of days."""
    if _SERIAL.fullmatch(plain) and 1 <= float(plain) < 110_000:
        found = datetime(1899, 12, 30) + timedelta(seconds=round(float(plain) * 86_400))
        return found.replace(tzinfo=how.zone)
    shape = _ELSEWHERE.fullmatch(plain)
    if shape is None:
        return None
    first, second = int(shape["a"]), int(shape["b"])
    month, of_month = (first, second) if how.dates == "mdy" and shape["sign"] == "/" else (second, first)
    year = int(shape["year"]) + (2000 if len(shape["year"]) == 2 else 0)
    hour = int(shape["hour"] or 0)
    if shape["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if shape["half"].upper() == "PM" else 0)
    try:
        found = datetime(year, month, of_month, hour, int(shape["minute"] or 0), int(shape["second"] or 0))
    except ValueError:
        return None
    return found.replace(tzinfo=how.zone) if 1900 <= year <= 2200 else None


def day(cell: str, how: How) -> date | None:
    """Read a day of ISO 8601; of a time, its day in the org's zone."""
    found = moment(cell, how)
    return found.astimezone(how.zone).date() if found is not None else None


def rate(cell: str, how: How) -> Decimal | None:
    """Read an exchange rate: above 0, at most eight decimals."""
    found = number(cell, how)
    if found is not None and not 0 < found < Decimal(10) ** 10:
        raise Wrong(f"is {shown(cell)}; it must be above 0 and below ten thousand million")
    if found is not None and found != found.quantize(Decimal("0.00000001")):
        raise Wrong(f"is {shown(cell)}; at most eight decimals can be kept")
    return found


def domain(cell: str, how: How) -> str | None:
    """Read a web domain, or that of an address: lower case, without www."""
    host = _SCHEME.sub("", cell.strip().lower()).partition("/")[0].removeprefix("www.")
    return _HOST(host, how)


_SCHEME, _HOST = re.compile(r"^[a-z]+://"), text(253)


def kept(value: Decimal) -> Decimal:
    """Round half up to what the database keeps of an amount."""
    return value.quantize(EXACT, ROUND_HALF_UP)


def bare(cell: str, decimal: str) -> str:
    """Return an amount without currency and thousands signs: € 1.234,50, USD 1,234.50 and 1 234.5 are 1234.5."""
    plain = cell if cell.isdecimal() else _AROUND.sub("", cell)
    dots, commas = plain.count("."), plain.count(",")
    if dots and commas:
        sign = "." if plain.rindex(".") > plain.rindex(",") else ","
    elif dots + commas > 1:
        sign = ""
    else:
        other = "," if decimal == "." else "."
        # 1,234 has a thousands sign, 1234,5 a decimal sign
        sign = other if other in plain and not re.search(rf"{re.escape(other)}[0-9]{{3}}$", plain) else decimal
    return "".join(decimal if one == sign else one for one in plain if one == sign or one not in ".,")


def order_of(cells: Iterable[str]) -> str | None:
    """Return the order of day and month that dates with slashes can have: mdy, dmy, "" for both, None without any."""
    orders: set[str] | None = None
    for cell in cells:
        shape = _SLASHED.fullmatch(cell.strip())
        if shape is None:
            continue
        orders = orders if orders is not None else {"mdy", "dmy"}
        if int(shape[1]) > 12:
            orders.discard("mdy")
        if int(shape[2]) > 12:
            orders.discard("dmy")
    if orders is None:
        return None
    return next(iter(orders)) if len(orders) == 1 else ""
