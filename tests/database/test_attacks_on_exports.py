"""What a login may do with exports: fill its own call's, once; read them as crm_approver alone, for whom they are."""

import hashlib

import pytest
from database_logins import DENIED, UNBOUND, refused

MAKE = """insert into crm.exports(org_id, name, format, question) values (%s, 'x.csv', 'csv', '{}') returning id"""
PUT = "select crm.put_export_part(%s, %s, %s)"
FINISH = "select expiry from crm.finish_export(%s, 1, %s)"
DIGEST = hashlib.sha256(b"x").hexdigest()
SAM, ADA = "sam@demo.example", "ada@demo.example"


@pytest.fixture
def agent(login):
    return login("crm_agent")


@pytest.fixture
def approver(login):
    return login("crm_approver")


def made(agent, scene, email=SAM, content=b"x", **more):
    """Make and fill an export of somebody's; return its number."""
    token = agent.token(email)
    with agent.bound(scene.org, token=token, user=scene.users[email.partition("@")[0]], **more):
        export = agent.ask(MAKE, scene.org)
        agent.ask(PUT, export, 1, content)
        assert agent.ask(FINISH, export, DIGEST)
    return export


def read(approver, scene, export, email, org=None):
    with approver.bound(org or scene.org, token=approver.token(email)):
        return approver.ask("select crm.export_part(%s, 1)", export)


def test_its_maker_and_an_administrator_read_it_and_nobody_else(agent, approver, scene):
    export = made(agent, scene)
    assert read(approver, scene, export, SAM) == read(approver, scene, export, ADA) == b"x"
    assert read(approver, scene, export, "mia@demo.example") is None
    assert read(approver, scene, export, "otto@other.example", scene.other) is None


def test_an_agents_token_reads_nothing_though_its_person_may(agent, approver, scene):
    export = made(agent, scene)
    with approver.bound(scene.org, token=approver.token(SAM, "analytics")):
        assert approver.ask("select crm.export_part(%s, 1)", export) is None
        assert approver.ask("select crm.end_export(%s)", export) is False


def test_without_a_token_nothing_is_read_filled_or_ended(agent, approver, scene):
    export = made(agent, scene)
    for sql in ("select crm.export_part(%s, 1)", "select crm.end_export(%s)"):
        with refused(UNBOUND), approver.bound(scene.org, user=scene.users["sam"]):
            approver.ask(sql, export)
    with refused(UNBOUND), agent.bound(scene.org, user=scene.users["sam"]):
        agent.ask(PUT, agent.ask(MAKE, scene.org), 1, b"x")


@pytest.mark.parametrize("role", ["crm_agent", "crm_worker", "crm_query"])
def test_no_other_login_reads_ends_or_touches_the_parts(login, agent, scene, role):
    export, who = made(agent, scene), login(role)
    for sql in (
        "select crm.export_part(%s, 1)",
        "select crm.end_export(%s)",
        "select content from crm.export_parts where export_id = %s",
    ):
        with refused(DENIED), who.bound(scene.org):
            who.ask(sql, export)
    for sql in ("update crm.exports set name = 'y' where id = %s", "delete from crm.exports where id = %s"):
        with refused(DENIED), who.bound(scene.org):
            who.ask(sql, export)


def test_what_is_finished_takes_no_more_and_another_calls_export_takes_nothing(agent, scene):
    export, token = made(agent, scene), agent.token(SAM)
    for sql, params in ((PUT, (export, 2, b"y")), (FINISH, (export, DIGEST))):
        with refused(DENIED, "not an export of this call"), agent.bound(scene.org, token=token):
            agent.ask(sql, *params)
    with agent.bound(scene.org, token=token, call=78):
        unfilled = agent.ask(MAKE, scene.org)
    with refused(DENIED, "not an export of this call"), agent.bound(scene.org, token=token, call=78):
        agent.ask(PUT, unfilled, 1, b"late")  # the same call, another transaction


def test_another_orgs_export_is_not_filled(agent, scene):
    with refused(DENIED), agent.bound(scene.org, token=agent.token(SAM)):
        export = agent.ask(MAKE, scene.org)
        agent.set("crm.org_id", scene.other)
        agent.set("crm.token", agent.token("otto@other.example"))
        agent.ask(PUT, export, 1, b"x")


def test_a_missing_part_an_empty_file_and_one_too_large_are_refused(agent, scene, root):
    token = agent.token(SAM)
    for parts, code in (((), "23514"), ((1, 3), "23514")):
        with refused(code), agent.bound(scene.org, token=token):
            export = agent.ask(MAKE, scene.org)
            for part in parts:
                agent.ask(PUT, export, part, b"x")
            agent.ask(FINISH, export, DIGEST)
    with refused("23514"), agent.bound(scene.org, token=token):
        agent.ask(PUT, agent.ask(MAKE, scene.org), 1, b"x" * (1 << 20) + b"x")
    with refused("CRM11"), agent.bound(scene.org, token=token):
        export = agent.ask(MAKE, scene.org)
        for part in range(1, 27):
            agent.ask(PUT, export, part, bytes(1 << 20))
        agent.ask(FINISH, export, DIGEST)


def test_an_org_has_so_many_bytes(agent, scene, root):
    token = agent.token(SAM)
    export = made(agent, scene)
    root.execute("set session_replication_role = replica")
    root.execute("update crm.exports set bytes = 1024 * 1048576 where id = %s", (export,))
    root.execute("reset session_replication_role")
    try:
        with refused("CRM12"), agent.bound(scene.org, token=token):
            made_now = agent.ask(MAKE, scene.org)
            agent.ask(PUT, made_now, 1, b"x")
            agent.ask(FINISH, made_now, DIGEST)
    finally:
        root.execute("set session_replication_role = replica")
        root.execute("update crm.exports set bytes = 1 where id = %s", (export,))
        root.execute("reset session_replication_role")


def test_what_has_expired_is_read_by_nobody_and_its_bytes_go_of_the_bound_org_alone(
    agent, approver, login, scene, root
):
    gone, kept = made(agent, scene), made(agent, scene)
    root.execute("set session_replication_role = replica")
    root.execute("update crm.exports set expires_at = clock_timestamp() where id = %s", (gone,))
    root.execute("reset session_replication_role")
    assert read(approver, scene, gone, SAM) is None and read(approver, scene, kept, SAM) == b"x"
    worker = login("crm_worker")
    with worker.bound(scene.other):
        assert worker.ask("select crm.forget_exports()") == 0
    with worker.bound(scene.org):
        assert worker.ask("select crm.forget_exports()") == 1
    left = {row[0] for row in root.execute("select export_id from crm.export_parts").fetchall()}
    assert kept in left and gone not in left


def test_size_and_end_cannot_be_forged(agent, scene):
    token = agent.token(SAM)
    forged = """insert into crm.exports(org_id, name, format, question, rows, bytes, sha256, expires_at)
     values (%s, 'x.csv', 'csv', '{}', 1, 1, %s, 'infinity') returning id"""
    with refused(DENIED), agent.bound(scene.org, token=token):
        agent.ask(forged, scene.org, DIGEST)
