"""What is kept for a while goes when its time is over: of the bound org alone, and so many rows at a time."""

from collections.abc import Callable

import psycopg
import pytest
from database_logins import DENIED, Login, Scene, refused

ANSWER = """insert into crm.idempotency_keys(org_id, user_id, tool, key, asked, call_id, result, created_at)
 values (%s, %s, 'add_note', %s, 'a', 1, '{}', clock_timestamp() - %s::interval)"""
LINK = """insert into crm.login_links(digest, org_id, user_id, expires_at, used_at)
 values (%s::text::bytea, %s, %s, clock_timestamp() - %s::interval, %s)"""
SESSION = """insert into crm.web_sessions(digest, org_id, user_id, expires_at)
 values (%s::text::bytea, %s, %s, clock_timestamp() - %s::interval)"""


INVITATION = """insert into crm.invitations(digest, org_id, user_id, expires_at, used_at, ended_at)
 select %s::text::bytea, %s, min(m.user_id), clock_timestamp() - %s::interval, clock_timestamp() - %s::interval,
  clock_timestamp() - %s::interval from crm.memberships m where m.org_id = %s"""
NOTICE = """insert into crm.notices(org_id, message, draft_id, draft_version, person, channel, occasion, state, created_at)
 values (%s, 1, %s, 1, %s, %s, 'waiting', %s, clock_timestamp() - %s::interval)"""


@pytest.fixture
def worker(login: Callable[[str], Login], root: psycopg.Connection) -> Login:
    root.execute("truncate crm.idempotency_keys, crm.login_links, crm.web_sessions")
    return login("crm_worker")


def kept(root: psycopg.Connection, sql: str) -> set[str]:
    return {row[0] for row in root.execute(sql).fetchall()}


def test_answers_older_than_seven_days_go_and_younger_and_strange_ones_stay(
    worker: Login, root: psycopg.Connection, scene: Scene
):
    ada = scene.users["ada"]
    for org, key, age in (
        (scene.org, "old", "7 days 1 minute"),
        (scene.org, "young", "6 days 23 hours"),
        (scene.org, "new", "0"),
        (scene.other, "strange", "30 days"),
    ):
        root.execute(ANSWER, (org, ada, key, age))
    with worker.bound(scene.org):
        assert worker.ask("select crm.forget_answers()") == 1
    assert kept(root, "select key from crm.idempotency_keys") == {"young", "new", "strange"}


def test_answers_go_so_many_at_a_time_the_oldest_first(worker: Login, root: psycopg.Connection, scene: Scene):
    for days in range(10, 15):
        root.execute(ANSWER, (scene.org, scene.users["ada"], str(days), f"{days} days"))
    with worker.bound(scene.org):
        assert worker.ask("select crm.forget_answers(3)") == 3
    assert kept(root, "select key from crm.idempotency_keys") == {"10", "11"}
    with worker.bound(scene.org):
        assert [worker.ask("select crm.forget_answers(3)") for _ in range(2)] == [2, 0]


def test_links_and_sessions_go_a_day_after_their_end_and_others_stay(
    worker: Login, root: psycopg.Connection, scene: Scene
):
    ada = scene.users["ada"]
    for org, name, age, used in (
        (scene.org, "expired", "25 hours", None),
        (scene.org, "used", "25 hours", "2026-01-01 00:00:00+00"),
        (scene.org, "of today", "23 hours", None),
        (scene.org, "open", "-5 minutes", None),
        (scene.other, "strange", "30 days", None),
    ):
        root.execute(LINK, (name, org, ada, age, used))
        root.execute(SESSION, (name, org, ada, age))
    with worker.bound(scene.org):
        assert worker.ask("select crm.forget_sign_ins(1)") == 2
        assert worker.ask("select crm.forget_sign_ins()") == 2
    for table in ("login_links", "web_sessions"):
        left = kept(root, f"select convert_from(digest, 'UTF8') from crm.{table}")
        assert left == {"of today", "open", "strange"}


