from collections import defaultdict
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from random import Random

import pytest
from bureau import Bureau
from history import History, day, is_unknown
from lab import LUX

from crm_mcp.errors import Refusal
from crm_mcp.tools.pipelines.forecast_deals import days, probability

TODAY = day(0)


@pytest.fixture
async def history(bureau):
    return await History(bureau).open()


async def told(history, period="next_24_months"):
    found = await history.ask("forecast_deals", period=period)
    return found["forecast"], found["_meta"]


def month_of(day):
    return f"{day:%Y-%m}"


def euros(told, of):
    (one,) = [one for one in of if one["currency"] == "EUR"]
    return {name: one[name]["amount"] for name in ("worst", "committed", "weighted", "best")}


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [
        ("2026", "2026-01-01", "2026-12-31"), ("2028-02", "2028-02-01", "2028-02-29"), ("2026-Q4", "2026-10-01", "2026-12-31"),
        ("2026-q1", "2026-01-01", "2026-03-31"), ("this_quarter", "2026-10-01", "2026-12-31"), ("next_quarter", "2027-01-01", "2027-03-31"),
        ("next 1 months", "2026-11-01", "2026-11-30"), ("next_3_months", "2026-11-01", "2027-01-31"),
    ],
)  # fmt: skip
def test_a_period_is_of_whole_months(period, first, last):
    assert days(period, date(2026, 11, 21)) == (date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    "period", ["", "soon", "2026-13", "2026-Q5", "next_0_months", "next_25_months", "0000", "9999", "٢٠٢٦"]
)
def test_what_is_no_period_is_refused(period):
    with pytest.raises(Refusal):
        days(period, date(2026, 11, 21))


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [
        ("next 24 months", "2026-11-01", "2028-10-31"), ("next 12 months", "2026-11-01", "2027-10-31"),
        ("0001", "0001-01-01", "0001-12-31"), ("9998", "9998-01-01", "9998-12-31"), ("2026-12", "2026-12-01", "2026-12-31"),
    ],
)  # fmt: skip
def test_the_longest_the_first_and_the_last_period_there_is(period, first, last):
    assert days(period, date(2026, 11, 30)) == (date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(("today", "first"), [("2026-01-01", "2026-01-01"), ("2026-03-31", "2026-01-01"), ("2026-04-01", "2026-04-01"), ("2026-12-31", "2026-10-01")])  # fmt: skip
def test_a_quarter_begins_with_january_april_july_and_october(today, first):
    assert days("this quarter", date.fromisoformat(today))[0] == date.fromisoformat(first)


@pytest.mark.parametrize(
    ("stated", "n", "won", "configured", "odds"),
    [
        (80, 99, 1, 10, (Decimal("0.8"), "stated")),
        (0, 99, 1, 10, (Decimal(0), "stated")),
        (None, 10, 5, 40, (Decimal("0.5"), "history")),
        (None, 10, 3, 40, (Decimal(4) / 12, "history")),
        (None, 9, 5, 40, (Decimal("0.4"), "configured")),
        (None, None, None, 40, (Decimal("0.4"), "configured")),
        (None, None, None, None, (None, "none")),
    ],
)
def test_a_probability_is_as_stated_then_as_history_then_as_the_stage_says(stated, n, won, configured, odds):
    assert probability({"stated": stated, "n": n, "won": won, "configured": configured}) == odds


async def test_a_stated_probability_counts_before_history_and_history_before_the_configured(history):
    ahead = {"expected_close_on": TODAY, "amount": "100"}
    await history.deals({**ahead, "way": [("Demo", 5)]})
    found, meta = await told(history)
    assert euros(found, found["months"][0]["currencies"])["weighted"] == "40.00"  # configured
    assert meta["probabilityFrom"] == {"configured": 1}
    await history.deals(*[[("Lead", 90), ("Demo", 80), ("Won", 70)]] * 2, *[[("Demo", 80), ("Lost", 70)]] * 7)
    found, meta = await told(history)
    assert meta["probabilityFrom"] == {"configured": 1}  # nine closed ones are too few
    await history.deals([("Demo", 80), ("Lost", 70)])
    found, meta = await told(history)
    assert euros(found, found["months"][0]["currencies"])["weighted"] == "25.00"  # (2 + 1) / (10 + 2)
    assert meta["probabilityFrom"] == {"history": 1}
    await history.deals({**ahead, "way": [("Demo", 5)], "probability": Decimal(90)})
    found, meta = await told(history)
    assert euros(found, found["months"][0]["currencies"])["weighted"] == "115.00"
    assert meta["probabilityFrom"] == {"history": 1, "stated": 1}
    assert "withoutProbability" not in found["months"][0]["currencies"][0]


async def test_committed_is_from_eighty_per_cent_and_worst_what_is_won(history):
    def deal(odds, amount):
        return {"expected_close_on": TODAY, "amount": amount, "probability": Decimal(odds)}

    won = {"way": [("Lead", 40), ("Won", 0)], "amount": "1000", "signed_on": TODAY}
    await history.deals(won, deal(80, "100"), deal("79.99", "10"), deal(0, "1"))
    found, _ = await told(history)
    (month,) = found["months"]
    assert month["month"] == month_of(TODAY)
    assert euros(found, month["currencies"]) == {
        "worst": "1000.00",
        "committed": "1100.00",
        "weighted": "1088.00",
        "best": "1111.00",
    }
    assert (month["currencies"][0]["open"], month["currencies"][0]["won"]) == (3, 1)


async def test_an_open_deal_whose_day_has_passed_or_is_unknown_is_told_apart(history):
    late = {"expected_close_on": TODAY - timedelta(days=1), "amount": "10", "probability": Decimal(50)}
    await history.deals(late, {"amount": "20", "probability": Decimal(50)})
    for period in ("next_24_months", "this_quarter", "next_quarter"):
        found, _ = await told(history, period)
        assert found["months"] == []
        assert euros(found, found["overdue"])["best"] == "10.00"
        assert euros(found, found["undated"])["best"] == "20.00"
        assert found["base"]["best"]["amount"] == "0.00"


async def test_without_any_probability_a_deal_is_in_the_best_case_alone_and_counted(history):
    await history.deals({"expected_close_on": TODAY, "amount": "10"}, {"expected_close_on": TODAY})
    found, meta = await told(history)
    named, unnamed = sorted(found["months"][0]["currencies"], key=lambda one: "currency" not in one)
    assert (named["weighted"]["amount"], named["best"]["amount"], named["withoutProbability"]) == ("0.00", "10.00", 1)
    assert (unnamed["open"], unnamed["withoutValue"]) == (1, 1)
    assert meta["probabilityFrom"] == {"none": 2}


async def test_currencies_stay_apart_and_what_has_no_rate_is_counted(history):
    ahead = {"expected_close_on": TODAY, "probability": Decimal(50)}
    await history.deals(
        {**ahead, "amount": "100"},
        {**ahead, "amount": "100", "currency": "USD", "base_amount": Decimal(90)},
        {**ahead, "amount": "1000", "currency": "JPY", "base_amount": None},
    )
    found, _ = await told(history)
    weighted = {one["currency"]: one["weighted"]["amount"] for one in found["months"][0]["currencies"]}
    assert weighted == {"EUR": "50.00", "USD": "50.00", "JPY": "500"}
    assert (found["base"]["weighted"]["amount"], found["base"]["withoutRate"]) == ("95.00", 1)


async def test_it_says_what_a_plain_recomputation_says_to_the_cent(history):
    chance = Random(11)
    closed = [[("Lead", 200), ("Offer", 150), ("Won" if chance.random() < 0.6 else "Lost", 100)] for _ in range(13)]
    await history.deals(*closed)
    won = sum(way[-1][0] == "Won" for way in closed)
    made, wanted, best = [], defaultdict(Fraction), defaultdict(Fraction)
    for _ in range(30):
        amount = Decimal(chance.randint(1, 10_000_000)) / 100
        due = TODAY + timedelta(days=chance.randint(0, 100))
        stage = chance.choice(["Offer", "Demo"])
        stated = chance.choice([None, Decimal(chance.randint(0, 10000)) / 100])
        made.append({"way": [(stage, 9)], "amount": str(amount), "expected_close_on": due, "probability": stated})
        odds = (
            Fraction(stated) / 100
            if stated is not None
            else Fraction(won + 1, 15)
            if stage == "Offer"
            else Fraction(2, 5)
        )
        wanted[month_of(due)] += Fraction(amount) * odds
        best[month_of(due)] += Fraction(amount)
    await history.deals(*made)
    found, _ = await told(history)

    def cents(exact):
        return str((Decimal(exact.numerator) / Decimal(exact.denominator)).quantize(Decimal("0.01"), ROUND_HALF_UP))

    assert {one["month"]: euros(found, one["currencies"])["weighted"] for one in found["months"]} == {
        month: cents(exact) for month, exact in wanted.items()
    }
    assert {one["month"]: euros(found, one["currencies"])["best"] for one in found["months"]} == {
        month: cents(exact) for month, exact in best.items()
    }
    assert found["base"]["weighted"]["amount"] == cents(sum(wanted.values()))


async def test_another_orgs_deals_are_never_forecast(history, home, approver, connect):
    other = Bureau(approver, connect)
    await other.open(home.conninfo("crm_owner"))
    theirs = await History(other).open()
    await theirs.deals({"way": [("Lead", 9)], "amount": "7", "expected_close_on": TODAY})
    found, meta = await told(history)
    assert (found["months"], found["overdue"], found["undated"], meta["n"]) == ([], [], [], 0)


async def test_support_does_not_forecast(lab):
    assert await is_unknown(lab, LUX, "forecast_deals", {})
