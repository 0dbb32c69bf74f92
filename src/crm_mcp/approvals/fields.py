"""A tool's arguments as a form: one field an argument, rows of fields for its lists, and back to arguments."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from annotated_types import MaxLen
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ..tool import Tool, WriteArgs
from .text import label

Kind = Literal[
    "text", "area", "number", "decimal", "date", "moment", "choice", "flag", "list", "table", "kept", "json"
]
"""`list` is a text a line, `table` a row of fields each, `kept` a list that may only be shortened, `json` the rest."""

_SHARED = frozenset(WriteArgs.model_fields)
_LONG = 400
"""Characters from which a text gets more than one line."""
_KEPT = frozenset({"base64"})
"""Columns whose content nobody types: a list with one is kept as it is, and may lose rows."""
_TITLES: Mapping[tuple[str, str], str] = {
    ("send_email_draft", "body"): "Letter",
    ("send_email_draft", "about"): "About which record",
    ("send_email_draft", "attachments"): "Attached",
    ("create_order_draft", "discount_percent"): "Discount on the whole, %",
    ("create_quote_draft", "discount_percent"): "Discount on the whole, %",
    ("update_order", "discount_percent"): "Discount on the whole, %",
}
_LINES: Mapping[tuple[str, str], int] = {("send_email_draft", "body"): 16, ("send_email_draft", "cc"): 2}
_SPARE = 1
"""Empty rows offered below a list; a button makes more."""


@dataclass(frozen=True, slots=True)
class Field:
    """One input. `columns` are those of a table's rows; `most` its longest text, or its most rows."""

    name: str
    label: str
    kind: Kind
    hint: str | None
    is_needed: bool
    options: Sequence[tuple[str, str]] = ()
    most: int | None = None
    columns: Sequence["Field"] = ()
    lines: int = 3


@dataclass(frozen=True, slots=True)
class Typed:
    """What a form held: arguments as the tool takes them (None: left out), and the inputs to show again."""

    arguments: dict[str, Any]
    inputs: dict[str, str]
    problems: dict[str, str]


PREFIX = "a."
"""What stands before the name of each input of an argument, so that none takes another's place."""


class NotThisForm(Exception):
    """The form has a field that its page has not."""


def fields_of(tool: Tool) -> list[Field]:
    """Return the fields of a tool's own arguments: not the reason, which a person gives for the edit."""
    return [_field(tool.name, name, info) for name, info in tool.args.model_fields.items() if name not in _SHARED]


def prefilled(fields: Sequence[Field], args: Mapping[str, Any], zone: tzinfo) -> dict[str, str]:
    """Return a form's inputs as a held call's arguments fill them."""
    inputs: dict[str, str] = {}
    for field in fields:
        value = args.get(field.name)
        if field.kind in ("table", "kept"):
            for i, row in enumerate(value or ()):
                for column in field.columns:
                    inputs[f"{field.name}.{i}.{column.name}"] = _shown(column, row.get(column.name), zone)
        else:
            inputs[field.name] = _shown(field, value, zone)
    return inputs


def rows_of(field: Field, inputs: Mapping[str, str], spare: int = 0) -> list[int]:
    """Return the numbers of a table's rows that are filled, and of some empty ones after them."""
    taken = [int(found[1]) for name in inputs if (found := _row(field).fullmatch(name))]
    filled = 0 if not taken else max(taken) + 1
    return list(range(min(filled + (_SPARE + spare if field.kind == "table" else 0), field.most or 1000)))


def read(fields: Sequence[Field], form: Mapping[str, str], held: Mapping[str, Any], zone: tzinfo) -> Typed:
    """Read a form's inputs back, their prefix taken off: every field is named, those left empty as None.

    Raises:
        NotThisForm: it holds a field that is not of `fields`.
    """
    typed, known = Typed({}, {}, {}), set[str]()
    for field in fields:
        if field.kind == "kept":
            _keep(field, form, held, typed, known)
        elif field.kind == "table":
            _rows(field, form, typed, known, zone)
        else:
            known.add(field.name)
            text = _clean(form.get(field.name, ""))
            typed.inputs[field.name] = text
            typed.arguments[field.name] = _value(field, text, zone, typed.problems, field.name)
    if set(form) - known:
        raise NotThisForm
    return typed


