"""The simple fields of a held call as a form: what a person can change without knowing ids or schemas."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from ...approvals.text import label
from ...jsonvalue import is_array, is_object
from ...tool import WriteArgs

_ID = re.compile(r"_…")
_LONG = 300
"""Characters from which a text gets more than one line."""


def form_of(model: type[BaseModel], arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the fields: name, label, kind, value, and what limits it.

    Kinds: text, long, whole, number, flag, date, choice, list (a text a line), rows (each with fields of its own).
    What names a record by its id is left out: a person would have to guess it.
    """
    schema = _schema(model)
    required = schema.get("required", ())
    fields = (
        _field(name, part, schema, arguments.get(name), name not in required)
        for name, part in schema["properties"].items()
        if name not in WriteArgs.model_fields
    )
    return [field for field in fields if field is not None]


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _field(
    name: str, part: Mapping[str, Any], schema: Mapping[str, Any], value: Any, optional: bool
) -> dict[str, Any] | None:
    kind = _kind(part, schema)
    if kind is None:
        return None
    core = _core(part, schema)
    field: dict[str, Any] = {"name": name, "label": label(name), "kind": kind, "value": value}
    if (hint := part.get("description")) and kind != "rows":
        field["hint"] = hint
    for limit in ("maxLength", "minimum", "maximum"):
        if limit in core:
            field[limit] = core[limit]
    if optional:
        field["optional"] = True
    if kind == "choice":
        field["choices"] = core["enum"]
    if kind == "rows":
        row = _core(core["items"], schema)
        columns = [
            _field(key, column, schema, None, key not in row.get("required", ()))
            for key, column in row["properties"].items()
        ]
        field["columns"] = [column for column in columns if column is not None]
        if not field["columns"] or not is_array(value) or not value:
            return None
    return field


def _core(part: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema without its reference and without the null of an optional."""
    options = part.get("anyOf")
    if is_array(options):
        rest = [option for option in options if option != {"type": "null"}]
        part = {"type": "number"} if any(option.get("type") == "number" for option in rest) else rest[0]
    reference = part.get("$ref")
    if isinstance(reference, str):
        part = schema["$defs"][reference.removeprefix("#/$defs/")]
    return dict(part)


def _kind(part: Mapping[str, Any], schema: Mapping[str, Any]) -> str | None:
    core = _core(part, schema)
    if _ID.search(str(part.get("description") or core.get("description") or "")) or part.get("title") == "Customer":
        return None
    match core:
        case {"enum": [*_]}:
            return "choice"
        case {"type": "boolean"}:
            return "flag"
        case {"type": "integer"}:
            return "whole"
        case {"type": "number"}:
            return "number"
        case {"type": "string", "format": "date"}:
            return "date"
        case {"type": "string", "maxLength": int() as most} if most >= _LONG:
            return "long"
        case {"type": "string"} if "format" not in core:
            return "text"
        case {"type": "array", "items": items} if is_object(items):
            inner = _core(items, schema)
            if inner.get("type") == "string":
                return "list"
            return "rows" if "properties" in inner and "base64" not in inner["properties"] else None
        case _:
            return None