def test_invitations_go_thirty_days_after_they_were_taken_up_ended_or_ran_out(
    worker: Login, root: psycopg.Connection, scene: Scene
):
    root.execute("delete from crm.invitations")
    for org, name, expires, used, ended in (
        (scene.org, "ran out long ago", "31 days", None, None),
        (scene.org, "ran out lately", "29 days", None, None),
        (scene.org, "taken up long ago", "24 days", "31 days", None),
        (scene.org, "taken up lately", "22 days", "29 days", None),
        (scene.org, "ended long ago", "24 days", None, "31 days"),
        (scene.org, "ended lately", "22 days", None, "29 days"),
        (scene.org, "open", "-1 days", None, None),
        (scene.other, "strange", "90 days", None, None),
    ):
        root.execute(INVITATION, (name, org, expires, used, ended, org))
    logged = "select coalesce(max(id), 0) from crm.access_log"
    (before,) = root.execute(logged).fetchone() or (0,)
    with worker.bound(scene.org):
        assert worker.ask("select crm.forget_invitations(1)") == 1
        assert worker.ask("select crm.forget_invitations()") == 2
    left = kept(root, "select convert_from(digest, 'UTF8') from crm.invitations")
    assert left == {"ran out lately", "taken up lately", "ended lately", "open", "strange"}
    assert root.execute(logged).fetchone() == (before,)  # nobody ended these now


def test_notices_go_thirty_days_after_them_and_their_draft_and_never_those_of_what_waits(
    worker: Login, agent: Login, root: psycopg.Connection, scene: Scene
):
    root.execute("delete from crm.notices")
    token = agent.token("sam@demo.example")
    long_ago, lately, waits, strange = (agent.hold(scene.org, token) for _ in range(4))
    root.execute("set session_replication_role = replica")
    decided = "update crm.drafts set state = 'discarded', decided_at = clock_timestamp() - %s::interval where id = %s"
    for draft, age in ((long_ago, "31 days"), (lately, "29 days"), (strange, "90 days")):
        root.execute(decided, (age, draft))
    root.execute("update crm.drafts set org_id = %s where id = %s", (scene.other, strange))
    for org, draft, channel, state, age in (
        (scene.org, long_ago, "email", "sent", "31 days"),
        (scene.org, long_ago, "webhook", "failed", "40 days"),
        (scene.org, long_ago, "desktop", "sent", "29 days"),
        (scene.org, lately, "email", "sent", "31 days"),
        (scene.org, waits, "email", "sent", "31 days"),
        (scene.org, lately, "webhook", "queued", "31 days"),
        (scene.other, strange, "email", "sent", "90 days"),
    ):
        person = None if channel == "webhook" else scene.users["ada"]
        root.execute(NOTICE, (org, draft, person, channel, state, age))
    root.execute("reset session_replication_role")
    with worker.bound(scene.org):
        assert worker.ask("select crm.forget_notices(1)") == 1
        assert worker.ask("select crm.forget_notices()") == 1
    left = root.execute("select draft_id, channel from crm.notices").fetchall()
    assert set(left) == {
        (long_ago, "desktop"),
        (lately, "email"),
        (waits, "email"),
        (lately, "webhook"),
        (strange, "email"),
    }
    root.execute("delete from crm.notices")


def test_the_periods_stand_in_one_place_with_their_reasons_and_the_owner_alone_changes_them(
    worker: Login, login: Callable[[str], Login], root: psycopg.Connection, scene: Scene
):
    told = dict(
        root.execute("select what, extract(day from kept)::int from crm.retention where reason <> ''").fetchall()
    )
    kept_for = {"answers": 7, "sign-ins": 1, "challenges": 1, "invitations": 30, "notices": 30, "exports": 1}
    remembered = {"memory, short": 0, "memory, medium": 30, "memory, long": 365, "memory, forgotten": 30}
    agents = {"conversations": 30, "reservations": 1, "usage": 730, "working memory": 1}
    assert told == kept_for | remembered | agents
    for role in ("crm_agent", "crm_worker", "crm_approver", "crm_query"):
        with refused(DENIED, "permission denied"):
            login(role).ask("update crm.retention set kept = '1 day'")
    root.execute(ANSWER, (scene.org, scene.users["ada"], "k", "7 days 1 minute"))
    root.execute("update crm.retention set kept = '8 days' where what = 'answers'")
    with worker.bound(scene.org):
        assert worker.ask("select crm.forget_answers()") == 0
    root.execute("update crm.retention set kept = '7 days' where what = 'answers'")
    with worker.bound(scene.org):
        assert worker.ask("select crm.forget_answers()") == 1


