"""One registration: which relation of which org, what of it is shown to whom, and what it means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of crm.own_tables. `org_column` null: all rows are the org's; `org_value` null: its number stands in that column."""

    org: int
    type: str
    name: str
    schema: str
    table: str
    kind: str
    org_column: str | None
    org_value: str | None
    columns: Sequence[str]
    description: str
    hint: Mapping[str, Any] = field(default_factory=dict[str, Any])
    roles: Sequence[str] = ("admin",)
    id: int = 0

    @property
    def label(self) -> str:
        """How a query writes it."""
        return f"{self.type}.{self.name}"

    def shown_to(self, role: str) -> list[str]:
        masked: Mapping[str, Sequence[str]] = self.hint.get("masked", {})
        return [column for column in self.columns if role not in masked.get(column, ())]


ROWS = """select w.org_id, w.type, w.name, w.schema_name, w.table_name, w.kind, w.org_column, w.org_value, w.columns, w.description,
  w.hint, w.roles, w.id from crm.own_tables w"""
"""The rows that `Entry` takes."""
