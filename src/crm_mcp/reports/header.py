"""The header of a report's file, typed and checked: a wrong one is named by file and line.

The header is of lines `-- key: value`: title, description, roles; and where there are any
`param: name type = default [up to most] | meaning`, `period: default | what it is of`,
`column: name type [total] [in unit] | meaning`, `key: column [in time], …` (what names a row, for comparisons),
`when: expression [as day]` (a moment, or a day: rows can be grouped by week, month, quarter, year and fiscal ones),
`group: name | expression | meaning` ({group} in the statement is the expression, {by} its name),
`filter: name type | condition | meaning` ({filters} is where conditions are added; a value is bound as %(name)s),
`ids: table` (what the column `ids` of the statement numbers, with all of them counted in `id_count`),
`chart: kind x y`, `note: text` (each a rule of the definition), `also: name` (a name it had before) and, in a folder
of an org's own reports, `org: slug, …`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from .. import ids
from ..principal import Role
from . import period
from .period import Period
from .report import ASKING, FEW_IDS, TIME_GROUPS, Column, Filter, Group, Key, Param, Report

T = TypeVar("T")
_LINE = re.compile(r"-- (\w+): (.*\S)\s*")
_PARAM = re.compile(r"(\w+) (integer|text|date) = (\S+)(?: up to (\d+))? \| (.+)")
_PERIOD = re.compile(r"(all|this_month|last_month|[1-9]\d{0,4}_days) \| (.+)")
_COLUMN = re.compile(r"(\w+) (text|integer|money|amount|date|percent)( total)?(?: in (\w+))? \| (.+)")
_KEY = re.compile(r"(\w+)( in time)?")
_WHEN = re.compile(r"(.+?)( as day)?")
_GROUP = re.compile(r"([a-z]\w*) \| (.+?) \| (.+)")
_FILTER = re.compile(r"([a-z]\w*) (text|integer|date|currency|id \w+|word [\w/]+) \| (.+?) \| (.+)")
_CHART = re.compile(r"(bar|line|pie) (\w+) (\w+)")
_ONCE = ("title", "description", "roles", "period", "key", "when", "ids", "chart", "org")
_KEYS = frozenset([*_ONCE, "param", "column", "group", "filter", "note", "also"])
_GIVEN = frozenset(["org", "zone", "currency", "now", "today", "fiscal"])
"""What every statement may name besides its own parameters."""
_TAKEN = re.compile(r"%\((\w+)\)s")
_SHAPES: Mapping[str, tuple[str, str]] = {
    "week": ('IYYY-"W"IW', "Week as ISO 8601 writes it, in the org's zone."),
    "month": ("YYYY-MM", "Month as YYYY-MM, in the org's zone."),
    "quarter": ('YYYY-"Q"Q', "Calendar quarter as YYYY-Qn, in the org's zone."),
    "year": ("YYYY", "Calendar year."),
    "fiscal_quarter": ('"FY"YYYY-"Q"Q', "Fiscal quarter as FYyyyy-Qn."),
    "fiscal_year": ('"FY"YYYY', "Fiscal year, named by the calendar year it ends in."),
}
"""How a time is written, and what that means."""


class HeaderInvalid(ValueError):
    """A header that cannot be read; its text names the file and the line."""


class _Lines:
    """The lines of a header by key, each with its number."""

    def __init__(self, text: str, name: str) -> None:
        self._name = name
        self._found: dict[str, list[tuple[int, str]]] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if line.startswith("--"):
                self._take(number, line)
        for key in ("title", "description", "roles", "column"):
            if key not in self._found:
                raise self.wrong(1, f"a report says its {key}: -- {key}: …")

    def _take(self, number: int, line: str) -> None:
        match = _LINE.fullmatch(line)
        if match is None or match[1] not in _KEYS:
            known = ", ".join(sorted(_KEYS))
            raise self.wrong(number, f"{line[:80]!r} is no line of a header: -- key: value, with a key of {known}")
        if match[1] in _ONCE and match[1] in self._found:
            raise self.wrong(number, f"{match[1]} is there already")
        self._found.setdefault(match[1], []).append((number, match[2]))

    def wrong(self, number: int, said: str) -> HeaderInvalid:
        return HeaderInvalid(f"{self._name}, line {number}: {said}")

    def texts(self, key: str) -> list[str]:
        return [text for _, text in self._found.get(key, ())]

    def one(self, key: str) -> str | None:
        return next(iter(self.texts(key)), None)

    def each(self, key: str, shape: re.Pattern[str], make: Callable[[re.Match[str]], T]) -> tuple[T, ...]:
        """Return what is made of each line of a key."""
        made: list[T] = []
        for number, text in self._found.get(key, ()):
            if (match := shape.fullmatch(text)) is None:
                raise self.wrong(number, f"{text[:80]!r} is not of the form {shape.pattern}")
            try:
                made.append(make(match))
            except ValueError as bad:
                raise self.wrong(number, str(bad)) from None
        return tuple(made)

    def listed(self, key: str, make: Callable[[str], T]) -> tuple[T, ...]:
        """Return what is made of each part of a line, which commas separate."""
        for number, text in self._found.get(key, ()):
            try:
                return tuple(make(part.strip()) for part in text.split(","))
            except ValueError as bad:
                raise self.wrong(number, str(bad)) from None
        return ()

    def hold(self, key: str, is_so: bool, said: str) -> None:
        """Raise what is wrong with a key's last line, unless it is so."""
        if not is_so:
            number = self._found[key][-1][0] if key in self._found else 1
            raise self.wrong(number, said)


