"""A principal is a token that the database signed for one connection; nothing else makes one."""

from collections.abc import Callable

import psycopg
import pytest
from database_logins import DENIED, UNBOUND, Login, Scene, Weaken, refused

SERVING = ("crm_agent", "crm_worker", "crm_approver")
BOUND = "select (crm.bound()).user_id"


def asks(who: Login, org: object, token: object) -> object:
    with who.bound(org, token=token):
        return who.ask(BOUND)


def forged(token: str, **parts: object) -> str:
    """Change parts of a token: org, user, agent, pid, expiry, key, mac."""
    names = ("org", "user", "agent", "pid", "expiry", "key", "mac")
    return ".".join(str(parts.get(name, part)) for name, part in zip(names, token.split("."), strict=True))


def test_a_token_binds_its_person_on_its_connection(agent: Login, scene: Scene):
    assert asks(agent, scene.org, agent.token("sam@demo.example")) == scene.users["sam"]


def test_every_part_of_a_token_is_signed(agent: Login, scene: Scene, weakened: Weaken):
    token = agent.token("sam@demo.example", "order")
    forgeries = [
        forged(token, user=scene.users["ada"]),
        forged(token, agent=""),
        forged(token, agent="support"),
        forged(token, expiry="99999999999"),
        forged(token, key="1"),
        forged(token, mac=token.split(".")[6][:-1] + "0x"),
        forged(token, mac=""),
        forged(token, mac="0" * 64),
        f"{token}.x",
        token.rpartition(".")[0],
        token.upper(),
        f" {token}",
    ]
    for forgery in forgeries:
        with refused(UNBOUND, "no principal is bound"):
            asks(agent, scene.org, forgery)
    unsigned = {
        "crm.bound()": ("crm.sign(concat_ws('.', t[1], t[2], t[3], t[4], t[5], t[6])) is distinct from t[7]", "false")
    }
    with weakened(functions=unsigned):
        assert asks(agent, scene.org, forgeries[0]) == scene.users["ada"]


def test_a_token_of_another_org_does_not_bind_here(agent: Login, scene: Scene, weakened: Weaken):
    token = agent.token("otto@other.example")
    for org, forgery in (
        (scene.org, token),
        (scene.org, forged(token, org=scene.org)),
        (scene.other, forged(token, org=scene.org)),
        ("", token),
    ):
        with refused(UNBOUND):
            asks(agent, org, forgery)
    careless = {
        "crm.bound()": (
            "or t[1]::bigint is distinct from nullif(current_setting('crm.org_id', true), '')::bigint",
            "",
        )
    }
    with weakened(functions=careless):
        assert asks(agent, scene.org, token) == scene.users["otto"]


def test_a_token_is_no_good_on_another_connection(login: Callable[[str], Login], scene: Scene, weakened: Weaken):
    first, second = login("crm_agent"), login("crm_agent")
    token = first.token("sam@demo.example")
    for replayed in (token, forged(token, pid=second.conn.info.backend_pid)):
        with refused(UNBOUND):
            asks(second, scene.org, replayed)
    with weakened(functions={"crm.bound()": ("or t[4]::int <> pg_backend_pid()", "")}):
        assert asks(second, scene.org, token) == scene.users["sam"]


def test_a_token_ends_after_an_hour(agent: Login, root: psycopg.Connection, scene: Scene, weakened: Weaken):
    (body,) = root.execute(
        "select concat_ws('.', %s::bigint, %s::bigint, '', %s::int, extract(epoch from now() - interval '1 second')::bigint, '')",
        (scene.org, scene.users["sam"], agent.conn.info.backend_pid),
    ).fetchone() or ("",)
    (mac,) = root.execute("select crm.sign(%s)", (body,)).fetchone() or ("",)
    with refused(UNBOUND):
        asks(agent, scene.org, f"{body}.{mac}")
    with weakened(functions={"crm.bound()": ("or t[5]::bigint < extract(epoch from clock_timestamp())", "")}):
        assert asks(agent, scene.org, f"{body}.{mac}") == scene.users["sam"]
    lifetime = int(agent.token("sam@demo.example").split(".")[4]) - int(
        root.execute("select extract(epoch from now())::bigint").fetchone()[0]
    )  # type: ignore[index]
    assert 3590 <= lifetime <= 3610


