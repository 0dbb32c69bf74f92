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
    """A column of a file that is no kind's own."""

    name: str
    sort: Sort
    meaning: str = ""


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
        there = {one.name: at for at, one in enumerate(columns)}
        self._currency = {"money": there.get("currency"), "base": there.get("base_currency")}

    def csv(self, row: Row) -> list[str]:
        """Return a row as texts: none as nothing, people's words disarmed."""
        return [
            "" if value is None else disarm(value) if sort == "text" else self._text(value, sort, row)
            for value, sort in zip(row, self.sorts, strict=True)
        ]

    def json(self, row: Row) -> dict[str, Any]:
        """Return a row as an object: texts as they are, amounts and other decimals as text."""
        return {
            name: value if value is None or isinstance(value, bool | int) else self._text(value, sort, row)
            for name, value, sort in zip(self.names, row, self.sorts, strict=True)
        }

    def currency(self, row: Row, sort: Sort) -> str:
        """Return the currency of an amount in a row; empty where there is none."""
        place = self._currency[sort]
        return (row[place] or "") if place is not None else ""

    def _text(self, value: Any, sort: Sort, row: Row) -> str:
        if sort in self._currency:
            return amount(value, self.currency(row, sort))
        return str(_AS[sort](value))
