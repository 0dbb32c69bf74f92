"""What stands in the way of registering a relation, each with what to do about it."""

from collections.abc import Iterator, Sequence

import psycopg
from psycopg import sql

from .entry import Entry
from .found import Connection, Found

_KINDS = {
    "f": "a foreign table: row level security does not hold there. Copy what is needed into a table of this database",
    "m": "a materialized view: it has no row level security. Register the tables that it is made of, or a view over them",
    "S": "a sequence, and no table",
}
_WHOLE_NUMBERS = ("smallint", "integer", "bigint")
_ELSEWHERE = """select o.slug, w.org_column from crm.own_tables w join crm.orgs o on o.id = w.org_id
 where w.schema_name = %s and w.table_name = %s and w.org_id <> %s"""
_BELOW = """select n.nspname::text, c.relname::text, c.relkind::text, coalesce(c.reloptions, '{}'), c.oid,
  exists (select from crm.reasoning r where n.nspname = 'crm' and r.type = 'crm' and r.table_name = c.relname)
  or exists (select from crm.own_tables w where w.org_id = %(org)s and w.kind = 'table' and w.schema_name = n.nspname and w.table_name = c.relname
   and crm.own_table_fault(w) is null)
 from crm.view_parts(%(oid)s) u join pg_class c on c.oid = u.id join pg_namespace n on n.oid = c.relnamespace where c.oid <> %(oid)s order by 1, 2"""
_USED = """from crm.view_parts(%(oid)s) u join pg_rewrite r on r.ev_class = u.id
 join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = """
_UNREAD = f"""select distinct format('%%I.%%I.%%I', n.nspname, c.relname, a.attname)
 {_USED} 'pg_class'::regclass and d.refobjid <> u.id join pg_class c on c.oid = d.refobjid and c.relkind in ('r', 'p')
 join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid and a.attnum > 0
 where not has_column_privilege('crm_query', c.oid, a.attnum, 'select') order by 1"""
_CALLED = f"""select distinct d.refobjid::regprocedure::text {_USED} 'pg_proc'::regclass
 union select distinct d.refobjid::regoperator::text {_USED} 'pg_operator'::regclass order by 1"""


def is_systems(schema: str) -> bool:
    """Say whether a schema is Postgres' or the product's."""
    return schema in ("information_schema", "crm", "jobs", "query") or schema.startswith(("pg_", "query_"))


def unfit(found: Found) -> str | None:
    """Return why a relation can never be registered, whatever is said of it; None where it can."""
    if is_systems(found.schema):
        return f"the schema {found.schema} is not an org's own"
    if found.kind in _KINDS:
        return f"it is {_KINDS[found.kind]}"
    if found.is_partition:
        return f"it is a partition: register {found.parent}, of which it is a part"
    return "it belongs to an extension" if found.of_extension else None


def objections(conn: Connection, found: Found, entry: Entry, *, is_registered: bool) -> list[str]:
    """Return why a relation cannot be registered as an entry says; nothing where it can be.

    `is_registered` says that it is registered already, so that what this made there is no objection.
    """
    if (why := unfit(found)) is not None:
        return [why]
    said = [*_rights(found, is_registered), *_columns(found, entry), *_orgs(conn, found, entry)]
    said += _under(conn, found, entry) if found.is_view else _policies(found)
    return said


def _rights(found: Found, is_registered: bool) -> Iterator[str]:
    name = sql.Identifier(found.schema, found.name).as_string()
    if not found.is_ours:
        yield (
            f"it belongs to {found.owner}, whose rights crm_owner does not have: an administrator runs "
            f"`grant {found.owner} to crm_owner`, or `alter {'view' if found.is_view else 'table'} {name} owner to crm_owner`"
        )
    if not found.is_reachable:
        yield f"crm_owner may not use its schema: `grant usage on schema {found.schema} to crm_owner`"
    if "PUBLIC" in found.open_to:
        yield f"everybody has rights on it: `revoke all on {name} from public`"
    if not is_registered and ("crm_query" in found.open_to or found.columns_open):
        yield f"crm_query or everybody has rights on it already: `revoke all on {name} from crm_query, public`"


def _columns(found: Found, entry: Entry) -> Iterator[str]:
    named = {*entry.columns, *([entry.org_column] if entry.org_column else [])}
    if missing := sorted(named - found.columns.keys()):
        yield f"it has no column {', '.join(missing)}"
    odd = [
        f"{column.name} ({column.type})"
        for column in found.columns.values()
        if not column.is_shown and column.name in entry.columns
    ]
    if odd:
        yield f"an answer cannot show {', '.join(odd)}: leave such columns out, with --without COLUMN each"


def _orgs(conn: Connection, found: Found, entry: Entry) -> Iterator[str]:
    column = found.columns.get(entry.org_column or "")
    if column is not None and entry.org_value is None and column.type not in _WHOLE_NUMBERS:
        yield (
            f"{column.name} is {column.type}: the column of the org holds its number, as bigint; or say with --org-value "
            "which of its values stands for the org"
        )
    if column is not None and entry.org_value is not None:
        try:
            with conn.transaction():
                asked = sql.SQL("select 1 from {} t where t.{} = {} limit 0")
                conn.execute(
                    asked.format(
                        sql.Identifier(found.schema, found.name),
                        sql.Identifier(column.name),
                        sql.Literal(entry.org_value),
                    )
                )
        except psycopg.Error:
            yield f"--org-value cannot be compared with {column.name}, which is {column.type}"
    for slug, org_column in conn.execute(_ELSEWHERE, (found.schema, found.name, entry.org)):
        if found.is_view:
            continue
        if org_column is None:
            yield f"it belongs wholly to the org {slug}, which has registered it"
        elif entry.org_column is None:
            yield f"the org {slug} has registered rows of it, so it does not belong wholly to this one: name the column with --org-column"


def _policies(found: Found) -> Iterator[str]:
    others = found.foreign_policies
    if others and not found.row_security:
        yield f"it has policies ({', '.join(others)}), but its row level security is off: switch that on, or drop them"
    wide = [name for name in others if found.policies[name]]
    if wide:
        yield (
            f"its policies {', '.join(wide)} hold for everybody, so for queries too: say for which of your logins they are, with "
            "`alter policy … to …`"
        )


def _under(conn: Connection, found: Found, entry: Entry) -> Iterator[str]:
    """A view of the invoker's rights over what is confined itself shows one org; no other does."""
    fix = f"`alter view {found.schema}.{found.name} set (security_invoker = true)`"
    if not _invokes(found.options):
        yield f"it runs with the rights of its owner, which no row level security binds: {fix}"
    named = {"oid": found.oid, "org": entry.org}
    for schema, name, kind, options, _, is_known in conn.execute(_BELOW, named):
        if kind == "v" and not is_systems(schema):
            if not _invokes(options):
                yield f"the view {schema}.{name} under it runs with the rights of its owner"
        elif not is_known:
            yield f"{schema}.{name}, of which it is made, is no registered table: register that first, for the same org"
    called = [name for (name,) in conn.execute(_CALLED, named)]
    if called:
        yield f"it calls {', '.join(called)}, which may do anything: use functions of Postgres alone"
    unread = [name for (name,) in conn.execute(_UNREAD, named)]
    if unread:
        yield f"queries may not read {', '.join(unread)}, of which it is made"


def _invokes(options: Sequence[str]) -> bool:
    return any(
        option in ("security_invoker=true", "security_invoker=on", "security_invoker=1", "security_invoker=yes")
        for option in options
    )
