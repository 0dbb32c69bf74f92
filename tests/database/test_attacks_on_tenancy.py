"""One connection, one org: what a login sees is the org it bound.

The boundary, plainly: the org is a setting of the transaction, and crm_agent, crm_worker and crm_approver are
trusted to set it, for they run this program's code alone. What keeps a model in its org is that no tool lets it
send SQL; RLS is the backstop under every statement. A login that runs free-form SQL (crm_query) is not trusted,
and so has nothing at all until its org can be bound by a signed token.
"""

from collections.abc import Callable

import psycopg
import pytest
from catalog_checks import GLOBAL, tables
from database_logins import DENIED, NOTE, Login, Scene, Weaken, refused

SERVING = ("crm_agent", "crm_worker", "crm_approver")
TENANT = "org_id = nullif(current_setting('crm.org_id', true), '')::bigint"


def readable(who: Login, confined: set[str]) -> list[str]:
    asked = "select relname from pg_class where relnamespace = 'crm'::regnamespace and relkind = 'r' and has_table_privilege(oid, 'SELECT') order by 1"
    return [name for (name,) in who.conn.execute(asked) if name in confined]


@pytest.mark.parametrize("role", SERVING)
def test_no_table_shows_a_row_of_another_org(
    login: Callable[[str], Login], role: str, scene: Scene, root: psycopg.Connection
):
    who, confined = login(role), tables(root) - GLOBAL.keys()
    seen = readable(who, confined)
    assert {"customers", "orders", "notes", "drafts", "changes", "memberships"} <= set(seen)
    for table in seen:
        assert who.ask(f"select count(*) from crm.{table}") == 0, f"{table} without an org"
        for org, other in ((scene.org, scene.other), (scene.other, scene.org)):
            with who.bound(org):
                assert who.ask(f"select count(*) from crm.{table} where org_id <> %s", org) == 0, table
                assert who.ask(f"select count(*) from crm.{table} where org_id = %s", other) == 0, table
        with who.bound("0"):
            assert who.ask(f"select count(*) from crm.{table}") == 0, f"{table} with a made-up org"


@pytest.mark.parametrize(
    ("planted", "restored"),
    [
        (
            "alter policy tenant on crm.customers using (true)",
            f"alter policy tenant on crm.customers using ({TENANT})",
        ),
        (
            "alter table crm.customers disable row level security",
            "alter table crm.customers enable row level security",
        ),
        ("create policy wide on crm.customers using (true)", "drop policy wide on crm.customers"),
        ("alter role crm_agent bypassrls", "alter role crm_agent nobypassrls"),
    ],
)
def test_without_its_policy_a_table_shows_other_orgs(
    agent: Login, scene: Scene, weakened: Weaken, planted: str, restored: str
):
    with weakened(planted, restore=(restored,)), agent.bound(scene.org):
        assert agent.ask("select count(*) from crm.customers where org_id = %s", scene.other) > 0
    with agent.bound(scene.org):
        assert agent.ask("select count(*) from crm.customers where org_id = %s", scene.other) == 0


def test_the_login_itself_is_trusted_to_bind_the_org(agent: Login, scene: Scene):
    with agent.bound(scene.org):
        assert agent.ask("select count(*) from crm.customers where org_id = %s", scene.org) > 0
        agent.set("crm.org_id", scene.other)
        assert agent.ask("select count(*) from crm.customers where org_id = %s", scene.other) > 0


def test_free_form_sql_has_nothing(login: Callable[[str], Login], root: psycopg.Connection, scene: Scene):
    who = login("crm_query")
    who.ask("select set_config('crm.org_id', %s, false)", str(scene.org))
    for table in sorted(tables(root)):
        with refused(DENIED, "permission denied"):
            who.ask(f"select count(*) from crm.{table}")
    for call in (
        "crm.bound()",
        "crm.find_customers('a', 1)",
        "crm.parties_like('customers', 1, 1)",
        "crm.sign_in('ada@demo.example', null, null)",
        "crm.hold('{}')",
    ):
        with refused(DENIED, "permission denied for schema crm"):
            who.ask(f"select {call}")


