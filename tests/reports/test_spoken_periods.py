"""Periods said in words or written as in ISO 8601, on a leap day."""

from datetime import date

import pytest

from crm_mcp.errors import Refusal
from crm_mcp.reports.period import Period

TODAY = date(2024, 2, 29)


@pytest.mark.parametrize(
    ("said", "since", "until"),
    [
        ("Last Quarter", "2023-10-01", "2023-12-31"),
        ("this year", "2024-01-01", "2024-12-31"),
        ("year to date", "2024-01-01", "2024-02-29"),
        ("last 90 days", "2023-12-02", "2024-02-29"),
        ("last 12 months", "2023-03-01", "2024-02-29"),
        ("last week", "2024-02-19", "2024-02-25"),
        ("last month", "2024-01-01", "2024-01-31"),
        ("yesterday", "2024-02-28", "2024-02-28"),
        ("Q3 2026", "2026-07-01", "2026-09-30"),
        ("2026-Q4", "2026-10-01", "2026-12-31"),
        ("2026-W31", "2026-07-27", "2026-08-02"),
        ("2020-W53", "2020-12-28", "2021-01-03"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("9999-12", "9999-12-01", "9999-12-31"),
        ("2026", "2026-01-01", "2026-12-31"),
        ("2026-01/2026-03", "2026-01-01", "2026-03-31"),
        ("2026-W01 / 2026-02-03", "2025-12-29", "2026-02-03"),
    ],
)
def test_a_period_in_words_is_the_days_it_says(said: str, since: str, until: str) -> None:
    days = Period("all", "When.").days({"period": said}, TODAY)
    assert days == (date.fromisoformat(since), date.fromisoformat(until))


def test_all_time_is_open_at_both_ends() -> None:
    assert Period("90_days", "When.").days({"period": "all time"}, TODAY) == (None, None)


@pytest.mark.parametrize(
    ("said", "near"), [("last quater", "last quarter"), ("Q5 2026", "Q3 2026"), ("yer to date", "year to date")]
)
def test_a_period_that_is_none_is_answered_with_the_nearest_form(said: str, near: str) -> None:
    with pytest.raises(Refusal) as told:
        Period("all", "When.").days({"period": said}, TODAY)
    assert f"Did you mean {near!r}?" in told.value.hint


@pytest.mark.parametrize(
    "said",
    [
        "",
        "soon",
        "2026-W54",
        "2026-13",
        "2026-03/2026-01",
        "last 0 days",
        "last 9999 years",
        2026,
        "9999-99-99",
        "a/b",
    ],
)
def test_what_is_no_period_is_refused(said: object) -> None:
    with pytest.raises(Refusal):
        Period("all", "When.").days({"period": said}, TODAY)


def test_a_period_in_words_and_a_month_are_two_ways() -> None:
    with pytest.raises(Refusal):
        Period("all", "When.").days({"period": "last month", "month": "2024-01"}, TODAY)
