"""The small language of filters: field → condition, as SQL whose every value is a parameter.

A condition is a value (a text without regard to case), a list (any of), null (is empty), {"from", "to"} (inclusive, for
numbers, dates and instants), {"contains"}, or {"not": condition}, which takes what is empty too. A day stands for the
whole of it in the org's zone. Besides fields there are `has` and `lacks` (fields or associations), `updated_since` and
`not_updated_for_days`.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from .. import ids
from ..errors import Refusal
from ..jsonvalue import is_array, is_object
from ..principal import Principal
from . import associations, people, subjects, words
from .entity import Kind
from .terms import Term

ARCHIVED = "archived"
SPECIAL = ("has", "lacks", "updated_since", "not_updated_for_days")
MOST = 100
"""Values in one list, and characters of one number or instant."""
TOLD = 20
"""Choices that an error names."""
LARGEST = Decimal(10) ** 24
LONGEST_AGO = 36_500
"""Days."""
_RELATIVE = re.compile(r"([+-]\d{1,5})d", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DUE = {
    Kind.TEXT: "text",
    Kind.NUMBER: "a number",
    Kind.DATE: 'a date such as 2026-01-31, "today" or "-14d"',
    Kind.INSTANT: 'a date, a time such as 2026-01-31T08:00:00Z, "today" or "-14d"',
    Kind.FLAG: "true or false",
    Kind.CHOICE: "a choice",
    Kind.RECORD: "an id",
    Kind.PERSON: 'a colleague\'s e-mail or name, or "me"',
    Kind.LIST: "text",
}
_RANGED = frozenset({Kind.NUMBER, Kind.DATE, Kind.INSTANT})
_HELD = frozenset({Kind.TEXT, Kind.LIST})
"""Kinds that {"contains"} looks into."""
_MADE = "{value}"
MOST_HELD, LONGEST_HELD = 4, 300
"""Texts that a row must hold, and characters of each."""


@dataclass
class Filters:
    """Conditions on a row `r`, as they are put together: the SQL, its parameters, who is meant."""

    who: Principal
    now: datetime
    terms: Mapping[str, Term]
    around: Mapping[str, str]
    """The associations of a row, as `associations.of` gives them."""
    where: list[str] = field(default_factory=list[str])
    params: dict[str, object] = field(default_factory=dict[str, object])
    people: list[str] = field(default_factory=list[str])
    """The texts that mean colleagues: the first is bound as %(person0)s, and `meant0` holds whom it means."""
    held: list[str] = field(default_factory=list[str])
    """Texts whose words every row that meets the conditions holds in its search_key."""

    @property
    def today(self) -> date:
        return self.who.day(self.now)

    def add(self, given: Mapping[str, Any]) -> None:
        """Add the conditions that are given.

        Raises:
            Refusal: UNKNOWN_FIELD, naming the nearest; INVALID_FILTER, saying what is due; INVALID_ID.
        """
        for name, condition in given.items():
            if name in SPECIAL:
                self.where.append(self._special(name, condition))
            else:
                term = found(name, self.terms, (*self.terms, *SPECIAL))
                self.where.append(self._condition(term, condition, 0))
                if term.search_key and (text := _held(term, condition)) and len(self.held) < MOST_HELD:
                    self.held.append(text[:LONGEST_HELD])
        if ARCHIVED not in given:
            self.where.append("r.archived_at is null")

    def put(self, value: object, cast: str) -> str:
        """Bind a value; return its place in the statement."""
        name = f"f{len(self.params)}"
        self.params[name] = value
        return f"%({name})s::{cast}"

    def _special(self, name: str, condition: Any) -> str:
        match name:
            case "updated_since":
                return self._range(self.terms["updated_at"], {"from": condition})
            case "not_updated_for_days":
                if not isinstance(condition, int) or isinstance(condition, bool) or not 0 <= condition <= LONGEST_AGO:
                    raise wrong(name, f"a whole number of days up to {LONGEST_AGO}")
                return f"r.updated_at < {self.put(self.now - timedelta(days=condition), 'timestamptz')}"
            case _:
                names = condition if is_array(condition) else [condition]
                if not names or len(names) > MOST or not all(isinstance(one, str) for one in names):
                    raise wrong(name, "names of fields or associations")
                there = [self._present(one) for one in names]
                return " and ".join(f"({'not ' if name == 'lacks' else ''}{one})" for one in there)

    def _present(self, name: str) -> str:
        if name in self.around and name not in self.terms:
            return f"exists (select from crm.{associations.TABLES[name]} x where {self.around[name]})"
        return f"not {_empty(found(name, self.terms, (*self.terms, *self.around)))}"

    def _condition(self, term: Term, condition: Any, depth: int) -> str:
        if condition is None:
            return _empty(term)
        if is_array(condition):
            if not 0 < len(condition) <= MOST or any(is_object(one) or is_array(one) for one in condition):
                raise wrong(term.name, f"a list of one to {MOST} plain values")
            return f"({' or '.join(self._condition(term, one, depth) for one in condition)})"
        if is_object(condition):
            return self._shaped(term, condition, depth)
        return self._equals(term, condition)

    def _shaped(self, term: Term, condition: dict[str, Any], depth: int) -> str:
        match sorted(condition):
            case ["not"] if depth < 3:
                return f"({self._condition(term, condition['not'], depth + 1)}) is not true"
            case ["contains"] if term.kind in _HELD:
                return self._contains(term, condition["contains"])
            case ["from"] | ["to"] | ["from", "to"] if term.kind in _RANGED:
                return self._range(term, condition)
            case _:
                shapes = ['{"not": …}']
                shapes += ['{"contains": "…"}'] if term.kind in _HELD else []
                shapes += ['{"from": …, "to": …}'] if term.kind in _RANGED else []
                raise wrong(term.name, f"{_DUE[term.kind]}, a list, null, or {' or '.join(shapes)}")

    def _contains(self, term: Term, value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise wrong(term.name, "text in contains")
        part = self.put(value, "text")
        if term.kind is Kind.LIST:
            return f"exists (select from jsonb_array_elements_text({term.sql}) e where position(lower({part}) in lower(e)) > 0)"
        if not any(c.isalnum() for c in value):
            return f"position(lower({part}) in lower({term.sql})) > 0"
        key = f"crm.search_key({part})"
        among = f"position({key} in {term.search_key}) > 0 and " if term.search_key else ""
        return f"({among}position({key} in crm.search_key({term.sql})) > 0)"

    def _equals(self, term: Term, value: Any) -> str:
        match term.kind:
            case Kind.PERSON:
                return self._person(term, value)
            case Kind.RECORD:
                return self._record(term, value)
            case Kind.INSTANT if (day := self.day(value)) is not None:
                start, end = self._starts(day), self._starts(day, after=True)
                return f"({term.sql} >= {start} and {term.sql} < {end})"
            case Kind.LIST:
                part = self.put(self._value(term, value), "text")
                return f"exists (select from jsonb_array_elements_text({term.sql}) e where lower(e) = lower({part}))"
            case Kind.TEXT:
                part = self.put(self._value(term, value), "text")
                return term.equals.replace(_MADE, part) if term.equals else f"lower({term.sql}) = lower({part})"
            case _:
                return f"{term.sql} = {self.put(self._value(term, value), term.cast)}"

    def _range(self, term: Term, bounds: Mapping[str, Any]) -> str:
        sides: list[str] = []
        for side, sign in (("from", ">="), ("to", "<=")):
            if side not in bounds:
                continue
            day = self.day(bounds[side]) if term.kind is Kind.INSTANT else None
            if day is None:
                value = self.put(self._value(term, bounds[side]), term.cast)
                sides.append(f"{term.sql} {sign} {value}")
            elif side == "from":
                sides.append(f"{term.sql} >= {self._starts(day)}")
            else:
                sides.append(f"{term.sql} < {self._starts(day, after=True)}")
        return f"({' and '.join(sides)})"

    def _starts(self, day: date, *, after: bool = False) -> str:
        """Return the instant at which a day begins in the org's zone, or the day after it."""
        one = f"({self.put(day, 'date')} + {int(after)})"
        return f"({one}::timestamp at time zone {self.put(self.who.timezone, 'text')})"

    def _person(self, term: Term, value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise wrong(term.name, _DUE[term.kind])
        if value.strip().casefold() == people.ME:
            return f"{term.sql} = %(user)s"
        if value not in self.people:
            if len(self.people) == 10:
                raise wrong(term.name, "no more than ten colleagues in one question")
            self.people.append(value)
            self.params[f"person{len(self.people) - 1}"] = value
        return f"{term.sql} = (select min(id) from meant{self.people.index(value)} having count(*) = 1)"

    def _record(self, term: Term, value: Any) -> str:
        if not isinstance(value, str):
            raise wrong(term.name, f"an id such as {ids.PREFIX[term.table or 'customers']}_12")
        if term.equals is not None:
            table, number = subjects.parse(value)
            made = term.equals.replace("{table}", self.put(table, "text"))
            return made.replace(_MADE, self.put(number, "bigint"))
        assert term.table is not None
        return f"{term.sql} = {self.put(ids.parse(term.table, value), 'bigint')}"

    def day(self, value: Any) -> date | None:
        """Return the day that a value means; None where it means none, a time for instance."""
        if not isinstance(value, str):
            return None
        word = value.strip().lower()
        if word == "today":
            return self.today
        try:
            if _DAY.fullmatch(word):
                return date.fromisoformat(word)
            if (relative := _RELATIVE.fullmatch(word)) and abs(int(relative[1])) <= LONGEST_AGO:
                return self.today + timedelta(days=int(relative[1]))
        except (ValueError, OverflowError):
            return None
        return None

    def _value(self, term: Term, value: Any) -> object:
        """Return a value as its kind holds it.

        Raises:
            Refusal: INVALID_FILTER, UNKNOWN_CHOICE.
        """
        try:
            return _READ[term.kind](self, term, value)
        except (ValueError, OverflowError, InvalidOperation):
            raise wrong(term.name, _DUE[term.kind]) from None


def _date(filters: Filters, term: Term, value: Any) -> object:
    day = filters.day(value)
    if day is None:
        raise ValueError
    return day.isoformat() if term.cast == "text" else day


def _instant(filters: Filters, _: Term, value: Any) -> object:
    if not isinstance(value, str) or len(value) > MOST or "T" not in value.upper():
        raise ValueError
    at = datetime.fromisoformat(value.strip())
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(filters.who.timezone))


