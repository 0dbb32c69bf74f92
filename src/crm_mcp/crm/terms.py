"""The fields of a kind of record as reads use them: what each is in SQL, and how it is shown."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict
from sqlalchemy import Numeric

from .. import ids
from ..tool import View
from . import subjects
from .entity import Entity, Field, Kind
from .models import Base, Record

COMPACT: Mapping[str, tuple[str, ...]] = {
    "organizations": ("name", "domain", "industry", "city", "owner"),
    "individuals": ("name", "title", "email", "phone", "city"),
    "contacts": ("name", "title", "email", "phone", "customer", "organization", "individual"),
    "customers": ("name", "kind", "email", "phone", "city", "segment", "owner"),
    "deals": ("name", "status", "amount", "currency", "expected_close_on", "customer", "organization", "owner"),
    "leads": ("name", "kind", "status", "organization", "individual", "customer", "owner", "contacted_at"),
    "projects": ("name", "status", "customer", "organization", "owner", "due_on"),
    "tasks": ("title", "status", "priority", "due_on", "assignee", "about"),
    "notes": ("body", "about", "created_by", "written_at"),
    "documents": ("title", "url", "media_type", "about"),
    "issues": ("title", "status", "priority", "type", "customer", "assignee"),
    "products": ("sku", "name", "category", "unit_price", "currency"),
}
"""What a list shows of each, besides the id and when it last changed."""
STAMPS = ("id", "created_at", "created_by", "updated_at", "updated_by", "via_agent", "archived")
NORMALISED: Mapping[str, tuple[str, str]] = {
    "email": ("{row}.email_norm", "lower(btrim({value}))"),
    "phone": ("{row}.phone_digits", "crm.digits({value})"),
}
"""Columns of parties that are compared by a derived one, which has an index, and how a value is brought to its form."""
PARTIES = frozenset({"organizations", "individuals", "contacts", "customers"})
NAMED = PARTIES | {"deals", "leads", "projects", "products"}
"""The tables with a derived name_key."""


@dataclass(frozen=True, slots=True)
class Term:
    """A field in SQL over a row: its expression, and the JSON that shows it.

    `table` is whose id a reference takes, None for the ids of every kind of subject. `cast` is the SQL type that values
    are compared as. `equals` is the comparison with {value} where it is another than `sql` =; `search_key` the derived
    column with its words, where a free query looks in it. `column` is what changes of it are recorded under.
    """

    name: str
    kind: Kind
    sql: str
    shown: str
    cast: str
    choices: tuple[str, ...] = ()
    table: str | None = None
    equals: str | None = None
    search_key: str | None = None
    is_never_empty: bool = False
    column: str | None = None


class RecordView(View):
    """A record of any kind: its id, and the fields that are filled."""

    noun: ClassVar[str] = "record"
    nouns: ClassVar[str] = "records"
    model_config = ConfigDict(extra="allow")

    id: str


_CASTS = {
    Kind.TEXT: "text",
    Kind.NUMBER: "numeric",
    Kind.DATE: "date",
    Kind.INSTANT: "timestamptz",
    Kind.FLAG: "boolean",
    Kind.CHOICE: "text",
    Kind.RECORD: "bigint",
    Kind.PERSON: "bigint",
    Kind.LIST: "text",
}


def terms_of(
    entity: Entity, part: str | None = None, seen: Collection[str] | None = None, row: str = "r"
) -> Mapping[str, Term]:
    """Return the fields of a kind of record by name, over a row; needs %(org)s, %(role)s and %(currency)s.

    `part` narrows leads to one kind's. `seen` are the tables that the role may see, None for all: a reference to
    another is no field.
    """
    found: dict[str, Term] = {}
    parts = {kind: model for kind, model in entity.parts.items() if part in (None, kind)}
    for name, field in entity.fields().items():
        holders = [
            _alias(row, model)
            for model in parts.values()
            if field.part is not None and field.column in model.__table__.columns
        ]
        if field.part is not None and not holders:
            continue
        if field.table is None or seen is None or field.table in seen:
            found[name] = _term(entity, field, holders or [row], row)
    if entity.about:
        found["about"] = Term(
            "about", Kind.RECORD, f"{row}.subject_id", subjects.about_sql(row), "bigint",
            equals=f"({row}.subject_type = {{table}} and {row}.subject_id = {{value}})",
        )  # fmt: skip
    return found | {stamp.name: stamp for stamp in _stamps(entity, row)}


def joins(entity: Entity, row: str = "r", part: str | None = None) -> str:
    """Return the joins that a row's parts take."""
    return "".join(
        f" left join crm.{model.__tablename__} {_alias(row, model)} on {_alias(row, model)}.org_id = {row}.org_id"
        f" and {_alias(row, model)}.lead_id = {row}.id"
        for kind, model in entity.parts.items()
        if part in (None, kind)
    )


