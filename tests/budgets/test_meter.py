"""Model calls are held, settled and refused exactly, each refusal saying which limit, what is left and until when."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from crm_mcp.agents import meter as budgets
from crm_mcp.agents.meter import PostgresMeter
from crm_mcp.errors import Refusal
from crm_mcp.money import Money
from crm_mcp.principal import Agent

ZERO = Decimal(0)
Made = Callable[..., Awaitable[PostgresMeter]]
Limit = Callable[..., None]
Root = psycopg.Connection[Any]


async def refused(meter: PostgresMeter, tokens: int, money: Decimal | Money = ZERO) -> Refusal:
    with pytest.raises(Refusal) as no:
        await meter.reserve("chat", tokens, money)
    return no.value


def test_the_standard_of_the_database_is_the_programs(root: Root):
    rows = root.execute("select scope, tokens, warn_at from crm.budget_standard()").fetchall()
    expected = (("request", budgets.REQUEST), ("user", budgets.USER), ("org", budgets.ORG))
    assert rows == [(scope, tokens, budgets.WARN_AT) for scope, tokens in expected]


async def test_a_call_within_every_limit_is_held_and_then_counted_by_what_it_used(meter: Made, root: Root):
    of = await meter(agent=Agent.SALES)
    held = await of.reserve("chat", 4000, Decimal("0.02"))
    spent = await of.settle(held, 300, 50, Decimal("0.0011"), model="claude-x")
    assert (spent.tokens_in, spent.tokens_out, spent.money, spent.warnings) == (300, 50, Decimal("0.0011"), ())
    rows = root.execute(
        "select agent, use_case, model, calls, tokens_in, tokens_out, money from crm.model_usage"
    ).fetchall()
    assert rows == [("sales", "chat", "claude-x", 1, 300, 50, Decimal("0.00110000"))]
    assert root.execute("select user_id = 0, tokens from crm.budget_days order by 1").fetchall() == [
        (False, 350),
        (True, 350),
    ]


async def test_one_request_to_a_model_has_its_own_limit_and_the_next_begins_anew(meter: Made):
    of = await meter()
    no = await refused(of, 10_001)
    assert no.error == "OVER_BUDGET"
    assert no.context == {"scope": "request", "unit": "tokens", "limit": 10_000}
    assert no.hint == (
        "The limit of one request to a model is 10,000 tokens, and this call may need 10,001 tokens. "
        "Ask for less at once: it is more than the whole limit."
    )
    for _ in range(2):
        await of.settle(await of.reserve("chat", 10_000, ZERO), 7000, 3000, ZERO)


async def test_a_persons_day_that_is_spent_says_so_and_leaves_the_others_theirs(meter: Made, limit: Limit):
    limit("user", 1000)
    of = await meter()
    await of.settle(await of.reserve("chat", 900, ZERO), 900, 0, ZERO)
    no = await refused(of, 200)
    assert {k: no.context[k] for k in ("scope", "limit", "spent", "left")} == {
        "scope": "user",
        "limit": 1000,
        "spent": 900,
        "left": 100,
    }
    assert str(no.context["resetsAt"]).endswith("T00:00:00+00:00")
    assert "The limit of yours is 1,000 tokens for today: 900 tokens spent, 100 tokens left" in no.hint
    assert "00:00 UTC; an administrator may raise or reset it" in no.hint
    await (await meter("olga@demo.example")).reserve("chat", 1000, ZERO)


async def test_the_org_is_counted_over_everybody_in_it_and_another_org_apart(meter: Made, limit: Limit):
    limit("org", 1000)
    await (await meter()).reserve("chat", 700, ZERO)
    no = await refused(await meter("olga@demo.example"), 400)
    assert (no.context["scope"], no.context["left"], no.context["spent"]) == ("org", 300, 0)
    assert "700 tokens held by calls that still run" in no.hint
    assert no.hint.endswith("Try again once those calls have ended.")
    await (await meter("otto@other.example")).reserve("chat", 1000, ZERO)


async def test_money_is_limited_apart_from_tokens_in_the_base_currency(meter: Made, limit: Limit, root: Root):
    limit("user", money="1")
    of = await meter()
    await of.settle(await of.reserve("chat", 10, Decimal("0.60")), 5, 5, Decimal("0.60"))
    no = await refused(of, 10, Decimal("0.50"))
    assert no.error == "OVER_BUDGET"
    assert no.context["unit"] == "money"
    assert no.context["left"] == {"amount": "0.40000000", "currency": "EUR"}
    assert "The limit of yours is EUR 1.00 for today: EUR 0.60 spent, EUR 0.40 left" in no.hint
    await of.reserve("chat", 10, Decimal("0.40"))


async def test_another_currency_counts_at_the_orgs_rate_and_is_refused_without_one_where_money_is_limited(
    meter: Made, limit: Limit, root: Root
):
    org = root.execute("select id from crm.orgs where slug = 'demo'").fetchone()[0]  # type: ignore[index]
    rate = root.execute(
        "select rate from crm.exchange_rates where org_id = %s and currency = 'USD' and valid_from <= current_date"
        " order by valid_from desc limit 1",
        (org,),
    ).fetchone()
    assert rate is not None
    of = await meter()
    await of.settle(
        await of.reserve("chat", 10, Money(amount="0.50", currency="USD")), 5, 5, Money(amount="0.50", currency="USD")
    )
    counted = root.execute("select money from crm.model_usage").fetchone()
    assert counted == (round(Decimal("0.50") * rate[0], 8),)
    unknown = Money(amount="0.50", currency="XXX")
    spent = await of.settle(await of.reserve("chat", 10, unknown), 5, 5, unknown)
    assert spent.warnings == ("There is no rate from XXX to EUR: this call counts no money.",)
    limit("org", money="100")
    no = await refused(of, 10, unknown)
    assert (no.error, no.context) == ("NO_RATE", {"currency": "XXX"})
    assert "no rate from XXX to EUR" in no.hint


async def test_what_was_used_beyond_what_was_held_is_counted_and_the_next_is_refused(meter: Made, limit: Limit):
    limit("user", 1000)
    of = await meter()
    spent = await of.settle(await of.reserve("chat", 100, ZERO), 1000, 200, ZERO)
    (warning,) = spent.warnings
    assert warning.startswith("120 % of today's tokens of yours are spent: 0 left until ")
    no = await refused(of, 1)
    assert (no.context["spent"], no.context["left"]) == (1200, 0)


async def test_whoever_comes_near_a_limit_is_warned_with_what_is_left(meter: Made, limit: Limit):
    limit("user", 1000, "2")
    of = await meter()
    assert (await of.settle(await of.reserve("chat", 799, ZERO), 799, 0, ZERO)).warnings == ()
    tokens, money = (await of.settle(await of.reserve("chat", 1, ZERO), 1, 0, Decimal("1.90"))).warnings
    assert tokens.startswith("80 % of today's tokens of yours are spent: 200 left until ")
    assert tokens.endswith(" 00:00 UTC.")
    assert money.startswith("95 % of today's money for models of yours is spent: EUR 0.10 left until ")


async def test_a_call_is_counted_once_however_often_it_is_settled(meter: Made, root: Root):
    of = await meter()
    held = await of.reserve("chat", 100, ZERO)
    for _ in range(2):
        await of.settle(held, 60, 0, ZERO)
    assert root.execute("select calls, tokens_in from crm.model_usage").fetchall() == [(1, 60)]
    assert root.execute("select distinct tokens from crm.budget_days").fetchall() == [(60,)]


async def test_what_was_used_is_counted_once_where_the_answer_of_the_commit_is_lost(
    meter: Made, root: Root, monkeypatch: pytest.MonkeyPatch
):
    of = await meter()
    held, ask, lost = await of.reserve("chat", 100, ZERO), of._ask, [psycopg.OperationalError("lost")]

    async def breaks(sql: str, params: tuple[object, ...]) -> Any:
        got = await ask(sql, params)
        if lost:
            raise lost.pop()
        return got

    monkeypatch.setattr(of, "_ask", breaks)
    await of.settle(held, 60, 0, ZERO)
    assert root.execute("select calls, tokens_in from crm.model_usage").fetchall() == [(1, 60)]


async def test_more_than_a_whole_limit_is_never_told_to_wait(meter: Made):
    no = await refused(await meter(), 10_001)
    assert no.hint.endswith("Ask for less at once: it is more than the whole limit.")


async def test_a_model_that_was_never_reached_costs_nothing_and_frees_what_was_held(
    meter: Made, limit: Limit, root: Root
):
    limit("user", 100)
    of = await meter()
    held = await of.reserve("chat", 100, ZERO)
    assert (await refused(of, 1)).context["left"] == 0
    await of.settle(held, 0, 0, ZERO)
    await of.reserve("chat", 100, ZERO)
    assert root.execute("select calls from crm.model_usage").fetchall() == [(0,)]


async def test_nobody_settles_what_another_person_org_or_agent_reserved(meter: Made, root: Root):
    held = await (await meter()).reserve("chat", 100, ZERO)
    for email, agent in (
        ("olga@demo.example", None),
        ("otto@other.example", None),
        ("sam@demo.example", Agent.ORDER),
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await (await meter(email, agent)).settle(held, 0, 0, ZERO)
    assert root.execute("select settled_at from crm.token_reservations").fetchall() == [(None,)]


@pytest.mark.parametrize(("tokens", "money"), [(-1, ZERO), (2_000_000_000, ZERO), (1, Decimal(-1))])
async def test_no_amount_below_zero_or_beyond_reason_is_reserved(meter: Made, tokens: int, money: Decimal):
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        await (await meter()).reserve("chat", tokens, money)