def _choice(_: Filters, term: Term, value: Any) -> object:
    if not isinstance(value, str):
        raise ValueError
    # an org's own choices keep their case
    word = next((one for one in term.choices if one.lower() == value.strip().lower()), None)
    if word is None:
        near = difflib.get_close_matches(value.strip().lower()[:60], term.choices, 1, 0.4)
        hint = f"{term.name} is never {value[:60]!r}." + (f" Did you mean {near[0]!r}?" if near else "")
        raise Refusal("UNKNOWN_CHOICE", hint, field=term.name, known=list(term.choices)[:TOLD])
    return word


def _text(_: Filters, __: Term, value: Any) -> object:
    if not isinstance(value, str):
        raise ValueError
    return value


def _number(_: Filters, __: Term, value: Any) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)[: MOST + 1]) > MOST:
        raise ValueError
    number = Decimal(str(value).strip())
    if not number.is_finite() or abs(number) >= LARGEST or (number and number.adjusted() < -24):
        raise ValueError
    return number


def _flag(_: Filters, __: Term, value: Any) -> object:
    if not isinstance(value, bool):
        raise ValueError
    return value


_READ: Mapping[Kind, Callable[[Filters, Term, Any], object]] = {
    Kind.TEXT: _text,
    Kind.LIST: _text,
    Kind.NUMBER: _number,
    Kind.DATE: _date,
    Kind.INSTANT: _instant,
    Kind.FLAG: _flag,
    Kind.CHOICE: _choice,
}


