"""What a call did, as Postgres recorded it; and what of it must be the same when it is done again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from . import ids
from .errors import Refusal
from .jsonvalue import is_array, is_object

MOST = 1000
"""Rows one call may change; imports go another way."""
VOLATILE = frozenset(
    {
        "org_id",
        "version",
        "created_at",
        "written_at",
        "updated_at",
        "created_by",
        "updated_by",
        "via_agent",
        "number",
        "message_id",
    }
)
"""Columns that differ between two runs of the same call: stamps, and what is drawn at approval."""
BESIDE = {"subject_id": "subject_type", "record_id": "entity"}
"""Columns that hold the id of a row whose table another column names."""
READ = """select coalesce(json_agg(json_build_object('id', id, 'tbl', tbl, 'key', key, 'op', op, 'before', before, 'after', after)
 order by id), '[]')::text from (select * from crm.changes where org_id = %s and call_id = %s
 and xact = pg_current_xact_id() order by id limit %s) c"""

Row = dict[str, Any]
References = Mapping[tuple[str, str], str]
"""(table, column) → the table whose id the column holds."""


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Rows as recorded: id, tbl, key, op (I, U, D), before and after; numbers are Decimal.

    A time equal to `clock`, the call's own, stands for "when it was done" and compares equal in every run.
    """

    rows: tuple[Row, ...]
    references: References
    clock: datetime
    text: str
    """The recorder's own JSON, whose numbers keep their digits."""

    @classmethod
    def of(cls, text: str, references: References, clock: datetime) -> "ChangeSet":
        """Read the recorder's JSON.

        Raises:
            Refusal: TOO_MANY_CHANGES, above MOST rows.
        """
        rows = tuple(json.loads(text, parse_float=Decimal))
        if len(rows) > MOST:
            raise Refusal("TOO_MANY_CHANGES", f"One call may change {MOST} rows. Split it.")
        return cls(rows, references, clock, text)

    @property
    def first(self) -> int | None:
        """The number by which what was done can be undone; None where nothing was."""
        return self.rows[0].get("id") if self.rows else None

    def tables(self, *ops: str) -> set[str]:
        return {row["tbl"] for row in self.rows if not ops or row["op"] in ops}

    def labels(self) -> dict[tuple[str, int], str]:
        """Name each new row by what it holds, not by its id or its turn: refined until references settle."""
        new = {(row["tbl"], row["key"]["id"]): row["after"] for row in self.rows if row["op"] == "I"}
        names = {key: key[0] for key in new}
        for _ in range(len(new)):
            refined = {(tbl, i): _digest(tbl, self._sayable(tbl, after, names)) for (tbl, i), after in new.items()}
            if len(set(refined.values())) == len(set(names.values())):
                return refined
            names = refined
        return names

    def normal(self) -> list[list[Any]]:
        """Return the effects in canonical form: numbers as text, new ids as labels, volatile columns gone."""
        names = self.labels()
        rows = [
            [
                row["tbl"],
                row["op"],
                self._value(row["tbl"], "id", row["key"]["id"], names),
                row["before"] and self._sayable(row["tbl"], row["before"], names),
                row["after"] and self._sayable(row["tbl"], row["after"], names),
            ]
            for row in self.rows
        ]
        return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))

    def shown(self, view: Any) -> Any:
        """Return a view with new ids as "(new order)": what a person is shown, and must still hold at approval."""
        made = [row for row in self.rows if row["op"] == "I" and row["tbl"] in ids.PREFIX]
        new = {ids.show(row["tbl"], row["key"]["id"]): f"(new {ids.NOUN[row['tbl']]})" for row in made}
        new |= {row["after"]["number"]: ids.UNDRAWN for row in made if row["after"].get("number")}

        def walk(value: Any) -> Any:
            if is_object(value):
                return {str(k): walk(v) for k, v in value.items()}
            if is_array(value):
                return [walk(v) for v in value]
            return new.get(value, value) if isinstance(value, str) else value

        return walk(view)

    def _sayable(self, table: str, side: Row, names: Mapping[tuple[str, int], str]) -> Row:
        beside = {column: side.get(named) for column, named in BESIDE.items() if column in side}
        return {
            column: self._value(table, column, value, names, beside.get(column))
            for column, value in sorted(side.items())
            if column not in VOLATILE and column != "id"
        }

    def _value(
        self, table: str, column: str, value: Any, names: Mapping[tuple[str, int], str], beside: str | None = None
    ) -> Any:
        target = beside or (table if column == "id" else self.references.get((table, column)))
        if target is not None and isinstance(value, int) and (target, value) in names:
            return names[target, value]
        if isinstance(value, str) and _is_instant(value, self.clock):
            return "(the time of the call)"
        return _canonical(value)


def _is_instant(text: str, clock: datetime) -> bool:
    """Say whether a recorded timestamptz is the clock; the recorder writes ISO 8601 in UTC."""
    if not text.startswith(clock.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")):
        return False
    try:
        return datetime.fromisoformat(text) == clock
    except (ValueError, TypeError):
        return False


def effects_key(changes: ChangeSet, shown: Any) -> str:
    """Return the digest of what a call would do and show: equal for two runs that do the same.

    Only this program compares it, with its own; what a person approves is bound by `digest`.
    """
    said = json.dumps([changes.normal(), _canonical(shown)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(said.encode()).hexdigest()


def digest(value: object) -> str:
    """Return the SHA-256 of a value's RFC 8785 canonical JSON, in hexadecimal: anybody can compute it again."""
    import rfc8785

    return hashlib.sha256(rfc8785.dumps(_canonical(value))).hexdigest()


def _canonical(value: Any) -> Any:
    if is_object(value):
        return {str(k): _canonical(v) for k, v in value.items()}
    if is_array(value):
        return [_canonical(v) for v in value]
    match value:
        case bool() | None | str():
            return value
        case Decimal():
            text = format(value, "f")
            return text.rstrip("0").rstrip(".") if "." in text else text
        case int() | float():
            return str(value)
        case _:
            return str(value)


def _digest(table: str, row: Row) -> str:
    return f"new {table} " + hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:16]
