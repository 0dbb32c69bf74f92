"""Own tables come back with a backup, confined as they were; and those that it does not hold are confined anew, or closed."""

import psycopg
import pytest
from psycopg import sql

from crm_mcp.query.own import register
from crm_mcp.query.own.described import Document
from crm_mcp.query.own.register import Asked
from homes import running, temporary_home

ODD = "Own $$; drop schema crm cascade; --\" {x} 'y' %s"
"""The name of a schema, as hostile as one may be."""
POLICIES = "select polname, pg_get_expr(polqual, polrelid), obj_description(oid, 'pg_policy') from pg_policy where polname like 'crm_mcp%' order by polrelid::regclass::text, 1"


@pytest.fixture(scope="module")
def furnished(loaded):
    """A home with a table in a schema of crm_owner's, a view over it, and a table in a schema of somebody else's."""
    with temporary_home(loaded) as home:
        with psycopg.connect(home.conninfo("postgres", "crm"), autocommit=True) as root:
            root.execute("create schema elsewhere; grant create, usage on schema elsewhere to crm_owner")
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            odd = sql.Identifier(ODD)
            conn.execute(sql.SQL("create schema {}").format(odd))
            for schema in (odd, sql.Identifier("elsewhere")):
                named = sql.SQL('{}."Its % table"').format(schema)
                conn.execute(
                    sql.SQL(
                        'create table {} (n bigint generated always as identity primary key, org_id bigint not null, "a ""b" text)'
                    ).format(named)
                )
                conn.execute(sql.SQL('insert into {} (org_id, "a ""b") select id, slug from crm.orgs').format(named))
            conn.execute(
                sql.SQL(
                    'create view {}.v with (security_invoker) as select t.n, t.org_id, t."a ""b" from {}."Its % table" t'
                ).format(odd, odd)
            )
            for schema, table, name in (
                (ODD, "Its % table", "kept"),
                ("elsewhere", "Its % table", "left"),
                (ODD, "v", "seen"),
            ):
                said = Asked(
                    schema, table, "own", name, None, None, False, ("admin",), (), Document(description="A test.")
                )
                register.add(conn, 1, said)
        yield home


def faults(home):
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        return {one.entry.name: one.fault for one in register.listed(conn)}


@pytest.fixture(scope="module")
def backed_up(furnished, tmp_path_factory):
    from click.testing import CliRunner

    from crm_mcp.cli import main

    file = tmp_path_factory.mktemp("own") / "crm.backup"
    patch = pytest.MonkeyPatch()
    patch.setenv("CRM_HOME", str(furnished.root))
    try:
        for words in (["backup", str(file)], ["backup", "--check", str(file)]):
            said = CliRunner().invoke(main, words)
            assert said.exit_code == 0, said.output
    finally:
        patch.undo()
    return file


def test_restored_where_they_were_they_are_confined_as_they_were(crm, furnished, backed_up):
    """What the backup does not hold loses its policies with the schema that they name, and gets them again."""
    with psycopg.connect(furnished.conninfo("crm_owner"), autocommit=True) as conn:
        before = conn.execute(POLICIES).fetchall()
        conn.execute(sql.SQL('delete from {}."Its % table"').format(sql.Identifier(ODD)))
    said = crm(furnished, "restore", backed_up, "--replace", "--force")
    assert said.exit_code == 0, said.output
    assert faults(furnished) == {"kept": None, "left": None, "seen": None}
    with psycopg.connect(furnished.conninfo("crm_owner"), autocommit=True) as conn:
        assert conn.execute(POLICIES).fetchall() == before and len(before) == 6
        assert conn.execute(
            sql.SQL('select count(*) from {}."Its % table"').format(sql.Identifier(ODD))
        ).fetchone() == (2,)


def test_restored_elsewhere_what_the_backup_does_not_hold_is_closed(crm, fresh, backed_up):
    said = crm(fresh, "restore", backed_up)
    assert said.exit_code == 0, said.output
    with running(fresh):
        assert faults(fresh) == {"kept": None, "left": "it is gone", "seen": None}


def test_a_migration_leaves_closed_what_was_changed_at_the_table(furnished, backed_up):
    from crm_mcp import migrate

    with psycopg.connect(furnished.conninfo("crm_owner"), autocommit=True) as conn:
        odd = sql.Identifier(ODD)
        conn.execute(sql.SQL('alter table elsewhere."Its % table" disable row level security').format())
        conn.execute(
            sql.SQL(
                'create or replace view {}.v with (security_invoker) as select t.n, t.org_id, \'x\' as "a ""b" from {}."Its % table" t'
            ).format(odd, odd)
        )
    migrate.upgrade(furnished.conninfo("crm_owner"))
    told = faults(furnished)
    assert told["kept"] is None
    assert "switched off" in told["left"] and "defined anew" in told["seen"]
