"""Reports: each a .sql file whose header says what it takes, what its columns mean and who may run it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import Refusal
from ..principal import Role

HERE = Path(__file__).parent
_LINE = re.compile(r"-- (\w+): (.*)")
_PARAM = re.compile(r"(\w+) (integer|text|date) = (\S+) \| (.+)")
_COLUMN = re.compile(r"(\w+) (text|integer|money|date|number)( total)? \| (.+)")


@dataclass(frozen=True, slots=True)
class Param:
    name: str
    type: str
    default: object
    meaning: str


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    total: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Report:
    """A report. Its SQL names %(org)s, %(zone)s, %(currency)s and its parameters."""

    name: str
    title: str
    description: str
    roles: frozenset[Role]
    sql: str
    params: tuple[Param, ...] = field(default=())
    columns: tuple[Column, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())

    def values(self, given: Mapping[str, Any]) -> dict[str, object]:
        """Return the value of each parameter.

        Raises:
            Refusal: INVALID_ARGUMENT, for an unknown name or a value of another type.
        """
        known = {param.name: param for param in self.params}
        for name in given:
            if name not in known:
                hint = f"{self.name} takes {', '.join(known) or 'no parameters'}."
                raise Refusal("INVALID_ARGUMENT", hint, argument=ascii(f"parameters.{name[:60]}")[1:-1])
        return {name: _value(param, given.get(name, param.default)) for name, param in known.items()}


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
        if match := _LINE.fullmatch(line):
            header.setdefault(match[1], []).append(match[2])
    params = [_matched(_PARAM, line, file) for line in header.get("param", [])]
    columns = [_matched(_COLUMN, line, file) for line in header.get("column", [])]
    return Report(
        file.stem,
        header["title"][0],
        header["description"][0],
        frozenset(Role(role.strip()) for role in header["roles"][0].split(",")),
        "\n".join(line for line in text.splitlines() if not line.startswith("--")),
        tuple(Param(m[1], m[2], _default(m[2], m[3]), m[4]) for m in params),
        tuple(Column(m[1], m[2], bool(m[3]), m[4]) for m in columns),
        tuple(header.get("note", ())),
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
