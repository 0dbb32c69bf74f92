"""Tables of the types beyond crm: views over the views of a role, so that whatever bounds those bounds these."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from ..principal import Role


@dataclass(frozen=True, slots=True)
class Typed:
    """One such table: its SELECT with each table of the CRM as `{table}`, its columns with their meanings, who sees it.

    `relationships` maps a column to the table whose id it holds.
    """

    type: str
    name: str
    description: str
    select: str
    columns: Mapping[str, str]
    roles: tuple[str, ...]
    key: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    relationships: Mapping[str, str] = field(default_factory=dict[str, str])
    searchable: tuple[str, ...] = ()
    embedding: tuple[str, ...] = ()
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    examples: tuple[tuple[str, str], ...] = ()

    @property
    def reads(self) -> set[str]:
        """The tables of the CRM that it is made of."""
        return set(re.findall(r"\{(\w+)\}", self.select))

    def hint(self) -> dict[str, Any]:
        """Return what the registry keeps of it, as S3 has it."""
        return {"columns": dict(self.columns), "relationships": dict(self.relationships)}


def make(conn: psycopg.Connection[Any], tables: tuple[Typed, ...], types: tuple[str, ...]) -> None:
    """Make the views of these types anew and have the registry say what they are, as crm_owner."""
    conn.execute("delete from crm.reasoning where type = any(%s)", (list(types),))
    for table in tables:
        conn.execute(
            "insert into crm.reasoning(type, table_name, description, schema_hint, roles, aliases) values (%s, %s, %s, %s, %s, %s)",
            (
                table.type,
                table.name,
                table.description,
                json.dumps(table.hint(), ensure_ascii=False),
                list(table.roles),
                list(table.aliases),
            ),
        )
    for role in Role:
        for type in types:
            schema = sql.Identifier(f"query_{role.value}_{type}")
            conn.execute(sql.SQL("drop schema if exists {} cascade").format(schema))
            conn.execute(sql.SQL("create schema {}").format(schema))
            conn.execute(sql.SQL("grant usage on schema {} to crm_query").format(schema))
        for table in tables:
            if role.value in table.roles:
                _view(conn, role.value, table)


def _view(conn: psycopg.Connection[Any], role: str, table: Typed) -> None:
    """Make the view of one role; where a column that it needs is masked for the role, there is none."""
    try:
        with conn.transaction():
            for statement in _statements(role, table):
                conn.execute(statement)
    except psycopg.errors.UndefinedColumn:
        return


def _statements(role: str, table: Typed) -> Iterator[sql.Composed]:
    view = sql.Identifier(f"query_{role}_{table.type}", table.name)
    parts = re.split(r"\{(\w+)\}", table.select)
    named = [
        sql.Identifier(f"query_{role}", part) if at % 2 else sql.SQL(part)  # pyright: ignore[reportArgumentType] this program's constants
        for at, part in enumerate(parts)
    ]
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    yield sql.SQL("create view {} ({}) with (security_invoker, security_barrier) as {}").format(
        view, columns, sql.Composed(named)
    )
    yield sql.SQL("grant select on {} to crm_query").format(view)
