"""Make what lets free-form SQL see an own table, and no more: policies, rights to columns, a view a role; and take it back.

Each registration has views of its own, which name its org; a table has one pair of policies for all who registered it.
"""

from collections.abc import Iterator, Sequence

from psycopg import sql

from ...log import logger
from .entry import ROWS, Entry
from .found import OURS, Connection, Found, look
from .objections import objections

_TABLE = ROWS + " where w.schema_name = %s and w.table_name = %s order by w.id"
_SAME = "select definition is not distinct from crm.view_text(%s) from crm.own_tables where id = %s"
_COMMENT = "comment on policy {} on {} is {}"
_OTHERS = "(current_user <> 'crm_query')"
_SAID = "Made by crm-mcp, which switched row level security on here: other logins see and write what they did before."


def make(conn: Connection) -> None:
    """Make all of it anew, as crm_owner, in the transaction that is open: what does not fit any more is left closed."""
    conn.execute("drop schema if exists query_own cascade")
    conn.execute("create schema query_own")
    conn.execute("grant usage on schema query_own to crm_query")
    for entry in [Entry(*row) for row in conn.execute(ROWS + " order by w.kind, w.id").fetchall()]:
        try:
            with conn.transaction():
                renew(conn, entry, is_asked=False)
        except Exception as problem:
            logger().warning("an own table stays closed", table=entry.label, problem=type(problem).__name__)


def renew(conn: Connection, entry: Entry, *, is_asked: bool = True) -> list[str]:
    """Make what an entry needs anew; return what stands in its way, and then nothing is made.

    Where nobody asked for it, what was changed at the relation itself stays closed: row level security that was switched
    off, a view that was defined anew.
    """
    found = look(conn, entry.schema, entry.table)
    if found is None:
        return ["it is gone"]
    if found.is_view != (entry.kind == "view"):
        return [f"it is no {entry.kind} any more"]
    said = objections(conn, found, entry, is_registered=True)
    if not is_asked and not found.is_view and not found.row_security:
        said.append("its row level security was switched off")
    if not is_asked and found.is_view and not (conn.execute(_SAME, (found.oid, entry.id)).fetchone() or (False,))[0]:
        said.append("it, or a view under it, was defined anew")
    if not said:
        confine(conn, found)
        show(conn, entry)
    return said


def confine(conn: Connection, found: Found) -> None:
    """Give a relation the policies and rights that all its registrations need together."""
    entries = [Entry(*row) for row in conn.execute(_TABLE, (found.schema, found.name)).fetchall()]
    name = sql.Identifier(found.schema, found.name)
    columns = list(dict.fromkeys(column for entry in entries for column in (*entry.columns, *_of_org(entry))))
    there = [column for column in columns if column in found.columns]
    conn.execute(sql.SQL("revoke all on {} from crm_query").format(name))
    if there:
        listed = sql.SQL(", ").join(map(sql.Identifier, there))
        conn.execute(sql.SQL("grant select ({}) on {} to crm_query").format(listed, name))
    if found.is_view:
        conn.execute(
            "update crm.own_tables set definition = crm.view_text(%s) where schema_name = %s and table_name = %s",
            (found.oid, found.schema, found.name),
        )
        return
    for statement in _policies(found, entries):
        conn.execute(statement)
    guard = conn.execute("select crm.own_guard(%s)", (found.oid,)).fetchone()
    assert guard is not None
    conn.execute(sql.SQL(_COMMENT).format(sql.Identifier("crm_mcp_only"), name, sql.Literal(guard[0])))


def _policies(found: Found, entries: Sequence[Entry]) -> Iterator[sql.Composed]:
    name = sql.Identifier(found.schema, found.name)
    seen = sql.SQL(" or ").join(sql.SQL("({})").format(condition(entry)) for entry in entries)
    for policy, kind in (("crm_mcp_sees", sql.SQL("permissive")), ("crm_mcp_only", sql.SQL("restrictive"))):
        yield sql.SQL("drop policy if exists {} on {}").format(sql.Identifier(policy), name)
        yield sql.SQL("create policy {} on {} as {} for select to crm_query using ({})").format(
            sql.Identifier(policy), name, kind, seen
        )
    was_off = not found.row_security or "crm_mcp_others" in found.policies
    yield sql.SQL("drop policy if exists crm_mcp_others on {}").format(name)
    if was_off and not found.foreign_policies:
        yield sql.SQL("create policy crm_mcp_others on {} using {} with check {}").format(
            name, sql.SQL(_OTHERS), sql.SQL(_OTHERS)
        )
        yield sql.SQL(_COMMENT).format(sql.Identifier("crm_mcp_others"), name, sql.Literal(_SAID))
    if not found.row_security:
        yield sql.SQL("alter table {} enable row level security").format(name)


def condition(entry: Entry, row: str = "") -> sql.Composed:
    """Return the condition that a row is the entry's org's, and asked for by that org."""
    asked = sql.SQL("(select crm.query_org()) = {}").format(sql.Literal(entry.org))
    if entry.org_column is None:
        return asked
    column = sql.Identifier(row, entry.org_column) if row else sql.Identifier(entry.org_column)
    value = sql.Literal(entry.org if entry.org_value is None else entry.org_value)
    return sql.SQL("{} and {} = {}").format(asked, column, value)


def show(conn: Connection, entry: Entry) -> None:
    """Make the views of an entry, one for each role that sees it."""
    hide(conn, entry.id)
    for role in entry.roles:
        view = sql.Identifier("query_own", f"t{entry.id}_{role}")
        columns = sql.SQL(", ").join(sql.Identifier("t", column) for column in entry.shown_to(role))
        conn.execute(
            sql.SQL(
                "create view {} with (security_invoker, security_barrier) as select {} from {} t where {}"
            ).format(view, columns, sql.Identifier(entry.schema, entry.table), condition(entry, "t"))
        )
        conn.execute(sql.SQL("grant select on {} to crm_query").format(view))


def hide(conn: Connection, id: int) -> None:
    """Drop the views of an entry."""
    asked = "select relname::text from pg_class where relnamespace = 'query_own'::regnamespace and relkind = 'v' and relname ~ %s"
    for (view,) in conn.execute(asked, (f"^t{id}_",)).fetchall():
        conn.execute(sql.SQL("drop view {}").format(sql.Identifier("query_own", view)))


def release(conn: Connection, schema: str, table: str) -> list[str]:
    """Take back what a relation was given that nobody has registered any more; else leave what the others need.

    Returns what could not be taken back, or stays on purpose.
    """
    found = look(conn, schema, table)
    if found is None:
        return []
    if not found.is_ours:
        return [
            f"{schema}.{table} belongs to {found.owner} now: revoke the rights of crm_query there, and drop {', '.join(OURS)}"
        ]
    if conn.execute(_TABLE, (schema, table)).fetchone() is not None:
        confine(conn, found)
        return []
    name = sql.Identifier(schema, table)
    conn.execute(sql.SQL("revoke all on {} from crm_query").format(name))
    if found.is_view:
        return []
    for policy in OURS:
        conn.execute(sql.SQL("drop policy if exists {} on {}").format(sql.Identifier(policy), name))
    if "crm_mcp_others" not in found.policies:
        return []
    if found.foreign_policies:
        return [f"row level security stays on, for its policies {', '.join(found.foreign_policies)}"]
    conn.execute(sql.SQL("alter table {} disable row level security").format(name))
    return []


def _of_org(entry: Entry) -> list[str]:
    return [entry.org_column] if entry.org_column is not None else []
