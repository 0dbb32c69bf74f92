"""What a report is: what it takes, what its columns mean, who may run it, and its statement."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from .. import ids
from ..errors import Refusal
from ..principal import Role
from . import period
from .period import Period

FEW_IDS = "[1:20]"
"""How a statement takes the first ids of a row; for others of them the numbers are written anew."""
TIME_GROUPS = ("week", "month", "quarter", "year", "fiscal_quarter", "fiscal_year")
"""What a report that says `when` can be grouped by, besides the groups that it declares."""
ASKING = ("compare", "group_by", "row", "ids")
"""Parameters that are of every report they make sense for."""


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter; a number above `most` counts as that."""

    name: str
    type: str
    default: object
    meaning: str
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `money` is in base currency, `amount` in that of the row's column `currency`."""

    name: str
    type: str
    total: bool
    unit: str | None
    meaning: str


@dataclass(frozen=True, slots=True)
class Key:
    """A column that names a row, with others; `in_time` where it is a month, a quarter, … in a period."""

    column: str
    in_time: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """What rows can be grouped by: an expression of the statement and what it means."""

    name: str
    expression: str
    meaning: str

    @property
    def is_time(self) -> bool:
        return self.name in TIME_GROUPS


@dataclass(frozen=True, slots=True)
class Filter:
    """What can be asked for alone: a condition of the statement, with the value bound under the filter's name."""

    name: str
    type: str
    condition: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A report's parameters: as the statement takes them, and as the result shows them."""

    bound: Mapping[str, object]
    shown: Mapping[str, object]
    group: Group | None = None
    filters: tuple[Filter, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Report:
    """A report. Its SQL names %(org)s, %(zone)s, %(currency)s, %(now)s, %(today)s and its parameters.

    `template` is the statement with {group}, {by} and {filters} in it where there are any. `own` says that an org
    added it.
    """

    name: str
    title: str
    description: str
    roles: frozenset[Role]
    template: str
    params: tuple[Param, ...] = field(default=())
    period: Period | None = None
    columns: tuple[Column, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())
    ids: str | None = None
    chart: Mapping[str, str] | None = None
    formerly: tuple[str, ...] = field(default=())
    key: tuple[Key, ...] = field(default=())
    groups: tuple[Group, ...] = field(default=())
    filters: tuple[Filter, ...] = field(default=())
    orgs: tuple[str, ...] = field(default=())
    own: bool = False

    @property
    def sql(self) -> str:
        """The statement as it is where nothing is grouped otherwise or filtered."""
        return self.statement()

    @property
    def usual(self) -> Group | None:
        """What rows are grouped by where nothing else is asked for: the group that a column is named after."""
        named = {column.name for column in self.columns}
        return next((group for group in self.groups if group.name in named), None)

    def statement(
        self, group: Group | None = None, filters: tuple[Filter, ...] = (), some_ids: tuple[int, int] | None = None
    ) -> str:
        """Return the statement grouped by something, filtered, with the ids from one number to another."""
        by = group or self.usual
        sql = self.template
        if by is not None:
            sql = sql.replace("{group}", by.expression).replace("{by}", by.name)
        sql = sql.replace("{filters}", "".join(f"\n  and {one.condition}" for one in filters))
        return sql if some_ids is None else sql.replace(FEW_IDS, f"[{int(some_ids[0])}:{int(some_ids[1])}]")

    def grouped(self, group: Group | None) -> "Report":
        """Return the report with its columns, key and chart as they are when grouped by something else."""
        usual = self.usual
        if group is None or usual is None or group == usual:
            return self
        from dataclasses import replace

        column = Column(group.name, "text", False, None, group.meaning)
        chart = self.chart and {
            **self.chart,
            **({"x": group.name, "kind": self._kind(group)} if self.chart["x"] == usual.name else {}),
        }
        return replace(
            self,
            columns=tuple(column if one.name == usual.name else one for one in self.columns),
            key=tuple(Key(group.name, group.is_time) if one.column == usual.name else one for one in self.key),
            chart=chart,
        )

    def _kind(self, group: Group) -> str:
        assert self.chart is not None
        return ("line" if group.is_time else "bar") if self.chart["kind"] == "line" else self.chart["kind"]

    def takes(self) -> list[str]:
        """Return the names of what may be given."""
        return [
            *(param.name for param in self.params),
            *(period.NAMES if self.period else ()),
            *(["compare"] if self.period and self.key else ()),
            *(["group_by"] if self.groups else ()),
            *(one.name for one in self.filters),
            *(["row", "ids"] if self.ids and self.key else ()),
        ]

    def values(self, given: Mapping[str, Any], today: date, starts: int = 1) -> Asked:
        """Return the value of each parameter; `today` is the org's day, fiscal years begin in month `starts`.

        Raises:
            Refusal: INVALID_ARGUMENT, for an unknown name, a value of another type or a period that is none.
        """
        known = {param.name: param for param in self.params}
        names = self.takes()
        for name in given:
            if name not in names and not (name == "compare" and given[name] is not None):
                hint = f"{self.name} takes {', '.join(names) or 'no parameters'}."
                raise Refusal("INVALID_ARGUMENT", hint, argument=ascii(f"parameters.{name[:60]}")[1:-1])
        own = {name: _value(param, given.get(name, param.default)) for name, param in known.items()}
        filters = tuple(one for one in self.filters if given.get(one.name) is not None)
        sought = {one.name: _sought(one, given[one.name]) for one in filters}
        group = self._group(given.get("group_by"))
        bound: dict[str, object] = {**own, **sought}
        shown: dict[str, object] = {**own, **{one.name: given[one.name] for one in filters}}
        if group is not None:
            shown["group_by"] = group.name
        if self.period is not None:
            since, until = self.period.days(given, today, starts)
            bound = {"from": since or "-infinity", "to": until or "infinity", **bound}
            shown = {"from": since, "to": until, **shown}
        return Asked(bound, shown, group, filters)

    def _group(self, name: Any) -> Group | None:
        if name is None:
            return None
        found = next((group for group in self.groups if group.name == name), None)
        if found is None:
            known = ", ".join(group.name for group in self.groups)
            raise Refusal("INVALID_ARGUMENT", f"group_by is one of {known}.", argument="parameters.group_by")
        return found


def _value(param: Param, given: Any) -> object:
    if given is None:
        return None
    try:
        found = _typed(param.type, given)
    except (ValueError, TypeError, OverflowError):
        hint = f"{param.name} must be {'an' if param.type == 'integer' else 'a'} {param.type}: {param.meaning}"
        raise Refusal("INVALID_ARGUMENT", hint, argument=f"parameters.{param.name}") from None
    return min(max(found, 1), param.most) if param.most is not None and isinstance(found, int) else found


def _typed(kind: str, given: Any) -> object:
    match kind:
        case "integer" if not isinstance(given, bool) and abs(int(given)) < 2**31 and float(given) == int(given):
            return int(given)
        case "date":
            return date.fromisoformat(str(given))
        case "text" if isinstance(given, str) and "\0" not in given:
            return given[:300]
        case _:
            raise ValueError


def _sought(one: Filter, given: Any) -> object:
    """Return the value that a filter looks for: an id's number, a text as it is to be compared."""
    kind, _, of = one.type.partition(" ")
    try:
        match kind:
            case "id":
                return ids.parse(of, _text(given))
            case "word" if given in of.split("/"):
                return given
            case "currency" if re.fullmatch(r"[A-Za-z]{3}", _text(given), re.ASCII):
                return _text(given).upper()
            case "text" | "date" | "integer":
                return _typed(kind, given)
            case _:
                raise ValueError
    except (ValueError, TypeError, OverflowError):
        wanted = f"one of {of.replace('/', ', ')}" if kind == "word" else f"a {kind}"
        hint = f"{one.name} must be {wanted}: {one.meaning}"
        raise Refusal("INVALID_ARGUMENT", hint, argument=f"parameters.{one.name}") from None


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise ValueError
    return given
