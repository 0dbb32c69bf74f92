"""What free-form SQL may reach in the end: its schemas, views, columns and policies, as `catalog_checks` has it checked."""

from collections.abc import Iterable
from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]

ROLES = ("admin", "sales", "operations", "finance", "support")
TYPES = ("finance", "analytics")
SCHEMAS = {
    *("query", "query_own"),
    *(f"query_{role}" for role in ROLES),
    *(f"query_{role}_{type}" for role in ROLES for type in TYPES),
}
WITHOUT_TABLE = {"people"}
"""Registered, and no table: a view names who belongs to the org, since users are global."""
ALWAYS = {"id", "version", "created_at", "updated_at", "created_by", "updated_by", "via_agent", "archived_at"}
POLICY = ("r", "crm_query", "(org_id = ( SELECT crm.query_org() AS query_org))", None, False)
_FILTER = "(org_id = ( SELECT crm.query_org() AS query_org))"
_OPTIONS = {"people": ["security_barrier=true"]}
_OWNERS = {"people": "crm_definer"}
_FUNCTIONS = {"row_fits(integer)": ("crm_owner", False, ["search_path=pg_catalog, pg_temp"], ["crm_query"])}


def registry(conn: Connection) -> dict[str, tuple[set[str], dict[str, list[str]], list[str]]]:
    """Table → (columns described, column → roles it is masked for, roles)."""
    return {
        name: (set(hint["columns"]), hint.get("masked", {}), roles)
        for name, hint, roles in conn.execute(
            "select table_name, schema_hint, roles from crm.reasoning where type = 'crm'"
        )
    }


def typed(conn: Connection) -> dict[tuple[str, str], tuple[set[str], list[str]]]:
    """(type, table) → (columns described, roles), of the types beyond crm."""
    return {
        (type, name): (set(hint["columns"]), roles)
        for type, name, hint, roles in conn.execute(
            "select type, table_name, schema_hint, roles from crm.reasoning where type <> 'crm'"
        )
    }


def own(conn: Connection) -> dict[str, int]:
    """The views that there must be of own tables → the org that each is of."""
    rows = conn.execute("select 't' || id || '_' || role, org_id from crm.own_tables, unnest(roles) role")
    return dict(rows.fetchall())


def views(conn: Connection) -> dict[tuple[str, str], tuple[str, str, list[str], str, set[str]]]:
    """(schema, relation) → (kind, owner, options, definition, columns)."""
    return {
        (schema, name): (kind, owner, sorted(options or []), definition or "", set(columns))
        for schema, name, kind, owner, options, definition, columns in conn.execute(
            "select n.nspname, c.relname, c.relkind::text, c.relowner::regrole::text, c.reloptions,"
            " case c.relkind when 'v' then pg_get_viewdef(c.oid) end,"
            " array(select attname::text from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped)"
            " from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname ~ '^query(_|$)'"
        )
    }


def granted(conn: Connection) -> dict[tuple[str, str], set[str]]:
    """(table, crm_query) → what it has there: the columns that some role's view shows, and the org's."""
    shown: dict[str, set[str]] = {}
    for (schema, name), (*_, columns) in views(conn).items():
        if name not in WITHOUT_TABLE and schema.removeprefix("query_") in ROLES:
            shown.setdefault(name, {"org_id"}).update(columns)
    return {
        (name, "crm_query"): {f"SELECT({column})" for column in columns}
        for name, columns in shown.items()
        if name in registry(conn)
    }


def unsafe_query_schemas(conn: Connection) -> list[str]:
    """The schemas of free-form SQL belong to the owner, crm_query alone may use them, and nobody may make anything there."""
    found = {
        name: (owner, sorted(rights))
        for name, owner, rights in conn.execute(
            "select nspname, nspowner::regrole::text, array(select case x.grantee when 0 then 'PUBLIC' else x.grantee::regrole::text end"
            "  || ' ' || x.privilege_type from aclexplode(coalesce(nspacl, acldefault('n', nspowner))) x where x.grantee <> nspowner)"
            " from pg_namespace where nspname ~ '^query(_|$)'"
        )
    }
    problems = [f"there is no schema {name}" for name in sorted(SCHEMAS - found.keys())]
    problems += [f"there is another schema, {name}" for name in sorted(found.keys() - SCHEMAS)]
    for name, (owner, rights) in sorted(found.items()):
        if owner != "crm_owner":
            problems.append(f"the schema {name} belongs to {owner}")
        if rights != ["crm_query USAGE"]:
            problems.append(f"in the schema {name} others have {rights}")
    functions = {
        f"{name}({arguments})": (owner, definer, config or [], callers)
        for name, arguments, owner, definer, config, callers in conn.execute(
            "select p.proname, pg_get_function_identity_arguments(p.oid), p.proowner::regrole::text, p.prosecdef, p.proconfig,"
            " array(select case x.grantee when 0 then 'PUBLIC' else x.grantee::regrole::text end"
            "  from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x where x.grantee <> p.proowner)"
            " from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname ~ '^query(_|$)'"
        )
    }
    functions = {name.replace("size ", ""): known for name, known in functions.items()}
    return problems + [
        f"the function {name} of queries is {functions.get(name)}, should be {_FUNCTIONS.get(name)}"
        for name in sorted(functions.keys() | _FUNCTIONS.keys())
        if functions.get(name) != _FUNCTIONS.get(name)
    ]