GARBAGE = ["", " ", ".", ".....", "a.b.c.d.e.f", "1.x..y.z.0", "1.1..1.99999999999999999999.0", "é.é.é.é.é.é", "1;drop.1.1.1.1.1", "." * 10_000, "1" * 70_000]  # fmt: skip


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_for_a_token_is_refused_cleanly(agent: Login, scene: Scene, garbage: str):
    for statement in (BOUND, "select crm.hold('{}')", "select crm.discard(1)"):
        with refused(UNBOUND, "^no principal is bound"), agent.bound(scene.org, token=garbage):
            agent.ask(statement)


def test_without_a_token_nothing_is_held_or_withdrawn(agent: Login, scene: Scene):
    for statement in (BOUND, "select crm.hold('{}')", "select crm.discard(1)"):
        with refused(UNBOUND, "no principal is bound"), agent.bound(scene.org, user=scene.users["ada"]):
            agent.ask(statement)


@pytest.mark.parametrize("role", SERVING)
def test_an_email_signs_nobody_in_where_that_is_off(login: Callable[[str], Login], role: str, weakened: Weaken):
    who = login(role)
    off = (
        "update crm.database_setting set email_sign_in = false",
        "update crm.database_setting set email_sign_in = true",
    )
    with weakened(off[0], restore=off[1:]), refused(UNBOUND, "signing in by e-mail is off"):
        who.token("ada@demo.example")
    assert who.token("ada@demo.example")


def test_nobody_signs_in_who_is_unknown_inactive_or_of_another_org(agent: Login, scene: Scene, weakened: Weaken):
    sign_in = "select count(*) from crm.sign_in(%s, %s, %s)"
    assert agent.ask(sign_in, "sam@demo.example", "demo", "order") == 1
    assert agent.ask(sign_in, "nobody@demo.example", None, None) == 0
    assert agent.ask(sign_in, "sam@demo.example", "other", None) == 0
    assert agent.ask(sign_in, "otto@other.example", "demo", None) == 0
    assert agent.ask(sign_in, "%", None, None) == 0
    where = f"where org_id = {scene.org} and user_id = {scene.users['sue']}"
    with weakened(
        f"update crm.memberships set active = false {where}",
        restore=(f"update crm.memberships set active = true {where}",),
    ):
        assert agent.ask(sign_in, "sue@demo.example", None, None) == 0


@pytest.mark.parametrize("name", ["order.1.1", "Order", "order\n", "", "a" * 31, "order;", "1"])
def test_an_agent_is_a_plain_word(agent: Login, name: str):
    with refused(UNBOUND, "not an agent"):
        agent.token("sam@demo.example", name)


@pytest.mark.parametrize("role", [*SERVING, "crm_query"])
def test_the_key_and_what_signs_with_it_are_out_of_reach(login: Callable[[str], Login], role: str, scene: Scene):
    who = login(role)
    for statement in ("select * from crm.signing_key", "select crm.sign('x')", "select crm.mint(1, 1, null)", "select crm.xor_pad('x', 1)",
                      "select crm.sign_in_as('ada@demo.example', null, null)", "select pg_read_file('postgresql.conf')"):  # fmt: skip
        with refused(DENIED, "permission denied"), who.bound(scene.org):
            who.ask(statement)


def test_whoever_may_sign_is_anybody(agent: Login, scene: Scene, weakened: Weaken):
    body = f"{scene.org}.{scene.users['ada']}..{agent.conn.info.backend_pid}.99999999999."
    with weakened(
        "grant execute on function crm.sign(text) to crm_agent",
        restore=("revoke execute on function crm.sign(text) from crm_agent",),
    ):
        mac = agent.ask("select crm.sign(%s)", body)
    assert asks(agent, scene.org, f"{body}.{mac}") == scene.users["ada"]