def test_nothing_is_written_into_another_org(agent: Login, scene: Scene, weakened: Weaken):
    with refused(DENIED, "row-level security"), agent.bound(scene.org):
        agent.ask(NOTE, scene.other, scene.stranger)
    with agent.bound(scene.org):
        note = agent.ask(NOTE, scene.org, scene.customer)
    with refused(DENIED, "row-level security"), agent.bound(scene.org):
        agent.ask("update crm.notes set org_id = %s where id = %s", scene.other, note)
    with agent.bound(scene.org):
        assert (
            agent.conn.execute("update crm.customers set name = 'x' where org_id = %s", (scene.other,)).rowcount == 0
        )
        assert agent.conn.execute("delete from crm.customers where org_id = %s", (scene.other,)).rowcount == 0
    loose = "alter policy tenant on crm.notes with check (true)"
    tight = f"drop policy tenant on crm.notes; create policy tenant on crm.notes using ({TENANT})"
    with weakened(loose, restore=(tight,)), refused(DENIED, '"changes"'), agent.bound(scene.org):
        agent.ask(
            "insert into crm.notes(org_id, customer_id, body) values (%s, %s, 'x')", scene.other, scene.stranger
        )


def test_no_record_points_into_another_org(agent: Login, scene: Scene):
    with refused("23503"), agent.bound(scene.org):
        agent.ask(NOTE, scene.org, scene.stranger)


def test_switching_the_org_within_a_statement_is_no_way_out(agent: Login, scene: Scene):
    with refused(DENIED, "row-level security"), agent.bound(scene.org):
        agent.ask(
            "insert into crm.notes(org_id, customer_id, body) values (%s, %s, 'x') returning set_config('crm.org_id', %s, true)",
            scene.org, scene.customer, str(scene.other),
        )  # fmt: skip


def test_rls_is_not_to_be_turned_off(agent: Login, scene: Scene):
    with refused(DENIED, "row-level security"), agent.bound(scene.org):
        agent.ask("set local row_security = off")
        agent.ask("select count(*) from crm.customers")


@pytest.mark.parametrize("org", ["abc", "1e9", "1; select 1", "99999999999999999999", "1 or true"])
def test_a_made_up_org_is_an_error_and_shows_nothing(agent: Login, org: str):
    with pytest.raises(psycopg.DataError), agent.bound(org):
        agent.ask("select count(*) from crm.customers")


def test_search_finds_only_in_the_bound_org(agent: Login, scene: Scene, root: psycopg.Connection):
    (name, mail) = root.execute(
        "select name, email from crm.customers where org_id = %s order by id limit 1", (scene.other,)
    ).fetchone() or ("", "")
    find = "select array_agg(customer_id) from crm.find_customers(%s, 1000)"
    for query in filter(None, (name, mail)):
        with agent.bound(scene.other):
            assert scene.stranger in agent.ask(find, query)
        with agent.bound(scene.org):
            found = set(agent.ask(find, query) or [])
        here = {i for (i,) in root.execute("select id from crm.customers where org_id = %s", (scene.org,))}
        assert found <= here
        assert agent.ask(find, query) is None, "without an org"


@pytest.mark.parametrize("form", ["phone", "right(phone_digits, 8)", "'+99' || phone_digits"])
@pytest.mark.parametrize("table", ["customers", "contacts"])
def test_a_phone_number_is_found_only_in_the_bound_org(
    agent: Login, scene: Scene, root: psycopg.Connection, table: str, form: str
):
    number = "customer_id" if table == "contacts" else "id"
    customer, query = root.execute(
        f"select {number}, {form} from crm.{table} where org_id = %s and length(phone_digits) >= 8 order by id limit 1",
        (scene.other,),
    ).fetchone() or (0, "")
    find = "select array_agg(customer_id) from crm.find_customers(%s, 1000)"
    with agent.bound(scene.other):
        assert customer in agent.ask(find, query)
    with agent.bound(scene.org):
        found = set(agent.ask(find, query) or [])
    assert found <= {i for (i,) in root.execute("select id from crm.customers where org_id = %s", (scene.org,))}


def test_whether_a_call_ended_is_told_to_its_own_org(agent: Login, scene: Scene):
    audit = "insert into crm.audit_log(org_id, call_id, phase, user_id, tool) values (%s, 555, 'ended', 1, 't')"
    with agent.bound(scene.org):
        agent.ask(audit, scene.org)
    for org, said in ((scene.org, True), (scene.other, False)):
        with agent.bound(org):
            assert agent.ask("select crm.call_ended(555)") is said
    with refused(DENIED, "row-level security"), agent.bound(scene.org):
        agent.ask(audit, scene.other)
