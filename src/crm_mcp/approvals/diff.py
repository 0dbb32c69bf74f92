"""Rows that a run wrote or would write, one record after another, field by field: before and after."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from itertools import zip_longest
from typing import Any, Literal, cast

from sqlalchemy import Column

from .. import ids
from ..changes import VOLATILE
from ..crm.models import Amount, Base, references
from .cells import EMPTY, Cell, money, number, parsed, time_cell
from .record import FREE, cell_of, is_money
from .text import label

Op = Literal["I", "U", "D"]
Row = Mapping[str, Any]
_HIDDEN = (VOLATILE | {"id"}) - {"number"}
_NAMES = ("name", "number", "title", "subject", "description", "sku")
_PARTS = frozenset({"order_lines", "stock_movements", "email_attachments", "blobs", "outbox"})
"""Tables whose new records are parts of another: a receipt does not name them."""
LOOSENS = "loosens: more without a person, or with fewer"
_VERBS: Mapping[str, str] = {"I": "New", "U": "Change to", "D": "Delete"}


@dataclass(frozen=True, slots=True)
class Line:
    """One field. `before` is None where the record is new, `after` where it goes."""

    label: str
    before: Cell | None
    after: Cell | None


@dataclass(frozen=True, slots=True)
class Change:
    """One record: `title` says what happens to it, `name` which it is, `made` the noun and name of a new one."""

    op: Op
    title: str
    name: str | None
    lines: list[Line]
    made: tuple[str, str] | None


def changes_of(rows: Sequence[Row], base: str, zone: tzinfo, *, is_done: bool = False) -> list[Change]:
    """Return the rows of a run as a person reads them; `base` is the org's currency.

    Only of a run that `is_done` are new ids and document numbers said: those of a dry run are burnt.
    """
    run = _Run(rows, base, zone, is_done)
    return [found for row in rows if (found := _change(run, row)).lines or row["op"] == "D"]


def moved_of(was: Any, now: Any, zone: tzinfo, path: tuple[str, ...] = ()) -> list[Line]:
    """Return where two runs of one call showed something else: was beside now."""
    if was == now:
        return []
    if isinstance(was, dict) and isinstance(now, dict) and not (is_money(was) or is_money(now)):
        old, new = cast("dict[str, Any]", was), cast("dict[str, Any]", now)
        return [line for key in {**old, **new} for line in moved_of(old.get(key), new.get(key), zone, (*path, key))]
    if isinstance(was, list) and isinstance(now, list):
        pairs = list(zip_longest(cast("list[Any]", was), cast("list[Any]", now)))
        return [line for i, (old, new) in enumerate(pairs, 1) for line in moved_of(old, new, zone, (*path, str(i)))]
    named = " · ".join(label(part) for part in path if part != "record") or "Result"
    key = path[-1] if path else ""
    return [Line("Summary" if path == ("did",) else named, cell_of(key, was, zone), cell_of(key, now, zone))]


@dataclass(frozen=True, slots=True)
class _Run:
    """All rows of one run: what a value may refer to."""

    rows: Sequence[Row]
    base: str
    zone: tzinfo
    is_done: bool

    def find(self, table: str, key: Any) -> Row | None:
        return next((row for row in self.rows if row["tbl"] == table and row["key"]["id"] == key), None)

    def is_burnt(self, table: str, key: Any) -> bool:
        """Say whether an id was drawn by this run and will be another when it is done."""
        found = self.find(table, key)
        return found is not None and found["op"] == "I" and not self.is_done

    def currency(self, row: Row, column: str) -> str | None:
        """Return the currency of an amount: the row's own, or that of the record it belongs to."""
        if column.startswith("base_") or column == "credit_limit":
            return self.base
        side = _side(row)
        if side.get("currency") is not None:
            return str(side["currency"])
        for (table, key), target in references().items():
            parent = self.find(target, side.get(key)) if table == row["tbl"] else None
            if parent is not None and _side(parent).get("currency") is not None:
                return str(_side(parent)["currency"])
        return None


def _change(run: _Run, row: Row) -> Change:
    table, op = str(row["tbl"]), row["op"]
    sides: tuple[dict[str, Any], ...] = (row["before"] or {}, row["after"] or {})
    before, after = sides
    is_new = op == "I"
    hidden = _HIDDEN | ({"number"} if is_new and not run.is_done else set[str]())
    lines = [
        Line(
            label(_plain(table, name)),
            None if is_new else _cell(run, row, name, before.get(name)),
            None if op == "D" else _cell(run, row, name, after.get(name)),
        )
        for name in _ordered(table, {**before, **after})
        if name not in hidden and (op == "U" or {**before, **after}[name] not in (None, "", {}, []))
    ]
    if table == "policies":
        lines = [_setting(one) for one in after.get("changes", [])]
    noun = ids.NOUN.get(table, table.replace("_", " "))
    named = next((str(s[n]) for n in _NAMES if n not in hidden for s in sides if s.get(n)), None)
    says_id = table in ids.PREFIX and (run.is_done or not is_new)
    known = ids.show(table, row["key"]["id"]) if says_id else None
    name = " · ".join(part for part in (named, known) if part) or None
    made = (noun, name) if is_new and run.is_done and name and table not in _PARTS else None
    return Change(op, f"{_VERBS[op]} {noun}", name, lines, made)


def _cell(run: _Run, row: Row, name: str, value: Any) -> Cell:
    table = str(row["tbl"])
    target = references().get((table, name))
    if value is None or value == "":
        return EMPTY
    if target is not None and isinstance(value, int):
        return Cell(f"(new {ids.NOUN[target]})" if run.is_burnt(target, value) else ids.show(target, value), "code")
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if isinstance(value, (int, float, Decimal)):
        column = _columns(table).get(name)
        if column is not None and column.type is Amount:
            return Cell(money(value, run.currency(row, name)), "number")
        return Cell(number(value), "number")
    if isinstance(value, (dict, list)):
        return Cell(json.dumps(value, ensure_ascii=False, default=str), "code")
    when = parsed(value)
    if when is not None:
        return time_cell(when, run.zone)
    return Cell(str(value), "written" if name in FREE and name != "description" else "text")


def _setting(one: Mapping[str, Any]) -> Line:
    """Return a setting of the policy, old and new, with a warning where it loosens: an edition holds all of them."""
    before, after = (EMPTY if one[side] is None else Cell(str(one[side])) for side in ("before", "after"))
    return Line(
        str(one["setting"]), before, Cell(after.text, after.kind, warning=LOOSENS) if one["loosens"] else after
    )


def _side(row: Row) -> Mapping[str, Any]:
    return row["after"] or row["before"] or {}


def _plain(table: str, name: str) -> str:
    return name.removesuffix("_id") if (table, name) in references() else name


def _ordered(table: str, names: Mapping[str, Any]) -> list[str]:
    """Return columns as the model declares them; jsonb keeps an order of its own."""
    declared = list(_columns(table))
    return sorted(names, key=lambda name: declared.index(name) if name in declared else len(declared))


def _columns(table: str) -> dict[str, Column[Any]]:
    known = Base.metadata.tables.get(f"crm.{table}")
    return {} if known is None else {column.name: column for column in known.columns}
