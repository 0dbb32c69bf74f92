"""Register an own table, take it out again, and say how those that are registered are."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psycopg

from ...errors import Refusal
from ...principal import Role
from ..relations import Relation, Relations, nearest
from . import confine
from .described import Document, comment
from .entry import ROWS, Entry
from .found import Connection, Found, look
from .objections import is_systems, objections, unfit

LOCK = 726_300_000_001
"""The advisory lock of migrations: what they make anew, nobody changes meanwhile."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
_TAKEN = frozenset({"crm", "finance", "analytics", "public", "information_schema", "jobs"})
_PUT = """insert into crm.own_tables(org_id, type, name, schema_name, table_name, kind, org_column, org_value, columns, description, hint, roles)
 values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning id"""
_PUT_AGAIN = """update crm.own_tables set type = %s, name = %s, kind = %s, org_column = %s, org_value = %s, columns = %s, description = %s,
 hint = %s, roles = %s where org_id = %s and id = %s"""
_RELATIONS = """select r.type, r.table_name, r.aliases from crm.reasoning r where 'admin' = any (r.roles)
 union all select w.type, w.name, '{}' from crm.own_tables w where w.org_id = %s and 'admin' = any (w.roles)"""
_LISTED = """select w.org_id, w.type, w.name, w.schema_name, w.table_name, w.kind, w.org_column, w.org_value, w.columns, w.description,
  w.hint, w.roles, w.id, o.slug, crm.own_table_fault(w), w.created_at,
  exists (select from pg_namespace n where n.nspname::text = w.schema_name and n.nspowner = 'crm_owner'::regrole and n.nspname <> 'public')
 from crm.own_tables w join crm.orgs o on o.id = w.org_id where %(org)s::bigint is null or w.org_id = %(org)s order by o.slug, w.type, w.name"""


class Asked(NamedTuple):
    """What an administrator asks for; what is None is found out."""

    schema: str
    table: str
    type: str | None
    name: str | None
    org_column: str | None
    org_value: str | None
    is_whole: bool
    roles: Sequence[str]
    without: Sequence[str]
    document: Document


class Listed(NamedTuple):
    """A registered table, its org's short name, what is wrong with it, since when, and whether a backup holds it."""

    entry: Entry
    org: str
    fault: str | None
    since: Any
    is_backed_up: bool


def begin(conn: Connection) -> None:
    """Wait for who else registers or migrates; then wait five seconds for a table at the most."""
    conn.execute("set local lock_timeout = '30s'")
    conn.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
    conn.execute("set local lock_timeout = '5s'")


def names_of(conn: Connection, text: str) -> tuple[str, str]:
    """Return the schema and the table that SCHEMA.TABLE names, in quotes where they need them.

    Raises:
        Refusal: it names no table of a schema.
    """
    bad = Refusal("INVALID_ARGUMENT", 'Give SCHEMA.TABLE, such as sales.shipments or "My Schema"."My Table".')
    if "\0" in text:
        raise bad
    try:
        with conn.transaction():
            row = conn.execute("select parse_ident(%s)", (text,)).fetchone()
    except psycopg.Error:
        raise bad from None
    if row is None or len(row[0]) != 2:
        raise bad
    return row[0][0], row[0][1]


def seen(conn: Connection, schema: str, table: str) -> Found:
    """Return a relation as it is.

    Raises:
        Refusal: there is none.
    """
    found = look(conn, schema, table)
    if found is None:
        raise Refusal("UNKNOWN_TABLE", f"There is no table {schema}.{table} in this database.")
    return found


