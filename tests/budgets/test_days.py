"""A day ends at midnight UTC, a dead process gives back what it held, and a reset forgives what was spent: by the database's clock."""

from typing import Any

import psycopg
import pytest

Root = psycopg.Connection[Any]
NOON = "2031-03-04 12:00+00"


class Clock:
    """Reserves and settles for one person of the demo org at instants of a test's choosing."""

    def __init__(self, root: Root, email: str = "sam@demo.example") -> None:
        self._root = root
        row = root.execute(
            "select m.org_id, m.user_id from crm.memberships m join crm.users u on u.id = m.user_id where u.email = %s",
            (email,),
        ).fetchone()
        assert row is not None
        self.org, self.user = row
        self.bind()

    def bind(self) -> None:
        """Bind the connection to the person's org: the functions run under RLS."""
        self._root.execute("select set_config('crm.org_id', %s, false)", (str(self.org),))

    def reserve(self, at: str, tokens: int) -> dict[str, Any]:
        return self._ask(
            "crm.reserve_tokens_at(row(%s, %s, null)::crm.bound_principal, 'chat', %s, 0, 'EUR', %s)",
            *(self.org, self.user, tokens, at),
        )

    def settle(self, at: str, reservation: int, tokens: int) -> dict[str, Any]:
        return self._ask(
            "crm.settle_tokens_at(row(%s, %s, null)::crm.bound_principal, %s, %s, 0, 0, 'EUR', 'm', %s)",
            *(self.org, self.user, reservation, tokens, at),
        )

    def days(self) -> list[tuple[str, int]]:
        return self._root.execute(
            "select day::text, tokens from crm.budget_days where user_id = %s order by day", (self.user,)
        ).fetchall()

    def _ask(self, call: str, *params: object) -> dict[str, Any]:
        row = self._root.execute(f"select {call}", params).fetchone()  # type: ignore[arg-type]
        assert row is not None
        return row[0]


@pytest.fixture
def clock(root: Root, limit: Any) -> Clock:
    limit("user", 1000)
    return Clock(root)


def test_what_was_spent_yesterday_leaves_today_whole(clock: Clock):
    held = clock.reserve("2031-03-04 23:59:58+00", 1000)
    clock.settle("2031-03-04 23:59:59+00", held["id"], 1000)
    no = clock.reserve("2031-03-04 23:59:59.9+00", 1)
    assert (no["scope"], no["resetsAt"]) == ("user", "2031-03-05T00:00:00+00:00")
    assert "id" in clock.reserve("2031-03-05 00:00+00", 1000)


def test_midnight_is_that_of_utc_wherever_a_call_comes_from(clock: Clock):
    clock.settle(NOON, clock.reserve("2031-03-04 23:30-05", 1000)["id"], 1000)
    assert clock.days() == [("2031-03-05", 1000)]
    assert "id" in clock.reserve("2031-03-05 00:30+01", 1000)


def test_a_call_over_midnight_counts_on_the_day_it_was_reserved(clock: Clock):
    held = clock.reserve("2031-03-04 23:59+00", 1000)
    assert "id" in clock.reserve("2031-03-05 00:01+00", 1000)
    after = clock.settle("2031-03-05 00:02+00", held["id"], 900)
    assert clock.days() == [("2031-03-04", 900)]
    (user,) = [row for row in after["standing"] if row["scope"] == "user"]
    assert (user["tokensSpent"], user["resetsAt"]) == (0, "2031-03-06T00:00:00+00:00")


def test_what_a_process_held_that_died_is_given_back_after_a_quarter_of_an_hour(clock: Clock):
    clock.reserve(NOON, 1000)
    assert clock.reserve("2031-03-04 12:14:59+00", 1)["held"] == 1000
    assert "id" in clock.reserve("2031-03-04 12:15:01+00", 1000)


def test_who_was_taken_for_dead_and_settles_later_is_counted_all_the_same(clock: Clock):
    late = clock.reserve(NOON, 600)
    other = clock.reserve("2031-03-04 12:20+00", 1000)
    clock.settle("2031-03-04 12:21+00", other["id"], 1000)
    clock.settle("2031-03-04 12:22+00", late["id"], 600)
    assert clock.days() == [("2031-03-04", 1600)]
    assert clock.reserve("2031-03-04 12:23+00", 1)["spent"] == 1600


def test_the_own_limit_of_a_person_stands_over_everybodys_and_that_over_the_standard(clock: Clock, limit: Any):
    limit("user", 2000, user=clock.user)
    assert "id" in clock.reserve(NOON, 2000)
    assert clock.reserve(NOON, 1)["limit"] == 2000
    other = Clock(clock._root, "olga@demo.example")
    assert other.reserve(NOON, 1001)["limit"] == 1000
    stranger = Clock(clock._root, "otto@other.example")
    assert stranger.reserve(NOON, 10_000)["id"]
    assert stranger.reserve(NOON, 10_001)["scope"] == "request"


def test_a_transaction_that_reads_an_older_state_is_refused_rather_than_let_past_a_limit(home: Any, clock: Clock):
    clock.reserve(NOON, 10)
    with psycopg.connect(home.conninfo("postgres")) as old:
        old.execute("set transaction isolation level repeatable read")
        late = Clock(old)
        clock.reserve(NOON, 900)
        with pytest.raises(psycopg.errors.SerializationFailure):
            late.reserve(NOON, 900)
