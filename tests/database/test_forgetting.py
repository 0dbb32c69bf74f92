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


@pytest.mark.parametrize("function", ["forget_answers", "forget_sign_ins"])
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
