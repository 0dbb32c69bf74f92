"""Who was given what is recorded by Postgres itself; no login of the product sees it, changes it, or gives itself anything."""

import uuid
from collections.abc import Callable

import psycopg
import pytest
from database_logins import DENIED, UNBOUND, Login, Scene, Weaken, refused

LOGINS = ("crm_agent", "crm_worker", "crm_approver", "crm_query")
LOGGED = "select what, before, after, login from crm.access_log where id > %s order by id"


@pytest.fixture
def owning(login: Callable[[str], Login]) -> Login:
    return login("crm_owner")


@pytest.fixture
def logged(root: psycopg.Connection) -> Callable[[], list[tuple]]:
    """The rows of the record since the test began."""
    (before,) = root.execute("select coalesce(max(id), 0) from crm.access_log").fetchone() or (0,)
    return lambda: root.execute(LOGGED, (before,)).fetchall()


def key_of(root: psycopg.Connection, scene: Scene, ends: str = "now() + interval '1 day'") -> tuple[bytes, int]:
    """Make a key of Sam's; return what a client sends of it, and its number."""
    sent = uuid.uuid4().bytes
    row = root.execute(
        f"insert into crm.api_keys(digest, org_id, user_id, name, expires_at) values (sha256(%s), %s, %s, 'a', {ends}) returning id",
        (sent, scene.org, scene.users["sam"]),
    ).fetchone()
    assert row is not None
    return sent, row[0]


def invited(root: psycopg.Connection, scene: Scene, link: bytes, ends: str = "now() + interval '7 days'") -> int:
    """Invite somebody new; return their number."""
    (user,) = root.execute(
        "insert into crm.users(email, name) values (%s, 'New') returning id", (f"{uuid.uuid4().hex}@x.example",)
    ).fetchone() or (0,)
    root.execute(
        "insert into crm.memberships(org_id, user_id, role, active) values (%s, %s, 'sales', false)",
        (scene.org, user),
    )
    root.execute(
        f"insert into crm.invitations(digest, org_id, user_id, expires_at) values (%s, %s, %s, {ends})",
        (link, scene.org, user),
    )
    return user


@pytest.mark.parametrize("role", LOGINS)
def test_nobody_but_the_owner_sees_or_writes_the_record(login: Callable[[str], Login], role: str, scene: Scene):
    who = login(role)
    for statement in (
        "select * from crm.access_log",
        f"insert into crm.access_log(org_id, what) values ({scene.org}, 'forged')",
        "update crm.access_log set what = 'x'",
        "delete from crm.access_log",
        "truncate crm.access_log",
        "alter table crm.access_log disable trigger kept",
        "select crm.record_access()",
        "drop trigger record_access on crm.memberships",
    ):
        with refused():
            who.ask(statement)


def test_not_even_the_owner_changes_it_in_passing(owning: Login, scene: Scene, weakened: Weaken):
    for statement in (
        "update crm.access_log set what = 'x'",
        "delete from crm.access_log",
        "truncate crm.access_log",
    ):
        with refused(DENIED, "does not change"):
            owning.ask(statement)
    with weakened(
        "alter table crm.access_log disable trigger kept", restore=("alter table crm.access_log enable trigger kept",)
    ):
        owning.ask("update crm.access_log set what = what")


@pytest.mark.parametrize("role", LOGINS)
def test_no_login_gives_itself_access(login: Callable[[str], Login], role: str, scene: Scene):
    who, sam = login(role), scene.users["sam"]
    for statement in (
        f"update crm.memberships set role = 'admin' where user_id = {sam}",
        f"insert into crm.memberships(org_id, user_id, role) values ({scene.other}, {sam}, 'admin')",
        f"insert into crm.api_keys(digest, org_id, user_id, name, expires_at) values ('x', {scene.org}, {sam}, 'k', now())",
        "update crm.api_keys set revoked_at = null",
        "select digest from crm.api_keys",
        "select * from crm.invitations",
        f"insert into crm.invitations(digest, org_id, user_id, expires_at) values ('x', {scene.org}, {sam}, now())",
        "update crm.orgs set solo = true",
        "update crm.users set email = 'x@x.example'",
        f"select crm.mint({scene.org}, {sam}, null)",
        f"select crm.mint({scene.org}, {sam}, null, 1)",
    ):
        with refused(), who.bound(scene.org):
            who.ask(statement)