def problems_of(tool: Tool, args: Mapping[str, Any], fields: Sequence[Field]) -> dict[str, str]:
    """Return what is wrong with arguments, in words, by input; "" stands for what no field is to blame for."""
    try:
        tool.args.model_validate({name: value for name, value in args.items() if value is not None})
    except ValidationError as bad:
        names = {field.name for field in fields}
        wrong: dict[str, str] = {}
        for error in bad.errors(include_url=False, include_input=False):
            where = _input(error["loc"], names, fields)
            wrong.setdefault(where, _words(error))
        return wrong
    return {}


def _field(tool: str, name: str, info: FieldInfo) -> Field:
    kind, options, columns = _kind(info.annotation, info)
    hint = None if (tool, name) in _TITLES else info.description
    return Field(
        name,
        _TITLES.get((tool, name), label(name)),
        kind,
        hint,
        info.is_required(),
        options,
        next((mark.max_length for mark in info.metadata if isinstance(mark, MaxLen)), None),
        columns,
        _LINES.get((tool, name), 3),
    )


def _kind(annotation: Any, info: FieldInfo | None) -> tuple[Kind, Sequence[tuple[str, str]], Sequence[Field]]:
    kind = _bare(annotation)
    if kind is bool:
        return ("flag", (), ()) if kind is annotation else ("choice", (("true", "yes"), ("false", "no")), ())
    if get_origin(kind) is Literal:
        return "choice", [(str(value), label(str(value))) for value in get_args(kind)], ()
    if get_origin(kind) in (tuple, list):
        inner = _bare(get_args(kind)[0])
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            columns = [_field("", name, of) for name, of in inner.model_fields.items()]
            simple = all(column.kind not in ("table", "json", "list", "kept") for column in columns)
            if any(column.name in _KEPT for column in columns):
                return "kept", (), columns
            return ("table", (), columns) if simple else ("json", (), ())
        return ("list", (), ()) if inner is str else ("json", (), ())
    if kind is str:
        most = next((mark.max_length for mark in (info.metadata if info else ()) if isinstance(mark, MaxLen)), 0)
        return ("area" if most > _LONG else "text"), (), ()
    plain: Mapping[Any, Kind] = {
        int: "number",
        Decimal: "decimal",
        float: "decimal",
        date: "date",
        datetime: "moment",
    }
    return plain.get(kind, "json"), (), ()


def _bare(annotation: Any) -> Any:
    """Return a type without its notes and without None."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
            continue
        if get_origin(annotation) in (Union, UnionType):
            rest = [part for part in get_args(annotation) if part is not NoneType]
            if len(rest) != 1:
                return object
            annotation = rest[0]
            continue
        return annotation


def _shown(field: Field, value: Any, zone: tzinfo) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else ("" if field.kind == "flag" else "false")
    if field.kind == "list":
        return "\n".join(str(part) for part in cast("Sequence[Any]", value))
    if field.kind == "json":
        return json.dumps(value, ensure_ascii=False, indent=1)
    if field.kind == "moment":
        try:
            return datetime.fromisoformat(str(value)).astimezone(zone).strftime("%Y-%m-%dT%H:%M")
        except ValueError:
            return str(value)
    return str(value)


def _clean(text: str) -> str:
    return text.replace("\r\n", "\n")


def _value(field: Field, text: str, zone: tzinfo, problems: dict[str, str], where: str) -> Any:
    """Return what a field's text stands for; None where it is empty. What is not so is left for the tool to refuse."""
    if field.kind == "flag":
        return text == "true"
    if not text.strip():
        return None
    if field.kind == "choice":
        return {"true": True, "false": False}.get(text, text)
    if field.kind == "list":
        return [line.strip() for line in text.split("\n") if line.strip()]
    if field.kind == "moment":
        try:
            return datetime.fromisoformat(text.strip()).replace(tzinfo=zone).isoformat()
        except ValueError:
            return text
    if field.kind == "json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            problems[where] = "That is not JSON."
            return None
    return text if field.kind == "area" else text.strip()


