"""No login that serves changes the schema, borrows another's rights, or shadows what a definer names."""

from collections.abc import Callable

import psycopg
import pytest
from catalog_checks import GLOBAL, UNRECORDED
from database_logins import DENIED, Login, Scene, Weaken, refused

SERVING = ("crm_agent", "crm_worker", "crm_approver")


@pytest.fixture(params=[*SERVING, "crm_query"])
def attacker(request: pytest.FixtureRequest, login: Callable[[str], Login]) -> Login:
    return login(request.param)


ALTERING = [
    "alter table crm.changes disable trigger guard",
    "alter table crm.changes disable trigger all",
    "drop trigger record on crm.orders",
    "alter table crm.orders disable row level security",
    "alter table crm.orders no force row level security",
    "alter policy tenant on crm.orders using (true)",
    "create policy wide on crm.orders using (true)",
    "alter table crm.orders owner to crm_agent",
    "alter table crm.orders add column x int",
    "truncate crm.changes",
    "truncate crm.orders cascade",
    "create trigger x before insert on crm.orders for each row execute function crm.stamp()",
    "create rule x as on insert to crm.changes do instead nothing",
    "create index on crm.orders(id)",
    "create table crm.x()",
    "create function crm.x() returns int language sql as 'select 1'",
    "create table public.x()",
    "create function public.x() returns int language sql as 'select 1'",
    "create schema x",
    "create extension dblink",
    "create event trigger x on ddl_command_start execute function crm.stamp()",
    "create publication x for table crm.orders",
    "alter function crm.guard() owner to crm_agent",
    "alter function crm.bound() set search_path = pg_temp",
    "create or replace function crm.guard() returns trigger language plpgsql as 'begin return null; end'",
    "grant select on crm.signing_key to crm_agent",
    "set session_replication_role = replica",
    "set local session_replication_role = replica",
    "alter role crm_agent bypassrls",
    "alter role crm_owner password 'x'",
    "alter role crm_definer set search_path = pg_temp",
    "alter database {database} set session_replication_role = replica",
    "alter system set fsync = off",
    "create role x",
    "copy (select 1) to program 'true'",
    "copy crm.signing_key to stdout",
    "select pg_read_file('pg_hba.conf')",
    "select lo_import('/etc/passwd')",
    "alter default privileges for role crm_owner grant select on tables to public",
]


@pytest.mark.parametrize("statement", ALTERING)
def test_no_login_alters_the_schema(login: Callable[[str], Login], statement: str):
    for role in (*SERVING, "crm_query"):
        who = login(role)
        with pytest.raises(psycopg.Error) as caught:
            who.ask(statement.replace("{database}", who.conn.info.dbname))
        assert caught.value.sqlstate in (DENIED, "42P17", "3F000"), (role, caught.value)


def test_a_login_changes_its_own_password_and_no_other(agent: Login, root: psycopg.Connection):
    """Postgres lets every login do this to itself, and nothing takes it away: whoever can send SQL as a login
    can lock its program out. Another reason why no tool passes SQL on."""
    with agent.conn.transaction(force_rollback=True):
        agent.ask("alter role crm_agent password 'x'")
    for other in ("crm_worker", "crm_approver", "crm_query", "crm_owner"):
        with refused(DENIED, "permission denied to alter role"):
            agent.ask(f"alter role {other} password 'x'")


def test_no_login_becomes_another(attacker: Login):
    itself = attacker.conn.info.user
    for role in {"crm_owner", "crm_approver", "crm_definer", "crm_signin", "postgres", "pg_read_all_data"} - {itself}:
        for statement in (f"set role {role}", f"set local role {role}", f"set session authorization {role}",
                          f"grant {role} to {itself}", f"reassign owned by {role} to {itself}"):  # fmt: skip
            with refused(DENIED):
                attacker.ask(statement)
    assert attacker.ask("select current_user || session_user") == itself * 2


def test_a_membership_would_be_enough(agent: Login, weakened: Weaken):
    with weakened("grant crm_approver to crm_agent", restore=("revoke crm_approver from crm_agent",)):
        agent.ask("set role crm_approver")
        assert agent.ask("select session_user") == "crm_agent", "the guard asks who connected, not who they became"
        agent.ask("reset role")


TEMPORARY = [
    "create temp table changes(x int)",
    "create temp view drafts as select 1",
    "create temp sequence s",
    "create domain pg_temp.jsonb as pg_catalog.jsonb",
    "create type pg_temp.bigint as (x int)",
    "create function pg_temp.current_setting(text, boolean) returns text language sql as 'select ''1'''",
    "create operator pg_temp.= (function = int8eq, leftarg = bigint, rightarg = bigint)",
    "create cast (text as bigint) with inout as implicit",
    "select * into temp t from pg_class",
    "create table pg_temp.t()",
]


