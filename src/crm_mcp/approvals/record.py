"""A tool's result as tables: its fields, its lists, and the totals of its lines."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from typing import Any, cast

from .cells import EMPTY, Cell, money, number, parsed, time_cell
from .text import label

FREE = frozenset(
    {
        "comment",
        "comments",
        "note",
        "notes",
        "body",
        "message",
        "reason",
        "text",
        "content",
        "subject",
        "description",
    }
)
"""Fields that hold free text, which an agent may have written."""
_ID = re.compile(r"[a-z]{2,5}_[1-9]\d{0,17}|\(new [a-z ]+\)", re.ASCII)
_NAMES = ("name", "title", "description", "number")


@dataclass(frozen=True, slots=True)
class Field:
    label: str
    cell: Cell


@dataclass(frozen=True, slots=True)
class Grid:
    """A list of records as a table; `totals` are its last rows."""

    label: str
    columns: list[str]
    numeric: list[bool]
    rows: list[list[Cell]]
    totals: list[Field]


@dataclass(frozen=True, slots=True)
class Record:
    fields: list[Field]
    grids: list[Grid]


def record_of(value: Any, zone: tzinfo) -> Record | None:
    """Return what a page shows of a tool's record, or of a list of them."""
    if isinstance(value, list):
        rows = _dicts(value)
        return Record([], [_grid("Records", rows, zone, [])]) if rows else None
    if not isinstance(value, dict) or not value:
        return None
    record = cast("dict[str, Any]", value)
    lists = {key: rows for key, part in record.items() if (rows := _dicts(part))}
    amounts = [Field(label(key), cell_of(key, part, zone)) for key, part in record.items() if is_money(part)]
    totals = amounts if "lines" in lists else []
    fields = [
        found
        for key, part in record.items()
        if key not in lists and not (totals and is_money(part))
        for found in _fields(key, part, zone)
    ]
    grids = [_grid(label(key), rows, zone, totals if key == "lines" else []) for key, rows in lists.items()]
    return Record(fields, grids)


def is_money(value: Any) -> bool:
    return isinstance(value, dict) and set(cast("dict[str, Any]", value)) == {"amount", "currency"}


def cell_of(key: str, value: Any, zone: tzinfo) -> Cell:
    """Return one value of a record; `key` tells free text from names."""
    match value:
        case None | "":
            return EMPTY
        case bool():
            return Cell("yes" if value else "no")
        case int() | float() | Decimal():
            return Cell(number(value), "number")
        case dict():
            return _nested(cast("dict[str, Any]", value))
        case list():
            return Cell(", ".join(str(part) for part in cast("list[Any]", value)) or "none")
        case _:
            return _worded(key, str(value), zone)


def _worded(key: str, value: str, zone: tzinfo) -> Cell:
    when = parsed(value)
    if when is not None:
        return time_cell(when, zone)
    if _ID.fullmatch(value):
        return Cell(value, "code")
    if key.lower().endswith("percent") and value.replace(".", "", 1).isdecimal():
        return Cell(number(value), "number")
    return Cell(value, "written" if key.lower() in FREE else "text")


def _nested(value: dict[str, Any]) -> Cell:
    if is_money(value):
        return Cell(money(value["amount"], str(value["currency"])), "number")
    name = next((str(value[key]) for key in _NAMES if value.get(key)), None)
    known = set(value) <= {*_NAMES, "id"}
    if name is not None and known:
        return Cell(name, hint=str(value["id"]) if value.get("id") else None)
    return Cell(json.dumps(value, ensure_ascii=False, default=str), "code")


def _fields(key: str, value: Any, zone: tzinfo) -> list[Field]:
    cell = cell_of(key, value, zone)
    if isinstance(value, dict) and cell.kind == "code":
        nested = cast("dict[str, Any]", value)
        return [Field(f"{label(key)}: {label(part).lower()}", cell_of(part, v, zone)) for part, v in nested.items()]
    says_nothing = cell is EMPTY or (key == "id" and cell.text.startswith("(new "))
    return [] if says_nothing else [Field(label(key), cell)]


def _dicts(value: Any) -> list[dict[str, Any]]:
    """Return a list's records; empty for anything else."""
    if not isinstance(value, list):
        return []
    parts = cast("list[Any]", value)
    return parts if parts and all(isinstance(part, dict) and not is_money(part) for part in parts) else []


def _grid(named: str, rows: Sequence[Mapping[str, Any]], zone: tzinfo, totals: list[Field]) -> Grid:
    keys = [key for key in dict.fromkeys(key for row in rows for key in row) if _says_something(key, rows)]
    cells = {key: [_in_grid(key, row.get(key), zone) for row in rows] for key in keys}
    codes = [key for key in keys if all(cell.kind in ("code", "none") for cell in cells[key])]
    first = next((key for key in keys if key not in codes and cells[key][0].kind == "text"), None)
    if first is not None and codes:
        hints = cells[codes[0]]
        cells[first] = [_hinted(cell, hint) for cell, hint in zip(cells[first], hints, strict=True)]
        keys.remove(codes[0])
    if "inStock" in cells and "quantity" in cells:
        cells["quantity"] = [_short(cell, row) for cell, row in zip(cells["quantity"], rows, strict=True)]
    numeric = [all(cell.kind in ("number", "none") for cell in cells[key]) for key in keys]
    table = [[cells[key][i] for key in keys] for i in range(len(rows))]
    return Grid(named, [label(key) for key in keys], numeric, table, totals)


def _in_grid(key: str, value: Any, zone: tzinfo) -> Cell:
    cell = cell_of(key, value, zone)
    return Cell(cell.text) if cell.kind == "written" and key.lower() == "description" else cell


def _says_something(key: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    values = [row.get(key) for row in rows]
    if key.lower().startswith("discount"):
        return any(str(value).strip("0.") for value in values if value is not None)
    return any(value not in (None, "", [], {}) for value in values)


def _hinted(cell: Cell, hint: Cell) -> Cell:
    return cell if hint is EMPTY else Cell(cell.text, cell.kind, hint.text, cell.warning, cell.iso)


def _short(cell: Cell, row: Mapping[str, Any]) -> Cell:
    """Warn where more is ordered than there is."""
    stock, wanted = row.get("inStock"), row.get("quantity")
    if isinstance(stock, int) and isinstance(wanted, int) and wanted > stock:
        return Cell(cell.text, cell.kind, warning=f"only {stock} in stock")
    return cell