def add(conn: Connection, org: int, asked: Asked, *, replace: bool = False) -> tuple[Entry, list[str]]:
    """Register a table for an org; return what was registered, and the columns of it that nobody described.

    Raises:
        Refusal: it stands in the way of itself, or the documents of it do not fit it; nothing was changed.
    """
    found = seen(conn, asked.schema, asked.table)
    if (why := unfit(found)) is not None:
        raise _no(asked, [why])
    registered = _registered(conn, org, asked.schema, asked.table)
    if registered is not None and not replace:
        hint = f"{asked.schema}.{asked.table} is registered already, as {registered.label}: give --replace, or remove it first."
        raise Refusal("ALREADY_REGISTERED", hint)
    entry = _entry(org, asked, found)
    is_known = conn.execute(
        "select exists (select from crm.own_tables where schema_name = %s and table_name = %s)",
        (found.schema, found.name),
    ).fetchone()
    said = objections(conn, found, entry, is_registered=bool(is_known and is_known[0]))
    said += asked.document.problems(entry.columns, found) + _masks(entry, asked.document)
    if said:
        raise _no(asked, said)
    relations = _relations(conn, entry)
    told = asked.document.hint(found, entry.columns, relations)
    _related(asked.document, relations)
    entry = _stored(conn, entry, told, registered)
    confine.confine(conn, found)
    confine.show(conn, entry)
    return entry, [column for column, meaning in told["columns"].items() if not meaning]


def _no(asked: Asked, said: Sequence[str]) -> Refusal:
    return Refusal("NOT_REGISTERED", f"{asked.schema}.{asked.table} cannot be registered: {'; '.join(said)}.")


def _entry(org: int, asked: Asked, found: Found) -> Entry:
    """Fill in what was not said.

    Raises:
        Refusal: it cannot be found out.
    """
    type = asked.type or (asked.schema if _NAME.fullmatch(asked.schema) and asked.schema != "public" else "own")
    name = asked.name or asked.table
    for what, given in (("type", type), ("name", name)):
        if not _NAME.fullmatch(given):
            hint = f"Queries call a table by small letters, digits and _, 63 at the most: give --{what}, since {given[:70]!r} is none."
            raise Refusal("INVALID_ARGUMENT", hint)
    if type in _TAKEN or is_systems(type) or type.startswith("query"):
        raise Refusal("INVALID_ARGUMENT", f"The type {type} is taken: give another with --type.")
    column = None if asked.is_whole else asked.org_column or _org_column(found, asked)
    if unknown := sorted(set(asked.without) - found.columns.keys()):
        raise Refusal("UNKNOWN_COLUMN", f"--without names {', '.join(unknown)}, which is no column of it.")
    columns = [one for one in found.columns if one != column and one not in asked.without]
    if not columns:
        raise Refusal("INVALID_ARGUMENT", "No column is left to be shown.")
    kind = "view" if found.is_view else "table"
    said = asked.document.description or comment(found.comment)
    if not said:
        raise Refusal(
            "INVALID_ARGUMENT", "Say what the table holds: --description, or a comment on it in the database."
        )
    return Entry(
        org, type, name, asked.schema, asked.table, kind, column, asked.org_value, columns, said, {}, asked.roles
    )


def _org_column(found: Found, asked: Asked) -> str:
    if "org_id" in found.columns:
        return "org_id"
    hint = (
        f"Say whose the rows of {asked.schema}.{asked.table} are: --org-column COLUMN where a column holds the org's number "
        "(with --org-value VALUE where it holds something else), or --whole where all are of this org."
    )
    raise Refusal("INVALID_ARGUMENT", hint)


def _masks(entry: Entry, document: Document) -> list[str]:
    shown = {role: [c for c in entry.columns if Role(role) not in document.masked.get(c, ())] for role in entry.roles}
    return [f"{role} would see no column of it" for role, columns in shown.items() if not columns]


def _registered(conn: Connection, org: int, schema: str, table: str) -> Entry | None:
    asked = ROWS + " where w.org_id = %s and w.schema_name = %s and w.table_name = %s"
    row = conn.execute(asked, (org, schema, table)).fetchone()
    return Entry(*row) if row else None


def _relations(conn: Connection, entry: Entry) -> Relations:
    """Return the tables that an example may read: those of an administrator of the org, and the new one."""
    rows = conn.execute(_RELATIONS, (entry.org,)).fetchall()
    known = [Relation(type, name, "", f"{type}.{name}", (), tuple(aliases)) for type, name, aliases in rows]
    return Relations([*known, Relation(entry.type, entry.name, "", entry.label, tuple(entry.columns))])


