"""What a kind of record is to the generic tools: its table, its fields, who may write it, what it is also called."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Boolean, Date, DateTime, Integer, Numeric
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.elements import KeyedColumnElement

from ..principal import Role
from .models import Record, references


class Kind(StrEnum):
    """What a field holds, and so how it is filtered and checked."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    INSTANT = "instant"
    FLAG = "flag"
    CHOICE = "choice"
    RECORD = "record"
    """The id of another record; `Field.table` says of which table."""
    PERSON = "person"
    """A colleague, by e-mail, name or "me"."""
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record, named as its column; references are named without `_id`, as `organization`."""

    name: str
    kind: Kind
    column: str
    is_writable: bool
    is_required: bool = False
    choices: tuple[str, ...] = ()
    table: str | None = None
    part: type[Record] | None = None
    """The model of the part that holds it, where it is not the record's own (a job's salary)."""


@dataclass(frozen=True)
class Entity:
    """A kind of record.

    `title` is the column by which people call it, `search` the columns a free query looks in. `fixed` are fields that
    nobody writes directly, `choices` those of its columns with a list of values. `parts` are the models that hold what
    only some of its records have, by the value of `kind`. `about` says that it may be about any record
    (subject_type, subject_id).
    """

    table: str
    noun: str
    model: type[Record]
    title: str
    search: tuple[str, ...]
    writers: frozenset[Role]
    aliases: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    parts: Mapping[str, type[Record]] = field(default_factory=dict[str, type[Record]])
    about: bool = False

    def fields(self, kind: str | None = None) -> Mapping[str, Field]:
        """Return the fields by name: the record's own, then those of its parts, or of the part of one kind alone.

        Where two parts have a field of one name, the first has it; name the kind where it matters which.
        """
        found = {one.name: one for column in self.model.__table__.columns if (one := self._field(column)) is not None}
        for part in self.parts.values() if kind is None else [self.parts[kind]]:
            for column in part.__table__.columns:
                one = self._field(column, part)
                if one is not None:
                    found.setdefault(one.name, one)
        return found

    def _field(self, column: "KeyedColumnElement[Any]", part: type[Record] | None = None) -> Field | None:
        name = column.name
        if name in _STAMPS or (self.about and name in ("subject_type", "subject_id")) or (name == "lead_id" and part):
            return None
        table = references().get((self.model.__tablename__ if part is None else part.__tablename__, name))
        choices = self.choices.get(name, ())
        if table is not None:
            kind = Kind.RECORD
        elif name in _PEOPLE:
            kind = Kind.PERSON
        else:
            kind = Kind.CHOICE if choices else _kind(column)
        return Field(
            name.removesuffix("_id") if kind in (Kind.RECORD, Kind.PERSON) else name,
            kind,
            name,
            name not in self.fixed,
            name in self.required,
            choices,
            table,
            part,
        )


_STAMPS = frozenset({"org_id", "id", "version", "archived_at", "custom_fields", "merged_into"})
_PEOPLE = frozenset({"owner_id", "assignee_id"})


def _kind(column: "KeyedColumnElement[Any]") -> Kind:
    match column.type:
        case Boolean():
            return Kind.FLAG
        case BigInteger() | Integer() | Numeric():
            return Kind.NUMBER
        case DateTime():
            return Kind.INSTANT
        case Date():
            return Kind.DATE
        case JSONB():
            return Kind.LIST
        case _:
            return Kind.TEXT