def _rows(field: Field, form: Mapping[str, str], typed: Typed, known: set[str], zone: tzinfo) -> None:
    """Read a table's rows; those that are empty or marked to go are left out, and the others move up."""
    rows: list[dict[str, Any]] = []
    numbers = sorted({int(found[1]) for name in form if (found := _row(field).fullmatch(name))})
    for number in numbers:
        names = {column.name: f"{field.name}.{number}.{column.name}" for column in field.columns}
        drop = f"{field.name}.{number}.drop"
        known |= {*names.values(), drop}
        texts = {column: _clean(form.get(name, "")) for column, name in names.items()}
        if drop in form or not any(text.strip() for text in texts.values()):
            continue
        row: dict[str, Any] = {}
        for column in field.columns:
            where = f"{field.name}.{len(rows)}.{column.name}"
            typed.inputs[where] = texts[column.name]
            value = _value(column, texts[column.name], zone, typed.problems, where)
            if value is not None:
                row[column.name] = value
        rows.append(row)
    typed.arguments[field.name] = rows or None


def _keep(field: Field, form: Mapping[str, str], held: Mapping[str, Any], typed: Typed, known: set[str]) -> None:
    """Leave out of a held list what is marked to go; a list that loses nothing is not named."""
    rows = cast("Sequence[Mapping[str, Any]]", held.get(field.name) or ())
    drops = [f"{field.name}.{i}.drop" for i in range(len(rows))]
    known |= set(drops)
    if any(drop in form for drop in drops):
        typed.arguments[field.name] = [row for row, drop in zip(rows, drops, strict=True) if drop not in form] or None
    typed.inputs.update({drop: form[drop] for drop in drops if drop in form})


def _row(field: Field) -> re.Pattern[str]:
    return re.compile(re.escape(field.name) + r"[.](\d{1,3})[.]\w{1,40}", re.ASCII)


def _input(loc: tuple[int | str, ...], names: set[str], fields: Sequence[Field]) -> str:
    """Return the input that an error is about."""
    if not loc or loc[0] not in names:
        return ""
    field = next(field for field in fields if field.name == loc[0])
    if field.kind == "table" and len(loc) > 2:
        return ".".join(str(part) for part in loc[:3])
    return field.name


def _words(error: ErrorDetails) -> str:
    """Return what is wrong as a person would say it."""
    told: Mapping[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "This is needed."
        case "string_too_long":
            return f"Keep it to {told['max_length']} characters."
        case "string_too_short":
            return "This is needed."
        case "too_long":
            is_text = told.get("field_type") == "Value"  # pydantic's word where a validator hides the type
            return f"Keep it to {told['max_length']} characters." if is_text else f"At most {told['max_length']}."
        case "too_short":
            return "This is needed." if told.get("field_type") == "Value" else "At least one is needed."
        case "int_parsing" | "int_from_float" | "int_type":
            return "Give a whole number."
        case "decimal_parsing" | "decimal_type" | "float_parsing":
            return "Give a number such as 12.50."
        case "decimal_max_places":
            return f"At most {told['decimal_places']} digits after the point."
        case "greater_than":
            return f"It must be more than {told['gt']}."
        case "greater_than_equal":
            return f"It must be {told['ge']} or more."
        case "less_than_equal":
            return f"It must be {told['le']} or less."
        case "less_than":
            return f"It must be less than {told['lt']}."
        case "literal_error":
            return "Choose one of the list."
        case "string_pattern_mismatch":
            return "That is not of the form that is due here."
        case kind if kind.startswith(("date", "time")):
            return "Give a date such as 2026-11-30."
        case _:
            said = error["msg"].removeprefix("Value error, ").replace("Input should be", "It must be")
            return f"{said[:1].upper()}{said[1:]}."[:200]
