"""A value as a file has it: exact, typed, and never a formula."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ..formulas import disarm
from ..kinds.column import Column, Sort
from ..money import minor_units

Cell = Callable[[Any], Any]


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

    def __init__(self, columns: Sequence[Column]) -> None:
        self.names = [one.name for one in columns]
        self._sorts: list[Sort] = [one.sort for one in columns]
        self._currency = next((at for at, one in enumerate(columns) if one.name == "currency"), None)

    def csv(self, row: Sequence[Any]) -> list[str]:
        """Return a row as texts: none as nothing, people's words disarmed."""
        return [
            "" if value is None else disarm(value) if sort == "text" else self._text(value, sort, row)
            for value, sort in zip(row, self._sorts, strict=True)
        ]

    def json(self, row: Sequence[Any]) -> dict[str, Any]:
        """Return a row as an object: texts as they are, amounts and other decimals as text."""
        return {
            name: value if value is None or isinstance(value, bool | int) else self._text(value, sort, row)
            for name, value, sort in zip(self.names, row, self._sorts, strict=True)
        }

    def _text(self, value: Any, sort: Sort, row: Sequence[Any]) -> str:
        if sort == "money":
            return amount(value, row[self._currency] if self._currency is not None else "")
        return str(_AS[sort](value))