@pytest.mark.parametrize("role", ["crm_agent", "crm_worker", "crm_query"])
def test_links_by_mail_are_made_by_the_page_alone(login: Callable[[str], Login], role: str):
    with refused():
        login(role).ask("select * from crm.mail_login_links('mia@demo.example', array['\\x01'::bytea])")


def test_what_is_given_and_taken_is_recorded_with_who_did_it(
    owning: Login, scene: Scene, logged: Callable[[], list[tuple]]
):
    sue = scene.users["sue"]
    where = f"where org_id = {scene.org} and user_id = {sue}"
    owning.ask(f"update crm.memberships set may_approve = true, approval_limit = 7.5 {where}")
    owning.ask(f"update crm.memberships set may_approve = true {where}")
    owning.ask(f"update crm.memberships set may_approve = false, approval_limit = 5000 {where}")
    owning.ask(f"update crm.orgs set solo = not solo where id = {scene.other}")
    owning.ask(f"update crm.orgs set solo = not solo where id = {scene.other}")
    rows = logged()
    assert [(what, sorted(after), login) for what, _, after, login in rows] == [
        ("membership changed", ["approval_limit", "may_approve"], "crm_owner"),
        ("membership changed", ["approval_limit", "may_approve"], "crm_owner"),
        ("org changed", ["solo"], "crm_owner"),
        ("org changed", ["solo"], "crm_owner"),
    ]
    assert (rows[0][1]["may_approve"], rows[0][2]["may_approve"]) == (False, True)


def test_no_digest_and_no_mere_use_of_a_key_is_recorded(
    agent: Login, root: psycopg.Connection, scene: Scene, logged: Callable[[], list[tuple]]
):
    sent, number = key_of(root, scene)
    agent.ask("select user_id from crm.sign_in_key(%s, null)", sent)
    assert root.execute("select last_used_at is not null from crm.api_keys where id = %s", (number,)).fetchone() == (True,)  # fmt: skip
    assert [row[0] for row in logged()] == ["key made"]
    (stored,) = root.execute("select encode(digest, 'hex') from crm.api_keys where id = %s", (number,)).fetchone() or (0,)  # fmt: skip
    assert stored not in str(logged())
    assert "digest" not in str(logged())


def test_what_was_given_outlives_the_org(owning: Login, root: psycopg.Connection, scene: Scene):
    org = owning.ask("insert into crm.orgs(slug, name) values (%s, 'Short') returning id", uuid.uuid4().hex[:20])
    owning.ask(f"insert into crm.memberships(org_id, user_id, role) values ({org}, {scene.users['sam']}, 'sales')")
    owning.ask(f"delete from crm.orgs where id = {org}")
    kept = root.execute("select array_agg(what order by id) from crm.access_log where org_id = %s", (org,)).fetchone()
    assert kept is not None
    assert sorted(kept[0]) == ["membership made", "membership removed", "org made", "org removed"]


@pytest.mark.parametrize("ended", ["revoked_at = now()", "expires_at = now()"])
def test_a_token_of_a_key_binds_while_the_key_lives(
    agent: Login, root: psycopg.Connection, scene: Scene, weakened: Weaken, ended: str
):
    sent, number = key_of(root, scene)
    token = agent.ask("select token from crm.sign_in_key(%s, null)", sent)
    bound = "select (crm.bound()).user_id"
    with agent.bound(scene.org, token=token):
        assert agent.ask(bound) == scene.users["sam"]
    assert agent.ask("select crm.key_lives(%s)", sent) is True
    root.execute(f"update crm.api_keys set {ended} where id = %s", (number,))
    assert agent.ask("select crm.key_lives(%s)", sent) is False
    for statement in (bound, "select crm.hold('{}')", "select crm.discard(1)"):
        with refused(UNBOUND, "no principal is bound"), agent.bound(scene.org, token=token):
            agent.ask(statement)
    with (
        weakened(functions={"crm.bound()": ("if t[6] <> '' then", "if false then")}),
        agent.bound(scene.org, token=token),
    ):
        assert agent.ask(bound) == scene.users["sam"]