def shown_sql(entity: Entity, terms: Mapping[str, Term], names: Sequence[str], row: str = "r") -> str:
    """Return the SQL expression of a row as JSON: its id, then the fields named; what is empty is left out."""
    pairs = [f"'id', '{ids.PREFIX[entity.table]}_' || {row}.id"]
    pairs += [f"'{name}', {terms[name].shown}" for name in dict.fromkeys(names) if name in terms and name != "id"]
    pairs.append(f"'archived_at', {row}.archived_at")
    built = (f"jsonb_build_object({', '.join(pairs[at : at + 40])})" for at in range(0, len(pairs), 40))
    return f"jsonb_strip_nulls({' || '.join(built)})"


def columns_of(entity: Entity) -> Mapping[str, Mapping[str, Field]]:
    """Return the fields by the table that records their changes, and by column."""
    found: dict[str, dict[str, Field]] = {entity.table: {}}
    for field in entity.fields().values():
        models = [model for model in entity.parts.values() if field.column in model.__table__.columns]
        for table in [model.__tablename__ for model in models] if field.part else [entity.table]:
            found.setdefault(table, {})[field.column] = field
    return found


def _alias(row: str, model: type[Base]) -> str:
    return f"{row}_{model.__tablename__}"


def _term(entity: Entity, field: Field, holders: Sequence[str], row: str) -> Term:
    columns = [f"{holder}.{field.column}" for holder in holders]
    sql = columns[0] if len(columns) == 1 else f"coalesce({', '.join(columns)})"
    model: type[Record] = field.part or entity.model
    column = model.__table__.columns[field.column]
    key = f"{row}.search_key" if field.part is None and field.column in entity.search else None
    equals = None
    if entity.table in PARTIES and field.column in NORMALISED:
        there, given = NORMALISED[field.column]
        equals = f"{there.format(row=row)} = {given}"
    elif entity.table in NAMED and field.column == "name":
        equals = f"({row}.name_key = crm.name_key({{value}}) and lower({row}.name) = lower({{value}}))"
    return Term(
        field.name,
        field.kind,
        sql,
        _shown(entity, field, sql, holders[0]),
        _CASTS[field.kind],
        field.choices,
        field.table,
        equals,
        key,
        column.nullable is False and field.part is None,
        field.column,
    )


def _shown(entity: Entity, field: Field, sql: str, holder: str) -> str:
    match field.kind:
        case Kind.RECORD:
            assert field.table is not None
            return subjects.named_sql(field.table, sql)
        case Kind.PERSON:
            return f"(select u.name from crm.users u where u.id = {sql})"
        case Kind.LIST:
            return f"nullif({sql}, '[]')"
        case Kind.NUMBER:
            model: type[Record] = field.part or entity.model
            columns = model.__table__.columns
            kind = columns[field.column].type
            if not isinstance(kind, Numeric):
                return sql
            if kind.scale != 4:
                return f"trim_scale({sql})::text"
            own = "currency" in columns and not field.column.startswith("base_")
            currency = f"{holder}.currency" if own else "%(currency)s::text"
            return f"coalesce(crm.money({sql}, {currency}) ->> 'amount', trim_scale({sql})::text)"
        case _:
            return sql


def _stamps(entity: Entity, row: str) -> Iterator[Term]:
    yield Term(
        "id", Kind.RECORD, f"{row}.id", "null", "bigint", table=entity.table, is_never_empty=True,
    )  # fmt: skip
    for name in ("created_at", "updated_at"):
        yield Term(name, Kind.INSTANT, f"{row}.{name}", f"{row}.{name}", "timestamptz", is_never_empty=True)
    for name in ("created_by", "updated_by"):
        shown = f"(select u.name from crm.users u where u.id = {row}.{name})"
        yield Term(name, Kind.PERSON, f"{row}.{name}", shown, "bigint")
    yield Term("via_agent", Kind.TEXT, f"{row}.via_agent", f"{row}.via_agent", "text")
    yield Term("archived", Kind.FLAG, f"({row}.archived_at is not null)", "null", "boolean", is_never_empty=True)
