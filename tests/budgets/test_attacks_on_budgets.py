"""What somebody with a login's password cannot do to budgets: spend as another, raise a limit, give back, look at another org's."""

from collections.abc import Callable, Generator
from typing import Any

import psycopg
import pytest

from crm_mcp.embedded import Home

Attack = Callable[..., Any]
RESERVE = "select crm.reserve_tokens('chat', 10, 0, 'EUR')"
TABLES = ("budgets", "budget_days", "token_reservations", "model_usage")


@pytest.fixture
def attack(home: Home) -> Generator[Attack]:
    """Ask as a login, bound to the demo org, with a principal's token or without."""
    opened: list[psycopg.Connection[Any]] = []

    def ask(sql: str, *params: object, role: str = "crm_agent", token: str | None = None, slug: str = "demo") -> Any:
        conn = psycopg.connect(home.conninfo(role))
        opened.append(conn)
        signed = conn.execute(
            "select org_id, token from crm.sign_in(%s, null, null)", (token or "sam@demo.example",)
        ).fetchone()
        assert signed is not None
        org = conn.execute("select id from crm.orgs where slug = %s", (slug,)).fetchone()
        conn.execute("select set_config('crm.org_id', %s, true)", (str(org and org[0]),))
        if token is not None:
            conn.execute("select set_config('crm.token', %s, true)", (signed[1],))
        return conn.execute(sql, params).fetchall()  # type: ignore[arg-type]

    yield ask
    for conn in opened:
        conn.close()


def test_without_a_token_nothing_is_reserved_or_settled(attack: Attack):
    for sql in (RESERVE, "select crm.settle_tokens(1, 0, 0, 0, 'EUR', '')"):
        with pytest.raises(psycopg.errors.InvalidAuthorizationSpecification):
            attack(sql)


def test_a_token_of_one_org_spends_nothing_in_another(attack: Attack):
    with pytest.raises(psycopg.errors.InvalidAuthorizationSpecification):
        attack(RESERVE, token="sam@demo.example", slug="other")


@pytest.mark.parametrize("role", ["crm_agent", "crm_worker", "crm_approver"])
@pytest.mark.parametrize("table", TABLES)
def test_no_login_that_serves_writes_a_budget_or_a_counter(attack: Attack, table: str, role: str):
    for sql in (
        f"delete from crm.{table}",
        f"update crm.{table} set org_id = org_id",
        f"insert into crm.{table} default values",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attack(sql, role=role, token="ada@demo.example")


@pytest.mark.parametrize(
    "sql",
    [
        "select crm.count_spent(1, current_date, 0, -1000, 0)",
        "select crm.reserve_tokens_at(row(1, 1, null)::crm.bound_principal, 'x', 1, 0, 'EUR', now())",
        "select crm.settle_tokens_at(row(1, 1, null)::crm.bound_principal, 1, 0, 0, 0, 'EUR', '', now())",
        "select crm.lease_calls_at(1, 1, '', 0, 1, 600, now())",
        "select crm.in_base(1, 1, 'USD', current_date)",
    ],
)
def test_the_parts_that_take_an_identity_or_a_clock_are_called_by_nobody(attack: Attack, sql: str):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attack(sql, token="ada@demo.example")


def test_the_approvers_login_spends_nothing(attack: Attack):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attack(RESERVE, role="crm_approver", token="ada@demo.example")


def test_another_orgs_budgets_and_counters_are_unseen(attack: Attack, root: psycopg.Connection[Any], limit: Any):
    limit("org", 77)
    root.execute("select set_config('crm.org_id', (select id::text from crm.orgs where slug = 'demo'), false)")
    org, user = root.execute(
        "select m.org_id, m.user_id from crm.memberships m join crm.users u on u.id = m.user_id where u.email = 'sam@demo.example'"
    ).fetchone()  # type: ignore[misc]
    held = root.execute(
        "select crm.reserve_tokens_at(row(%s, %s, null)::crm.bound_principal, 'x', 7, 0, 'EUR', now())",
        (org, user),
    ).fetchone()
    root.execute(
        "select crm.settle_tokens_at(row(%s, %s, null)::crm.bound_principal, %s, 7, 0, 0, 'EUR', '', now())",
        (org, user, held[0]["id"]),
    )  # type: ignore[index]
    for table in TABLES:
        assert attack(f"select * from crm.{table}", token="sam@demo.example"), table
        assert attack(f"select * from crm.{table}", token="otto@other.example", slug="other") == [], table
    seen = attack(
        "select scope, tokens_limit, tokens_spent from crm.budget_standing(%s, %s, now())",
        org,
        user,
        token="otto@other.example",
        slug="other",
    )
    assert seen == [("request", 10_000, 0), ("user", 500_000, 0), ("org", 5_000_000, 0)]


def test_nobody_leases_calls_in_another_org(attack: Attack, root: psycopg.Connection[Any]):
    org, user = root.execute(
        "select m.org_id, m.user_id from crm.memberships m join crm.users u on u.id = m.user_id where u.email = 'sam@demo.example'"
    ).fetchone()  # type: ignore[misc]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attack("select crm.lease_calls(%s, %s, '', 0, 1, 600)", org, user, slug="other")