def test_a_token_without_its_key_is_a_forgery(agent: Login, root: psycopg.Connection, scene: Scene):
    sent, _ = key_of(root, scene)
    parts = agent.ask("select token from crm.sign_in_key(%s, null)", sent).split(".")
    for key in ("", "1", "0", "x"):
        forged = ".".join([*parts[:5], key, parts[6]])
        with refused(UNBOUND), agent.bound(scene.org, token=forged):
            agent.ask("select crm.bound()")


def test_what_is_stored_of_a_key_does_not_live(agent: Login, root: psycopg.Connection, scene: Scene):
    _, number = key_of(root, scene)
    (stored,) = root.execute("select digest from crm.api_keys where id = %s", (number,)).fetchone() or (b"",)
    for digest in (stored, b"", b"\0" * 32, None):
        assert agent.ask("select crm.key_lives(%s)", digest) is False


def test_an_invitation_is_taken_up_once_while_it_lasts(
    approving: Login, root: psycopg.Connection, scene: Scene, logged: Callable[[], list[tuple]]
):
    use = "select crm.use_login_link(%s, %s)"
    good, late, ended = (uuid.uuid4().bytes for _ in range(3))
    user, other, third = invited(root, scene, good), invited(root, scene, late, "now()"), invited(root, scene, ended)
    root.execute("update crm.invitations set ended_at = now() where digest = %s", (ended,))
    active = "select active from crm.memberships where org_id = %s and user_id = %s"
    for link, who, taken in (
        (good, user, True),
        (late, other, False),
        (ended, third, False),
        (b"none", other, False),
    ):
        session = uuid.uuid4().bytes
        assert approving.ask(use, link, session) is taken
        assert root.execute(active, (scene.org, who)).fetchone() == (taken,)
        assert (approving.ask("select user_id from crm.resume(%s)", session) == who) is taken
        assert approving.ask(use, link, uuid.uuid4().bytes) is False
    changed = [row for row in logged() if row[3] == "crm_approver"]
    assert [(row[0], list(row[2])) for row in changed] == [
        ("invitation changed", ["used_at"]),
        ("membership changed", ["active"]),
        ("session made", ["org_id", "passkey", "user_id", "expires_at"]),
    ]


def test_a_spent_invitation_brings_nobody_back(approving: Login, root: psycopg.Connection, scene: Scene):
    link = uuid.uuid4().bytes
    user = invited(root, scene, link)
    assert approving.ask("select crm.use_login_link(%s, %s)", link, uuid.uuid4().bytes) is True
    root.execute("update crm.memberships set active = false where org_id = %s and user_id = %s", (scene.org, user))
    assert approving.ask("select crm.use_login_link(%s, %s)", link, uuid.uuid4().bytes) is False
    active = "select active from crm.memberships where org_id = %s and user_id = %s"
    assert root.execute(active, (scene.org, user)).fetchone() == (False,)


def test_links_by_mail_are_of_active_memberships_alone_and_one_for_each(
    approving: Login, root: psycopg.Connection, scene: Scene
):
    sue = f"where org_id = {scene.org} and user_id = {scene.users['sue']}"
    ask = "select count(*) from crm.mail_login_links(%s, %s)"
    digests = [uuid.uuid4().bytes for _ in range(3)]
    assert approving.ask(ask, "nobody@demo.example", digests) == 0
    assert approving.ask(ask, "%", digests) == 0
    root.execute(f"update crm.memberships set active = false {sue}")
    try:
        assert approving.ask(ask, "sue@demo.example", digests) == 0
    finally:
        root.execute(f"update crm.memberships set active = true {sue}")
    made = "select count(*) from crm.login_links where digest = any(%s)"
    assert root.execute(made, (digests,)).fetchone() == (0,)
    assert approving.ask(ask, "SUE@demo.example", digests) == 1
    assert root.execute(made, (digests,)).fetchone() == (1,)
    assert approving.ask(ask, "sue@demo.example", []) == 0
