"""Fills a home with generated orgs of very different size: in SQL, without triggers, indexes made afterwards."""

from pathlib import Path
from typing import LiteralString, cast

import psycopg
from psycopg import sql

from crm_mcp.embedded import Home

SQL = cast(LiteralString, Path(__file__).with_name("crowd.sql").read_text(encoding="utf-8"))
LATER = """select c.relname, pg_get_indexdef(i.indexrelid) from pg_index i join pg_class c on c.oid = i.indexrelid
 join pg_class t on t.oid = i.indrelid join pg_constraint k on k.conrelid = t.oid and k.contype = 'p'
 where t.relnamespace = 'crm'::regnamespace and t.relname <> all (array['orgs', 'users', 'memberships'])
   and not exists (select from pg_constraint x where x.conindid = i.indexrelid)"""
"""The indexes that bear no constraint."""


def fill(home: Home, customers: int, lines: int, tenants: int) -> None:
    """Make the orgs `crowd-1` (the largest) to `crowd-N`, with a person of each role: sales@crowd-1.example."""
    with psycopg.connect(home.conninfo("postgres")) as conn:
        # the recorder, the guard and the foreign keys would take hours, and nothing here is anybody's
        conn.execute("set session_replication_role = replica")
        conn.execute("set maintenance_work_mem = '512MB'")
        conn.execute("set work_mem = '256MB'")
        for name, value in (("customers", customers), ("lines", lines), ("tenants", tenants)):
            conn.execute("select set_config(%s, %s, false)", (f"crowd.{name}", str(value)))
        later = conn.execute(LATER).fetchall()
        for index, _ in later:
            conn.execute(sql.SQL("drop index crm.{}").format(sql.Identifier(index)))
        conn.execute(SQL)
        for _, made in later:
            conn.execute(made)
        identities = conn.execute(
            """select c.relname from pg_attribute a join pg_class c on c.oid = a.attrelid
            where c.relnamespace = 'crm'::regnamespace and c.relkind = 'r' and a.attname = 'id' and a.attidentity <> ''"""
        ).fetchall()
        for (table,) in identities:
            conn.execute(
                sql.SQL(
                    "select setval(pg_get_serial_sequence({}, 'id'), greatest((select max(id) from crm.{}), 1))"
                ).format(sql.Literal(f"crm.{table}"), sql.Identifier(table))
            )
    with psycopg.connect(home.conninfo("postgres"), autocommit=True) as conn:
        conn.execute("vacuum analyze")