@pytest.mark.parametrize("statement", TEMPORARY)
def test_nothing_is_created_to_shadow_with(attacker: Login, statement: str):
    with pytest.raises(psycopg.Error) as caught:
        attacker.ask(statement)
    assert caught.value.sqlstate in (DENIED, "42501"), caught.value


def test_a_domain_in_pg_temp_would_run_as_the_definer(
    login: Callable[[str], Login], scene: Scene, weakened: Weaken, root: psycopg.Connection
):
    """Both halves are needed, and each alone holds: no temporary schema, and pg_temp named last in the path."""
    evil = (
        "create function pg_temp.evil(pg_catalog.text) returns boolean language plpgsql as 'begin raise notice ''as %'', current_user; return true; end'",
        "create domain pg_temp.text as pg_catalog.text check (pg_temp.evil(value))",
        "grant all on schema pg_temp to public",
    )

    def attack() -> list[str]:
        who, heard = login("crm_agent"), []
        who.conn.add_notice_handler(lambda said: heard.append(str(said.message_primary)))
        for statement in evil[:2]:
            who.ask(statement)
        with who.bound(scene.org):
            who.ask("select count(*) from crm.find_customers('John Smith', 5)")
        return heard

    database = root.info.dbname
    temp = (f"grant temp on database {database} to crm_agent", f"revoke temp on database {database} from crm_agent")
    path = "alter function crm.find_customers(text, int) set search_path = pg_catalog"
    held = "alter function crm.find_customers(text, int) set search_path = pg_catalog, pg_temp"
    with refused(DENIED, "permission denied to create temporary"):
        attack()
    with weakened(temp[0], restore=temp[1:]):
        assert attack() == []
    with weakened(temp[0], path, restore=(temp[1], held)):
        assert "as crm_definer" in attack()


READABLE = {
    "orgs", "users", "reasoning", "schema_state", "memberships", "policies", "changes", "drafts", "draft_versions",
    "idempotency_keys", "own_tables", "budgets", "budget_days", "token_reservations", "model_usage",
    "working_memory", "memory_uses", "memory_vectors", "embedding_models",
}  # fmt: skip
ADDED_TO = {"audit_log", "idempotency_keys"}
"""What a client's login adds rows to, and neither changes nor deletes."""
INDEXED = {"search_chunks", "search_state", "vectors_1"}
"""What the worker alone derives from records, and nobody else reads or writes."""


@pytest.mark.parametrize("table", sorted({*GLOBAL, *UNRECORDED}))
def test_what_only_the_owner_writes_nobody_else_writes(attacker: Login, scene: Scene, table: str):
    role = attacker.conn.info.user
    if role == "crm_worker" and table in INDEXED:
        pytest.skip("the worker keeps the index")
    column = attacker.ask(
        "select attname from pg_attribute a join pg_class c on c.oid = attrelid where relname = %s and attnum = 1",
        table,
    )
    statements = [f"delete from crm.{table}", f"update crm.{table} set {column} = default"]
    if table not in ADDED_TO:
        statements.append(f"insert into crm.{table} default values")
    looked_at = {"audit_log": ("crm_worker", "crm_approver"), "notices": ("crm_worker", "crm_approver")}
    readers = looked_at.get(table, SERVING if table in READABLE else ())
    if role not in readers:
        statements.append(f"select * from crm.{table}")
    for statement in statements:
        with refused(DENIED, "permission denied"), attacker.bound(scene.org):
            attacker.ask(statement)


def test_whoever_could_free_a_table_could_write_it(agent: Login, scene: Scene, weakened: Weaken):
    free = "insert into crm.free_writes(org_id, tbl, op) values (0, 'customers', 'I')"
    with refused(DENIED), agent.bound(scene.org):
        agent.ask(free)
    with weakened(free, restore=("delete from crm.free_writes where tbl = 'customers'",)), agent.bound(scene.org):
        agent.ask("insert into crm.customers(org_id, name) values (%s, 'Freely written')", scene.org)


def test_the_owner_is_no_superuser_and_its_own_writes_are_guarded(login: Callable[[str], Login], scene: Scene):
    owner = login("crm_owner")
    with refused(DENIED, "unapproved"), owner.bound(scene.org):
        owner.ask("insert into crm.customers(org_id, name) values (%s, 'x')", scene.org)
    with refused(DENIED):
        owner.ask("set session_replication_role = replica")
    with refused(DENIED):
        owner.ask("set session authorization crm_approver")