def _held(term: Term, condition: Any) -> str:
    """Return words that a text holds if it meets a condition; none where there is no telling."""
    is_part = is_object(condition) and sorted(condition) == ["contains"]
    text = condition["contains"] if is_part else condition
    if not isinstance(text, str) or (term.equals is not None and term.name != "name"):
        return ""
    held = words.within(text)
    return " ".join(held) if is_part else text if held else ""


def _empty(term: Term) -> str:
    if term.is_never_empty and term.kind is not Kind.LIST:
        return "(false)"
    match term.kind:
        case Kind.LIST:
            return f"(coalesce({term.sql}, '[]') = '[]')"
        case Kind.TEXT:
            return f"({term.sql} is null or {term.sql} = '')"
        case _:
            return f"({term.sql} is null)"


def found(name: str, terms: Mapping[str, Term], known: Iterable[str]) -> Term:
    """Return a field.

    Raises:
        Refusal: UNKNOWN_FIELD, naming the nearest of those known.
    """
    if name not in terms:
        raise unknown(name, list(known))
    return terms[name]


def unknown(name: str, known: list[str]) -> Refusal:
    near = difflib.get_close_matches(name.strip().lower()[:60], known, 1, 0.5)
    hint = f"There is no field {name[:60]!r}." + (f" Did you mean {near[0]!r}?" if near else "")
    return Refusal("UNKNOWN_FIELD", hint, field=name[:60], known=known[:MOST])


def wrong(name: str, due: str) -> Refusal:
    return Refusal("INVALID_FILTER", f"{name}: give {due}.", field=name[:60])