@pytest.mark.parametrize("role", ["crm_agent", "crm_worker", "crm_query"])
def test_links_and_sessions_of_the_page_are_the_approvers_alone(
    login: Callable[[str], Login], role: str, scene: Scene
):
    who = login(role)
    for statement in ("select crm.make_login_link('ada@demo.example', null, '\\x00')", "select crm.use_login_link('\\x00', '\\x01')",
                      "select crm.resume('\\x01')", "select crm.end_session('\\x01')", "select * from crm.login_links", "select * from crm.web_sessions",
                      "insert into crm.web_sessions values ('\\x01', 1, 1, now(), now())", "select * from crm.api_keys"):  # fmt: skip
        with refused(DENIED, "permission denied"), who.bound(scene.org):
            who.ask(statement)


def test_a_link_opens_one_session_once_and_in_time(approving: Login, root: psycopg.Connection, scene: Scene):
    assert approving.ask("select crm.make_login_link('nobody@x', null, '\\x01')") is False
    assert approving.ask("select crm.make_login_link('mia@demo.example', null, '\\x01')") is True
    assert approving.ask("select crm.use_login_link('\\x02', '\\xaa')") is False
    assert approving.ask("select crm.use_login_link('\\x01', '\\xaa')") is True
    assert approving.ask("select crm.use_login_link('\\x01', '\\xbb')") is False
    assert approving.ask("select user_id from crm.resume('\\xaa')") == scene.users["mia"]
    assert approving.ask("select user_id from crm.resume('\\xbb')") is None
    assert asks(approving, scene.org, approving.ask("select token from crm.resume('\\xaa')")) == scene.users["mia"]
    root.execute("update crm.web_sessions set expires_at = now() - interval '1 second'")
    assert approving.ask("select user_id from crm.resume('\\xaa')") is None
    approving.ask("select crm.make_login_link('mia@demo.example', null, '\\x03')")
    root.execute("update crm.login_links set expires_at = now() - interval '1 second'")
    assert approving.ask("select crm.use_login_link('\\x03', '\\xcc')") is False


def test_an_ended_session_signs_nobody_in(approving: Login):
    approving.ask("select crm.make_login_link('mia@demo.example', null, '\\x05')")
    approving.ask("select crm.use_login_link('\\x05', '\\xdd')")
    approving.ask("select crm.end_session('\\xdd')")
    assert approving.ask("select user_id from crm.resume('\\xdd')") is None


def test_an_api_key_signs_in_its_person_as_its_agent_while_it_lasts(
    agent: Login, root: psycopg.Connection, scene: Scene
):
    sign_in = "select user_id || coalesce('/' || agent, '') from crm.sign_in_key(sha256(%s::bytea), %s)"

    def key(secret: str, of: str | None, ends: str = "now() + interval '1 day'", revoked: str = "null") -> None:
        root.execute(
            f"insert into crm.api_keys(digest, org_id, user_id, agent, name, expires_at, revoked_at)"
            f" values (sha256(sha256(%s::bytea)), %s, %s, %s, 'k', {ends}, {revoked})",
            (secret, scene.org, scene.users["sam"], of),
        )

    sam = scene.users["sam"]
    key("one", None)
    key("two", "order")
    key("old", None, ends="now() - interval '1 second'")
    key("gone", None, revoked="now()")
    assert agent.ask(sign_in, "one", None) == f"{sam}"
    assert agent.ask(sign_in, "one", "order") == f"{sam}/order"
    assert agent.ask(sign_in, "one", "order.x") is None
    assert agent.ask(sign_in, "two", None) == f"{sam}/order"
    assert agent.ask(sign_in, "two", "order") == f"{sam}/order"
    assert agent.ask(sign_in, "two", "support") is None
    for refused_key in ("old", "gone", "none", ""):
        assert agent.ask(sign_in, refused_key, None) is None
    (stored,) = root.execute("select digest from crm.api_keys where name = 'k' order by id limit 1").fetchone() or (
        b"",
    )
    assert agent.ask("select count(*) from crm.sign_in_key(%s, null)", stored) == 0, "what is stored signs nobody in"