def unsafe_query_views(conn: Connection) -> list[str]:
    """Each role has a view of each of its tables, of unmasked columns alone, in the rights of who asks, behind a barrier."""
    known, found = registry(conn), views(conn)
    due = {(f"query_{role}", name) for name, (_, _, roles) in known.items() for role in roles}
    further = {(f"query_{role}_{type}", name) for (type, name), (_, roles) in typed(conn).items() for role in roles}
    due |= further | {("query_own", name) for name in own(conn)}
    problems = [f"{schema} has no view of {name}" for schema, name in sorted(due - found.keys())]
    problems += [f"{schema} has another relation, {name}" for schema, name in sorted(found.keys() - due)]
    for (schema, name), (kind, owner, options, definition, columns) in sorted(found.items()):
        if kind != "v":
            problems.append(f"{schema}.{name} is a relation of kind {kind}")
        if owner != _OWNERS.get(name, "crm_owner"):
            problems.append(f"{schema}.{name} belongs to {owner}")
        if options != _OPTIONS.get(name, ["security_barrier=true", "security_invoker=true"]):
            problems.append(f"{schema}.{name} has the options {options}")
        if (schema, name) not in due:
            continue
        if (schema, name) in further:
            problems += _of_views(conn, schema, name, definition, columns)
            continue
        if schema == "query_own":
            asked = f"( SELECT crm.query_org() AS query_org) = {own(conn)[name]})"
            if asked not in definition.rpartition("WHERE ")[2]:
                problems.append(f"{schema}.{name} does not name the org")
            continue
        role, (described, masked, _) = schema.removeprefix("query_"), known[name]
        hidden = {column for column, roles in masked.items() if role in roles} | _derived(conn, name)
        if name in WITHOUT_TABLE:
            problems += _people(schema, definition, columns, described)
        else:
            problems += [f"{schema}.{name} shows {column}" for column in sorted(columns - (ALWAYS | described))]
            problems += [f"{schema}.{name} shows {column}" for column in sorted(columns & hidden)]
            problems += [f"{schema}.{name} lacks {column}" for column in sorted(described - columns - hidden)]
            if not _names_the_org(definition, name):
                problems.append(f"{schema}.{name} does not name the org")
    return problems + list(_rights(conn))


def _of_views(conn: Connection, schema: str, name: str, definition: str, columns: set[str]) -> Iterable[str]:
    """A table of a further type is made of its role's views alone, and calls nothing of its own."""
    role, _, type = schema.removeprefix("query_").partition("_")
    if columns != typed(conn)[type, name][0]:
        yield f"{schema}.{name} shows {sorted(columns ^ typed(conn)[type, name][0])} otherwise than the registry"
    under = conn.execute(
        "select distinct n.nspname || '.' || c.relname from pg_rewrite r join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid"
        " and d.refclassid = 'pg_class'::regclass and d.refobjid <> r.ev_class join pg_class c on c.oid = d.refobjid"
        " join pg_namespace n on n.oid = c.relnamespace where r.ev_class = to_regclass(%s) and n.nspname <> %s",
        (f"{schema}.{name}", f"query_{role}"),
    )
    yield from (f"{schema}.{name} reads {other}" for (other,) in under)
    if "crm." in definition:
        yield f"{schema}.{name} names the schema crm"


def _people(schema: str, definition: str, columns: set[str], described: set[str]) -> Iterable[str]:
    if columns != described | {"id"}:
        yield f"{schema}.people shows {sorted(columns ^ (described | {'id'}))} otherwise than the registry"
    if not definition.rstrip(";").endswith("WHERE (m.org_id = ( SELECT crm.query_org() AS query_org))"):
        yield f"{schema}.people does not name the org"


def _names_the_org(definition: str, name: str) -> bool:
    """The first condition is the org's, and what follows narrows it."""
    head, _, condition = definition.rstrip(";").partition("\n  WHERE ")
    return head.endswith(f"FROM crm.{name} t") and (condition == _FILTER or condition.startswith(f"({_FILTER} AND "))


def _derived(conn: Connection, name: str) -> set[str]:
    """What is made of other columns, or too large to be shown."""
    found = conn.execute(
        "select attname::text from pg_attribute where attrelid = to_regclass('crm.' || %s) and attnum > 0"
        " and (attgenerated <> '' or atttypid = 'bytea'::regtype)",
        (name,),
    )
    return {column for (column,) in found}


def _rights(conn: Connection) -> Iterable[str]:
    asked = conn.execute(
        "select n.nspname, c.relname, case x.grantee when 0 then 'PUBLIC' else x.grantee::regrole::text end,"
        " x.privilege_type || case when x.is_grantable then ' grantable' else '' end"
        " from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) x"
        " where n.nspname ~ '^query(_|$)' and x.grantee <> c.relowner union all"
        " select n.nspname, c.relname || '.' || a.attname, case x.grantee when 0 then 'PUBLIC' else x.grantee::regrole::text end, x.privilege_type"
        " from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace, aclexplode(a.attacl) x"
        " where n.nspname ~ '^query(_|$)'"
    )
    for schema, name, who, privilege in asked:
        if (who, privilege) != ("crm_query", "SELECT"):
            yield f"{who} has {privilege} on {schema}.{name}"