def read(text: str, name: str, where: str, *, own: bool = False) -> Report:
    """Read a report's text; `where` is what its file is called in what is raised.

    Raises:
        HeaderInvalid: a line of the header is not of its form, or does not go with the others.
    """
    lines = _Lines(text, where)
    times = lines.each("when", _WHEN, lambda m: _times(m[1], is_day=bool(m[2])))
    periods = lines.each("period", _PERIOD, lambda m: Period(m[1], m[2]))
    charts = lines.each("chart", _CHART, lambda m: {"kind": m[1], "x": m[2], "y": m[3]})
    report = Report(
        name,
        lines.one("title") or "",
        lines.one("description") or "",
        frozenset(lines.listed("roles", _role)),
        "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--")),
        lines.each("param", _PARAM, _param),
        next(iter(periods), None),
        lines.each("column", _COLUMN, lambda m: Column(m[1], m[2], bool(m[3]), m[4], m[5])),
        tuple(lines.texts("note")),
        lines.one("ids"),
        next(iter(charts), None),
        tuple(lines.texts("also")),
        lines.listed("key", _key),
        (*lines.each("group", _GROUP, _group), *(group for some in times for group in some)),
        lines.each("filter", _FILTER, _filter),
        lines.listed("org", str),
        own,
    )
    _check(report, lines)
    return report


def _check(report: Report, lines: _Lines) -> None:
    """Hold the parts of a header against each other and against the statement."""
    columns = {column.name for column in report.columns}
    lines.hold("column", len(columns) == len(report.columns), "a column of that name is there already")
    amounts = any(column.type == "amount" for column in report.columns)
    lines.hold("column", not amounts or "currency" in columns, "an amount needs a column currency beside it")
    for key in report.key:
        lines.hold("key", key.column in columns, f"there is no column {key.column}")
    if report.chart:
        lines.hold("chart", {report.chart["x"], report.chart["y"]} <= columns, "a chart's x and y are columns")
    if report.ids:
        lines.hold("ids", report.ids in ids.PREFIX, f"{report.ids} is no table of records")
        lines.hold("ids", FEW_IDS in report.template, f"the statement takes the first ids as {FEW_IDS}")
    names = [one.name for one in (*report.params, *report.filters)]
    taken = {*ASKING, *(period.NAMES + period.BOUND if report.period else ()), *_GIVEN}
    where = "filter" if report.filters else "param"
    for name in names:
        lines.hold(where, names.count(name) == 1 and name not in taken, f"another parameter is called {name}")
    _check_statement(report, lines, columns)


def _check_statement(report: Report, lines: _Lines, columns: set[str]) -> None:
    sql, groups = report.template, [group.name for group in report.groups]
    own = "group" if report.groups and not lines.one("when") else "when"
    lines.hold(own, len(groups) == len(set(groups)), "two groups have the same name")
    grouping = "{group}" in sql and "{by}" in sql
    lines.hold(own, bool(groups) == grouping, "what is grouped has {group} and {by} in its statement, and no other")
    lines.hold(own, not groups or len(columns & set(groups)) == 1, "one column alone is named after a group")
    lines.hold(
        "filter", bool(report.filters) == ("{filters}" in sql), "what is filtered has {filters} in its statement"
    )
    whole = " ".join((sql, *(g.expression for g in report.groups), *(f.condition for f in report.filters)))
    known = _GIVEN | {one.name for one in (*report.params, *report.filters)}
    for name in _TAKEN.findall(whole):
        is_known = name in known or (report.period is not None and name in period.BOUND)
        lines.hold("param", is_known, f"the statement takes %({name})s, which nothing declares")
    for param in report.params:
        lines.hold("param", f"%({param.name})s" in whole, f"the statement does not take %({param.name})s")


def _param(match: re.Match[str]) -> Param:
    name, kind, default, most, meaning = match.groups()
    if most and kind != "integer":
        raise ValueError("a number alone has a most")
    found: object = None if default == "null" else int(default) if kind == "integer" else default
    return Param(name, kind, found, meaning, int(most) if most else None)


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise ValueError(f"{text!r} is no role; there are {', '.join(Role)}") from None


def _key(text: str) -> Key:
    match = _KEY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not of the form {_KEY.pattern}")
    return Key(match[1], bool(match[2]))


def _group(match: re.Match[str]) -> Group:
    if match[1] in TIME_GROUPS:
        raise ValueError(f"{match[1]} follows from `when`")
    return Group(match[1], match[2], match[3])


def _filter(match: re.Match[str]) -> Filter:
    name, kind, condition, meaning = match.groups()
    if f"%({name})s" not in condition:
        raise ValueError(f"the condition takes no %({name})s")
    if kind.startswith("id ") and kind[3:] not in ids.PREFIX:
        raise ValueError(f"{kind[3:]} is no table of records")
    return Filter(name, kind, condition, meaning)


def _times(expression: str, *, is_day: bool) -> Sequence[Group]:
    """Return the groups by time of a moment or a day."""
    local = expression if is_day else f"{expression} at time zone %(zone)s"
    moved = f"({local}) + make_interval(months => %(fiscal)s::int)"
    return [
        Group(
            name, f"to_char({moved if name.startswith('fiscal') else local}, '{_SHAPES[name][0]}')", _SHAPES[name][1]
        )
        for name in TIME_GROUPS
    ]


def read_file(file: Path, *, own: bool = False) -> Report:
    """Read a report's file; its name is the file's.

    Raises:
        HeaderInvalid
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise HeaderInvalid(f"{file.name}: cannot be read as UTF-8 text") from None
    return read(text, file.stem, file.name, own=own)
