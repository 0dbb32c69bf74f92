"""Reports: each a .sql file whose header says what it takes, what its columns mean and who may run it.

The header is of lines `-- key: value`: title, description, roles; and where there are any
`param: name type = default | meaning`, `period: default | what it is of`, `column: name type [total] [in unit] | meaning`,
`ids: table` (what the column `ids` of the statement numbers, with all of them counted in `id_count`),
`chart: kind x y`, `note: text` (each a rule of the definition) and `also: name` (a name it had before).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import Refusal
from ..principal import Role
from . import period
from .period import Period

HERE = Path(__file__).parent
_LINE = re.compile(r"-- (\w+): (.*)")
_PARAM = re.compile(r"(\w+) (integer|text|date) = (\S+) \| (.+)")
_PERIOD = re.compile(r"(all|this_month|last_month|\d+_days) \| (.+)")
_COLUMN = re.compile(r"(\w+) (text|integer|money|amount|date|percent)( total)?(?: in (\w+))? \| (.+)")
_CHART = re.compile(r"(bar|line|pie) (\w+) (\w+)")
_KEYS = frozenset(["title", "description", "roles", "param", "period", "column", "ids", "chart", "note", "also"])


@dataclass(frozen=True, slots=True)
class Param:
    name: str
    type: str
    default: object
    meaning: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `money` is in base currency, `amount` in that of the row's column `currency`."""

    name: str
    type: str
    total: bool
    unit: str | None
    meaning: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A report's parameters: as the statement takes them, and as the result shows them."""

    bound: Mapping[str, object]
    shown: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Report:
    """A report. Its SQL names %(org)s, %(zone)s, %(currency)s, %(now)s, %(today)s and its parameters."""

    name: str
    title: str
    description: str
    roles: frozenset[Role]
    sql: str
    params: tuple[Param, ...] = field(default=())
    period: Period | None = None
    columns: tuple[Column, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())
    ids: str | None = None
    chart: Mapping[str, str] | None = None
    formerly: tuple[str, ...] = field(default=())

    def values(self, given: Mapping[str, Any], today: date) -> Asked:
        """Return the value of each parameter; `today` is the org's day.

        Raises:
            Refusal: INVALID_ARGUMENT, for an unknown name, a value of another type or a period that is none.
        """
        known = {param.name: param for param in self.params}
        names = [*known, *(period.NAMES if self.period else ())]
        for name in given:
            if name not in names:
                hint = f"{self.name} takes {', '.join(names) or 'no parameters'}."
                raise Refusal("INVALID_ARGUMENT", hint, argument=ascii(f"parameters.{name[:60]}")[1:-1])
        own = {name: _value(param, given.get(name, param.default)) for name, param in known.items()}
        if self.period is None:
            return Asked(own, own)
        since, until = self.period.days(given, today)
        return Asked(
            {"from": since or "-infinity", "to": until or "infinity", **own}, {"from": since, "to": until, **own}
        )


def _value(param: Param, given: Any) -> object:
    if given is None:
        return None
    try:
        match param.type:
            case "integer" if not isinstance(given, bool) and abs(int(given)) < 2**31 and float(given) == int(given):
                return int(given)
            case "date":
                return date.fromisoformat(str(given))
            case "text" if isinstance(given, str) and "\0" not in given:
                return given[:300]
            case _:
                raise ValueError
    except (ValueError, TypeError, OverflowError):
        hint = f"{param.name} must be {'an' if param.type == 'integer' else 'a'} {param.type}: {param.meaning}"
        raise Refusal("INVALID_ARGUMENT", hint, argument=f"parameters.{param.name}") from None


def read(file: Path) -> Report:
    """Read a report's file.

    Raises:
        ValueError: a header line is not of the form the others have.
    """
    text = file.read_text(encoding="utf-8")
    header: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("--"):
            match = _matched(_LINE, line, file)
            if match[1] not in _KEYS:
                raise ValueError(f"{file.name}: a header has no {match[1]}")
            header.setdefault(match[1], []).append(match[2])
    params = [_matched(_PARAM, line, file) for line in header.get("param", [])]
    columns = [_matched(_COLUMN, line, file) for line in header.get("column", [])]
    periods = [_matched(_PERIOD, line, file) for line in header.get("period", [])]
    charts = [_matched(_CHART, line, file) for line in header.get("chart", [])]
    return Report(
        file.stem,
        header["title"][0],
        header["description"][0],
        frozenset(Role(role.strip()) for role in header["roles"][0].split(",")),
        "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--")),
        tuple(Param(m[1], m[2], _default(m[2], m[3]), m[4]) for m in params),
        Period(periods[0][1], periods[0][2]) if periods else None,
        tuple(Column(m[1], m[2], bool(m[3]), m[4], m[5]) for m in columns),
        tuple(header.get("note", ())),
        header["ids"][0] if "ids" in header else None,
        {"kind": charts[0][1], "x": charts[0][2], "y": charts[0][3]} if charts else None,
        tuple(header.get("also", ())),
    )


def _matched(shape: re.Pattern[str], line: str, file: Path) -> re.Match[str]:
    if (match := shape.fullmatch(line)) is None:
        raise ValueError(f"{file.name}: {line!r} is not of the form {shape.pattern}")
    return match


def _default(kind: str, text: str) -> object:
    return None if text == "null" else int(text) if kind == "integer" else text


@cache
def every() -> Mapping[str, Report]:
    """Return all reports by name."""
    return {file.stem: read(file) for file in sorted(HERE.glob("*.sql"))}


def named(name: str, role: Role) -> Report | None:
    """Return the report of a name, or of one that it had before, if the role may run it."""
    return next((r for r in every().values() if name in (r.name, *r.formerly) and role in r.roles), None)