def _related(document: Document, relations: Relations) -> None:
    labels = {one.label for one in relations}
    for column, table in document.relationships.items():
        if table not in labels:
            near = nearest(table, ((one.type, one.name) for one in relations))
            more = f" Is it {' or '.join(near)}?" if near else ""
            raise Refusal(
                "UNKNOWN_TABLE", f"relationships: {column} names {table}, which is no registered table.{more}"
            )


def _stored(conn: Connection, entry: Entry, told: Mapping[str, Any], registered: Entry | None) -> Entry:
    hint, lists = json.dumps(told, ensure_ascii=False), (list(entry.columns), list(entry.roles))
    try:
        with conn.transaction():
            if registered is None:
                row = conn.execute(
                    _PUT,
                    (entry.org, entry.type, entry.name, entry.schema, entry.table, entry.kind, entry.org_column, entry.org_value,
                     lists[0], entry.description, hint, lists[1]),
                ).fetchone()  # fmt: skip
                assert row is not None
                id = row[0]
            else:
                id = registered.id
                conn.execute(
                    _PUT_AGAIN,
                    (entry.type, entry.name, entry.kind, entry.org_column, entry.org_value, lists[0], entry.description, hint,
                     lists[1], entry.org, id),
                )  # fmt: skip
    except psycopg.errors.UniqueViolation:
        raise Refusal(
            "ALREADY_REGISTERED", f"Another table of the org is called {entry.label}: give another --name or --type."
        ) from None
    return Entry(
        entry.org, entry.type, entry.name, entry.schema, entry.table, entry.kind, entry.org_column, entry.org_value, entry.columns,
        entry.description, told, entry.roles, id,
    )  # fmt: skip


def pointed_at(conn: Connection, org: int) -> dict[tuple[str, str], str]:
    """Return what a table of an org may point to: schema and table → how a query writes it."""
    ours = conn.execute("select table_name from crm.reasoning where type = 'crm'").fetchall()
    own = conn.execute(ROWS + " where w.org_id = %s", (org,)).fetchall()
    entries = [Entry(*row) for row in own]
    return {("crm", name): name for (name,) in ours} | {(one.schema, one.table): one.label for one in entries}


def remove(conn: Connection, org: int, label: str) -> tuple[Entry, list[str]]:
    """Take a table out by its type and name; return what it was, and what stays of what it was given.

    Raises:
        Refusal: the org has registered none of that name.
    """
    every = [Entry(*row) for row in conn.execute(ROWS + " where w.org_id = %s", (org,)).fetchall()]
    entry = next((one for one in every if one.label == label.lower()), None)
    if entry is None:
        near = nearest(label, ((one.type, one.name) for one in every))
        raise Refusal(
            "UNKNOWN_TABLE",
            f"The org has registered no table {label[:130]!r}." + (f" Is it {' or '.join(near)}?" if near else ""),
        )
    over = _over(conn, entry)
    if over:
        raise Refusal("IN_USE", f"{', '.join(over)} is a view over it: remove that first.")
    conn.execute("delete from crm.own_tables where org_id = %s and id = %s", (org, entry.id))
    confine.hide(conn, entry.id)
    return entry, confine.release(conn, entry.schema, entry.table)


def _over(conn: Connection, entry: Entry) -> list[str]:
    """Return the registered views that are made of a table."""
    rows = conn.execute(
        """with recursive over(id) as (
             select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname::text = %s and c.relname::text = %s
             union select r.ev_class from over o join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = o.id
              and d.classid = 'pg_rewrite'::regclass join pg_rewrite r on r.oid = d.objid)
           select w.type || '.' || w.name from over o join pg_class c on c.oid = o.id join pg_namespace n on n.oid = c.relnamespace
           join crm.own_tables w on w.org_id = %s and w.schema_name = n.nspname::text and w.table_name = c.relname::text and w.id <> %s order by 1""",
        (entry.schema, entry.table, entry.org, entry.id),
    )
    return [label for (label,) in rows]


def listed(conn: Connection, org: int | None = None) -> list[Listed]:
    """Return what is registered, of one org or of all, each with what is wrong with it."""
    return [Listed(Entry(*row[:13]), *row[13:]) for row in conn.execute(_LISTED, {"org": org}).fetchall()]
