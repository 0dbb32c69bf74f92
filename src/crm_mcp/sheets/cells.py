"""A value as a file has it: exact, typed, and never a formula."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from ..formulas import disarm
from ..kinds.column import Column, Sort
from ..money import minor_units

Cell = Callable[[Any], Any]
Row = Sequence[Any]


class Heading(NamedTuple):
    """A column of a file that is no kind's own. `currency` is that of all its amounts; None: that of the row."""

    name: str
    sort: Sort
    meaning: str = ""
    currency: str | None = None


def amount(value: Decimal, currency: str) -> str:
    """Return an amount with its currency's decimals, and further ones where they are not 0."""
    whole, _, fraction = f"{value:f}".partition(".")
    fraction = fraction.rstrip("0").ljust(minor_units(currency), "0")
    return f"{whole}.{fraction}" if fraction else whole


def number(value: Decimal | int) -> str:
    return str(value) if isinstance(value, int) else f"{value.normalize():f}"


def instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat()


_AS: Mapping[Sort, Cell] = {
    "text": str,
    "word": str,
    "number": number,
    "day": str,
    "time": instant,
    "flag": lambda value: "true" if value else "false",
}


class Cells:
    """The values of one kind's rows, in the order of its columns."""

    def __init__(self, columns: Sequence[Column | Heading]) -> None:
        self.names = [one.name for one in columns]
        self.sorts: list[Sort] = [one.sort for one in columns]
        self._own = [one.currency if isinstance(one, Heading) else None for one in columns]
        self._currency = next((at for at, one in enumerate(columns) if one.name == "currency"), None)

    def csv(self, row: Row) -> list[str]:
        """Return a row as texts: none as nothing, people's words disarmed."""
        return [
            "" if value is None else disarm(value) if sort == "text" else self._text(value, sort, row, at)
            for at, (value, sort) in enumerate(zip(row, self.sorts, strict=True))
        ]

    def json(self, row: Row) -> dict[str, Any]:
        """Return a row as an object: texts as they are, amounts and other decimals as text."""
        return {
            name: value if value is None or isinstance(value, bool | int) else self._text(value, sort, row, at)
            for at, (name, value, sort) in enumerate(zip(self.names, row, self.sorts, strict=True))
        }

    def currency(self, row: Row, at: int) -> str:
        """Return the currency of an amount in a row; empty where there is none."""
        own = self._own[at]
        return own if own is not None else (row[self._currency] or "") if self._currency is not None else ""

    def _text(self, value: Any, sort: Sort, row: Row, at: int) -> str:
        if sort == "money":
            return amount(value, self.currency(row, at))
        return str(_AS[sort](value))
