"""What a list is asked for: the fields of a plain GET form, read with care, and the links that ask the same."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as clock
from decimal import Decimal
from urllib.parse import urlencode

LONGEST = 100
"""Characters of one field; more is more than anybody looks for."""
_AMOUNT = re.compile(r"\d{1,12}([.]\d{1,4})?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_NUMBER = re.compile(r"[1-9]\d{0,17}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Option:
    """One value of a filter, and how many it would leave; None where they are not counted."""

    value: str
    text: str
    count: int | None
    chosen: bool


class Asked:
    """The fields of a list's form. What cannot be read is said in `problems`, by field, and filters nothing."""

    def __init__(self, query: Mapping[str, str], known: Iterable[str]) -> None:
        self.fields = {name: query.get(name, "").strip()[:LONGEST].replace("\0", "") for name in known}
        self.problems: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        return self.fields[name]

    @property
    def is_filtered(self) -> bool:
        return any(self.fields.values())

    def amount(self, name: str) -> Decimal | None:
        text = self.fields[name].replace(",", "")
        if not text:
            return None
        if not _AMOUNT.fullmatch(text):
            self.problems[name] = "Give an amount such as 1000."
            return None
        return Decimal(text)

    def number(self, name: str) -> int | None:
        """Return a number, as options hold it; None for anything else."""
        return int(self.fields[name]) if _NUMBER.fullmatch(self.fields[name]) else None

    def first(self, name: str, zone: tzinfo) -> datetime | None:
        """Return the first moment of a day in a zone."""
        return self._day(name, zone, 0)

    def last(self, name: str, zone: tzinfo) -> datetime | None:
        """Return the first moment after a day in a zone."""
        return self._day(name, zone, 1)

    def _day(self, name: str, zone: tzinfo, later: int) -> datetime | None:
        text = self.fields[name]
        if not text:
            return None
        try:
            if not _DAY.fullmatch(text):
                raise ValueError
            day = date.fromisoformat(text) + timedelta(days=later)
            return datetime.combine(day, clock(), zone).astimezone(UTC)
        except (ValueError, OverflowError):
            self.problems[name] = "Give a day such as 2026-11-30."
            return None

    def link(self, path: str, **more: str) -> str:
        """Return the address that asks the same, and `more`."""
        asked = {name: value for name, value in {**self.fields, **more}.items() if value}
        return f"{path}?{urlencode(asked)}" if asked else path


def options(values: Iterable[tuple[str, str]], counts: Mapping[str, int] | None, chosen: str) -> Sequence[Option]:
    """Return a filter's values with their counts; what nothing has is left out, unless it is the one chosen."""
    return [
        Option(value, text, None if counts is None else counts.get(value, 0), value == chosen)
        for value, text in values
        if counts is None or counts.get(value) or value == chosen
    ]
