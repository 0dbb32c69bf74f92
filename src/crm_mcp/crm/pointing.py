"""What names a record: every foreign key to its table, and every column whose table is named beside it."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from .. import ids
from ..context import Write
from . import asking
from .models import Base, references

_NAMED_BESIDE = (("subject_type", "subject_id"), ("entity", "record_id"))
OWN = frozenset({"merged_into"})
"""Columns that say what became of a record, not that something belongs to it."""


class Pointer(NamedTuple):
    """A column that holds a record's number; `kind` is the column that says of which table, where one does."""

    column: str
    kind: str | None = None

    def names(self, numbers: str, table: str) -> str:
        """Return the SQL condition that it names one of the numbers (an SQL array)."""
        of = f"{self.kind} = '{table}' and " if self.kind else ""
        return f"({of}{self.column} = any ({numbers}))"


@cache
def pointing(table: str) -> Mapping[str, Sequence[Pointer]]:
    """Return the columns that may name a record of a table, by the tables that have them."""
    found: dict[str, list[Pointer]] = {}
    for (where, column), target in references().items():
        if target == table:
            found.setdefault(where, []).append(Pointer(column))
    for one in Base.metadata.tables.values():
        for kind, column in _NAMED_BESIDE:
            if kind in one.columns and column in one.columns:
                found.setdefault(one.name, []).append(Pointer(column, kind))
    return dict(sorted(found.items()))


async def counted(ctx: Write, table: str, numbers: Sequence[int]) -> dict[str, int]:
    """Return how many rows name one of the records, by table; none that say where values came from."""
    parts = [
        f"select '{where}' as tbl, count(*) as rows from crm.{where} where org_id = %(org)s and "
        f"({' or '.join(one.names('%(numbers)s::bigint[]', table) for one in columns)})"
        for where, columns in pointing(table).items()
    ]
    row = await asking.within(ctx)(
        f"select coalesce(jsonb_object_agg(tbl, rows), '{{}}') from ({' union all '.join(parts)}) c where rows > 0",
        numbers=list(numbers),
    )
    return row[0] if row else {}


def in_words(counts: Mapping[str, int]) -> str:
    """Return counts of rows as a sentence says them: 3 contacts, 1 deal."""
    said = [
        f"{count} {ids.NOUN[table] if count == 1 else table.replace('_', ' ')}"
        for table, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        if table not in ("external_refs", "data_provenance")
    ]
    return ", ".join(said)