@pytest.mark.parametrize(
    "table",
    [
        *("idempotency_keys", "login_links", "web_sessions", "passkey_challenges", "invitations", "notices"),
        *("drafts", "draft_versions", "changes", "audit_log", "access_log", "signatures", "passkeys", "retention"),
        *("exports", "export_parts", "conversations", "conversation_items", "agent_runs"),
        *("budgets", "budget_days", "token_reservations", "model_usage", "call_rates"),
        *("learnings", "memory_uses", "memory_vectors"),
    ],
)
def test_the_worker_deletes_nothing_by_itself(worker: Login, scene: Scene, table: str):
    with refused(DENIED), worker.bound(scene.org):
        worker.ask(f"delete from crm.{table}")


@pytest.mark.parametrize(
    "function",
    [
        *("forget_answers", "forget_sign_ins", "forget_invitations", "forget_notices", "forget_exports"),
        *("forget_conversations", "forget_usage", "forget_learnings"),
    ],
)
def test_nothing_goes_where_no_org_is_bound_and_only_the_worker_may_ask(
    worker: Login, login: Callable[[str], Login], root: psycopg.Connection, scene: Scene, function: str
):
    root.execute(ANSWER, (scene.org, scene.users["ada"], "old", "8 days"))
    root.execute(SESSION, ("old", scene.org, scene.users["ada"], "8 days"))
    assert worker.ask(f"select crm.{function}()") == 0
    for role in ("crm_agent", "crm_approver", "crm_query"):
        who = login(role)
        with refused(DENIED, "permission denied"), who.bound(scene.org):
            who.ask(f"select crm.{function}()")


RESERVATION = """insert into crm.token_reservations(org_id, user_id, tokens, use_case, day, money, created_at, expires_at)
 values (%s, %s, %s, 'chat', current_date, 0, clock_timestamp() - %s::interval, clock_timestamp())"""
USED = """insert into crm.model_usage(org_id, day, user_id, use_case, calls, tokens_in, tokens_out, money)
 values (%s, (clock_timestamp() - %s::interval)::date, %s, %s, 1, 1, 1, 0)"""
COUNTED = (
    "insert into crm.budget_days(org_id, day, user_id) values (%s, (clock_timestamp() - %s::interval)::date, %s)"
)


def test_reservations_go_after_a_day_and_what_models_were_used_for_after_two_years(
    worker: Login, root: psycopg.Connection, scene: Scene
):
    root.execute("truncate crm.token_reservations, crm.model_usage, crm.budget_days")
    ada = scene.users["ada"]
    for org, tokens, age in ((scene.org, 1, "25 hours"), (scene.org, 2, "23 hours"), (scene.other, 3, "25 hours")):
        root.execute(RESERVATION, (org, ada, tokens, age))
    for org, use, age in (
        (scene.org, "old", "732 days"),
        (scene.org, "new", "728 days"),
        (scene.other, "strange", "800 days"),
    ):
        root.execute(USED, (org, age, ada, use))
        root.execute(COUNTED, (org, age, ada))
    with worker.bound(scene.org):
        assert worker.ask("select crm.forget_usage()") == 3
    assert kept(root, "select tokens from crm.token_reservations") == {2, 3}
    assert kept(root, "select use_case from crm.model_usage") == {"new", "strange"}
    assert len(root.execute("select from crm.budget_days").fetchall()) == 2
