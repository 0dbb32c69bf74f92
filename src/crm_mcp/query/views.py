"""The views through which free-form SQL sees an org: a schema a role and type, made anew from the live catalog and the registry.

A view shows the columns that the registry describes, less those masked for the role, and the rows that the role may see
anywhere else. It runs with the rights of whoever asks (`security_invoker`), so row level security holds under it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from ..crm import subjects
from ..principal import Role
from . import hints, typed

ALWAYS = ("id", "version", "created_at", "updated_at", "created_by", "updated_by", "via_agent", "archived_at")
"""Columns that every table of an org has, shown although only some are described."""
_TABLES = """select r.table_name, r.roles, coalesce(r.schema_hint -> 'masked', '{}'),
  array(select k from jsonb_object_keys(r.schema_hint -> 'columns') k),
  array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum)
 from crm.reasoning r join pg_class c on c.relnamespace = 'crm'::regnamespace and c.relname = r.table_name and c.relkind in ('r', 'p')
 where r.type = 'crm' order by r.table_name"""
_POLICY = "org_id = (select crm.query_org())"
PEOPLE = """select u.id, u.name, u.email, m.role, m.active, m.reports_to from crm.memberships m join crm.users u on u.id = m.user_id
 where m.org_id = (select crm.query_org())"""
"""Who belongs to the org: `users` is global, so this view stands for its owner and names the org itself."""


class Table(NamedTuple):
    """A registered table: who may see it, which columns are masked for which roles, and which there are to see."""

    name: str
    roles: Sequence[str]
    masked: Mapping[str, Sequence[str]]
    columns: Sequence[str]

    def shown_to(self, role: str) -> list[str]:
        return [column for column in self.columns if role not in self.masked.get(column, ())]


def make(conn: psycopg.Connection[Any]) -> None:
    """Make all views, grants and policies of free-form SQL anew, as crm_owner, in the transaction that is open."""
    tables = list(_tables(conn))
    for statement in statements(tables):
        conn.execute(statement)
    typed.make(conn, tuple(hints.TYPED.values()), tuple(type for type in hints.SHIPPED if type != "crm"))


def _tables(conn: psycopg.Connection[Any]) -> Iterator[Table]:
    for name, roles, masked, described, there in conn.execute(_TABLES):
        shown = [column for column in there if column in {*ALWAYS, *described}]
        yield Table(name, roles, masked, shown)


def statements(tables: Iterable[Table]) -> Iterator[sql.Composed]:
    """Yield what makes the views."""
    every = list(tables)
    for role in Role:
        schema = sql.Identifier(f"query_{role.value}")
        yield sql.SQL("drop schema if exists {} cascade").format(schema)
        yield sql.SQL("create schema {}").format(schema)
        yield sql.SQL("grant usage on schema {} to crm_query").format(schema)
        names = [table.name for table in every if role.value in table.roles]
        for table in every:
            if role.value in table.roles:
                yield from _view(schema, role.value, table, names)
        yield from _people(schema)
    for table in every:
        yield from _rights(table)


def _view(schema: sql.Identifier, role: str, table: Table, seen: Sequence[str]) -> Iterator[sql.Composed]:
    name = sql.Identifier(table.name)
    yield sql.SQL(
        "create view {}.{} with (security_invoker, security_barrier) as select {} from crm.{} t "
        "where t.org_id = (select crm.query_org()){}"
    ).format(
        schema,
        name,
        sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(column)) for column in table.shown_to(role)),
        name,
        sql.SQL(_visible(table.name, role, seen)),  # pyright: ignore[reportArgumentType] made of this program's constants
    )
    yield sql.SQL("grant select on {}.{} to crm_query").format(schema, name)


def _visible(table: str, role: str, seen: Sequence[str]) -> str:
    """Return the condition that the role may see a row, beyond seeing the table, for the tables seen by it."""
    match table:
        case "tasks":
            condition = subjects.task_visible_sql("t")
        case "notes" | "documents" | "activities":
            condition = subjects.visible_sql("t")
        case "articles":
            condition = subjects.article_visible_sql("t").replace("%(role)s", f"'{role}'")
        case "preferences" | "personal_settings":
            condition = "t.user_id = %(user)s"
        case "learnings":
            condition = f"coalesce(t.user_id, %(user)s) = %(user)s and {subjects.visible_sql('t')}"
        case _:
            return ""
    them = "array[" + ", ".join(f"'{name}'" for name in seen) + "]::text[]"
    named = {"%(org)s": "(select crm.query_org())", "%(user)s": "(select crm.query_user())", subjects.SEEN: them}
    for mark, value in named.items():
        condition = condition.replace(mark, value)
    return f" and {condition}"


def _people(schema: sql.Identifier) -> Iterator[sql.Composed]:
    yield sql.SQL("create view {}.people with (security_barrier) as {}").format(schema, sql.SQL(PEOPLE))
    yield sql.SQL("grant select on {}.people to crm_query").format(schema)
    yield sql.SQL("grant create on schema {} to crm_definer").format(schema)
    yield sql.SQL("alter view {}.people owner to crm_definer").format(schema)
    yield sql.SQL("revoke create on schema {} from crm_definer").format(schema)


def _rights(table: Table) -> Iterator[sql.Composed]:
    """Yield what lets crm_query read the columns that some role sees, of one org, whatever the statement says."""
    name = sql.Identifier(table.name)
    columns = sql.SQL(", ").join(map(sql.Identifier, ["org_id", *table.columns]))
    yield sql.SQL("revoke all on crm.{} from crm_query").format(name)
    yield sql.SQL("grant select ({}) on crm.{} to crm_query").format(columns, name)
    yield sql.SQL(
        "do $do$ begin if not exists (select from pg_policy where polrelid = {}::regclass and polname = 'query') then "
        "create policy query on crm.{} as restrictive for select to crm_query using ({}); end if; end $do$"
    ).format(sql.Literal(f"crm.{table.name}"), name, sql.SQL(_POLICY))
