from decimal import ROUND_HALF_UP, Decimal
from random import Random
from statistics import median

import pytest
from bureau import Bureau
from history import History, ago, day, is_unknown
from lab import LUX

from crm_mcp.crm import risk
from crm_mcp.crm.models import Activity, Contact, Note

FACTS = {
    "silent": 7,
    "inStage": 10,
    "stays": 5,
    "median": 10.0,
    "stage": "Demo",
    "lately": 2,
    "before": 2,
    "overdue": 0,
}


@pytest.fixture
async def history(bureau):
    return await History(bureau).open()


async def told(history, **asked):
    found = await history.ask("identify_at_risk_deals", **{"risk_threshold": 0, "limit": 50, **asked})
    return {one["record"]["id"]: one for one in found["atRisk"]}, found["_meta"]


def impact(name, **facts):
    factors = {one["factor"]: one["impact"] for one in risk.judge({**FACTS, **facts}).factors}
    return factors.get(name, 0)


def test_nothing_is_at_risk_at_the_near_side_of_every_threshold():
    found = risk.judge(FACTS)
    assert (found.score, found.factors, found.unjudged) == (0, (), ())


@pytest.mark.parametrize(("days", "share"), [(7, 0), (8, 0.015), (29, 0.335), (30, 0.35), (300, 0.35)])
def test_silence_counts_from_the_eighth_day_to_the_thirtieth(days, share):
    assert impact("inactivity", silent=days) == share


@pytest.mark.parametrize(("days", "share"), [(10, 0), (11, 0.025), (19, 0.225), (20, 0.25), (90, 0.25)])
def test_time_in_stage_counts_from_the_median_to_twice_of_it(days, share):
    assert impact("time_in_stage", inStage=days) == share


def test_time_in_stage_is_not_judged_below_five_stays():
    found = risk.judge({**FACTS, "inStage": 90, "stays": 4, "median": 10.0})
    assert found.factors == ()
    assert found.unjudged == ({"factor": "time_in_stage", "because": "4 completed stays in Demo, 5 needed"},)
    assert risk.judge({**FACTS, "inStage": 90}).score == Decimal("0.25")


@pytest.mark.parametrize(
    ("lately", "before", "share"), [(2, 2, 0), (3, 2, 0), (1, 2, 0.1), (0, 2, 0.2), (3, 4, 0.05), (0, 1, 0)]
)
def test_engagement_falls_by_the_share_that_is_missing_from_two_on(lately, before, share):
    assert impact("falling_engagement", lately=lately, before=before) == share


@pytest.mark.parametrize(("days", "share"), [(None, 0), (-1, 0), (0, 0), (1, 0.103), (30, 0.2), (99, 0.2)])
def test_a_close_date_counts_from_the_day_after(days, share):
    assert impact("overdue_close_date", overdue=days) == share


def test_the_factor_that_adds_most_comes_first_and_of_equals_the_earlier_name():
    names = [one["factor"] for one in risk.judge({**FACTS, "silent": 30, "overdue": 3, "inStage": 15}).factors]
    impacts = [one["impact"] for one in risk.judge({**FACTS, "silent": 30, "overdue": 3, "inStage": 15}).factors]
    assert impacts == sorted(impacts, reverse=True) and names[0] == "inactivity"


def test_one_day_is_said_as_one():
    told = {
        one["factor"]: one["text"] for one in risk.judge({**FACTS, "overdue": 1, "median": 0.5, "inStage": 1}).factors
    }
    assert told["overdue_close_date"] == "Expected to close 1 day ago"
    assert told["time_in_stage"].startswith("In Demo for 1 day (")


async def test_each_factor_is_told_with_its_impact_and_numbers(history):
    await history.deals(*[[("Lead", 60), ("Demo", 50)]] * 5)  # five stays in Lead of ten days
    (deal,) = await history.deals({"way": [("Lead", 45)], "amount": "500", "expected_close_on": day(31)})
    await history.contacts(deal, 50, 40, 40.5, 18.5)
    found, meta = await told(history)
    one = found[deal]
    assert {factor["factor"]: factor["impact"] for factor in one["factors"]} == {
        "inactivity": pytest.approx(0.35 * 11 / 23, abs=0.0006),
        "time_in_stage": 0.25,
        "falling_engagement": pytest.approx(0.2 * 2 / 3, abs=0.0006),
        "overdue_close_date": 0.2,
    }
    assert one["riskScore"] == pytest.approx(0.35 * 11 / 23 + 0.25 + 0.4 / 3 + 0.2, abs=0.006)
    assert next(factor for factor in one["factors"] if factor["factor"] == "time_in_stage")["medianDays"] == 10.0
    assert one["value"] == {"amount": "500.00", "currency": "EUR"}
    assert meta["judged"] == 6


async def test_whom_to_write_to_is_told_where_somebody_is_named(history, bureau):
    (customer,) = await bureau.buyers("Acme")
    kim, gone = await bureau.add(
        Contact,
        {"name": "Kim", "customer_id": customer, "archived_at": None},
        {"name": "Gone", "customer_id": customer, "archived_at": ago(1)},
    )
    way = [("Lead", 60)]
    named, left, nobodys = await history.deals({"way": way, "contact_id": kim}, {"way": way, "contact_id": gone}, way)
    found, _ = await told(history)
    assert found[named]["contact"] == {"id": f"cont_{kim}", "name": "Kim"}
    assert "contact" not in found[left] and "contact" not in found[nobodys]


async def test_a_note_a_call_or_a_move_ends_the_silence(history, bureau):
    noted, called, moved, silent = await history.deals(
        *[[("Lead", 40)]] * 2, [("Lead", 40), ("Demo", 2)], [("Lead", 40)]
    )
    await bureau.add(Note, {"body": "x", "subject_type": "deals", "subject_id": int(noted[5:])})
    await history.contacts(called, 3, -5)  # what is still to come ends nothing
    found, _ = await told(history)
    days = {
        deal: next((f["days"] for f in found[deal]["factors"] if f["factor"] == "inactivity"), 0) for deal in found
    }
    assert days == {noted: 0, called: 0, moved: 0, silent: 40}


async def test_a_call_with_the_account_counts_one_about_another_deal_of_it_does_not(history, bureau):
    (customer,) = await bureau.buyers("Acme")
    both = {"way": [("Lead", 40)], "customer_id": customer}
    first, second = await history.deals(both, both)
    await history.contacts(first, 2)
    found, _ = await told(history)
    assert "inactivity" in [one["factor"] for one in found[second]["factors"]]
    row = {"kind": "call", "subject": "x", "happened_at": ago(1), "customer_id": customer}
    await bureau.add(Activity, {**row, "subject_type": "customers", "subject_id": customer})
    found, _ = await told(history)
    assert "inactivity" not in [one["factor"] for one in found[second]["factors"]]


async def test_the_threshold_takes_what_reaches_it_and_the_value_is_summed_by_currency(history):
    quiet = {"way": [("Lead", 30.5)], "expected_close_on": day(30)}  # 0.35 + 0.20
    await history.deals(
        {**quiet, "amount": "100.10"},
        {**quiet, "amount": "200.20"},
        {**quiet, "amount": "50", "currency": "USD", "base_amount": None},
        {**quiet},
        {"way": [("Lead", 1)], "amount": "9000"},
    )
    _, meta = await told(history, risk_threshold=0.55)
    assert meta["totalAtRisk"] == 4
    assert meta["valueAtRisk"] == [{"amount": "300.30", "currency": "EUR"}, {"amount": "50.00", "currency": "USD"}]
    assert meta["valueAtRiskBase"] == {"amount": "300.30", "currency": "EUR"}
    assert (meta["withoutRate"], meta["withoutValue"], meta["judged"]) == (1, 1, 5)
    found, meta = await told(history, risk_threshold=0.56)
    assert (found, meta["totalAtRisk"], meta["valueAtRisk"]) == ({}, 0, [])


async def test_a_deal_in_two_pipelines_is_at_risk_once_where_it_is_most(history, bureau):
    second = await History(bureau).open(name="Second")
    (deal,) = await history.deals({"way": [("Lead", 9)], "amount": "70"})
    await second.walk([("deals", int(deal[5:]), [("Lead", 20)], {})])
    found, meta = await told(history)
    assert (found[deal]["pipeline"], meta["totalAtRisk"]) == ("Second", 1)
    assert meta["valueAtRisk"] == [{"amount": "70.00", "currency": "EUR"}]
    assert (await told(history, pipeline="Fair"))[0][deal]["pipeline"] == "Fair"


async def test_what_is_closed_is_at_no_risk_and_what_is_in_no_pipeline_is_told(history):
    await history.deals([("Lead", 40), ("Lost", 30)], {"way": [], "name": "Loose"})
    found, meta = await told(history)
    assert (found, meta["open"], meta["dealsInNoPipeline"]) == ({}, 0, 1)


async def test_it_says_what_a_plain_recomputation_says(history):
    chance = Random(7)
    done = [[("Lead", 200.0), ("Lost", 200.0 - chance.randint(3, 40))] for _ in range(9)]
    await history.deals(*done)
    usual = median(one[0][1] - one[1][1] for one in done)
    ways, calls = [], []
    for _ in range(6):
        inside = chance.randint(1, 60) + 0.5
        due = chance.choice([None, chance.randint(-20, 50)])
        amount = str(chance.randint(1, 99999) / 100)
        ways.append(
            {"way": [("Lead", inside)], "amount": amount, "expected_close_on": None if due is None else day(due)}
        )
        calls.append([chance.randint(0, 70) + 0.5 for _ in range(chance.randint(0, 8))])
    deals = await history.deals(*ways)
    for deal, when in zip(deals, calls, strict=True):
        if when:
            await history.contacts(deal, *when)
    found, meta = await told(history)
    whole = Decimal(0)
    for deal, way, when in zip(deals, ways, calls, strict=True):
        inside = int(way["way"][0][1])
        silent = min([inside, *(int(one) for one in when)])
        lately, before = sum(one < 30 for one in when), sum(30 <= one < 60 for one in when)
        late = None if way["expected_close_on"] is None else (day(0) - way["expected_close_on"]).days
        score = 0.35 * min(1, max(0, (silent - 7) / 23)) + 0.25 * min(1, max(0, inside / usual - 1))
        score += 0.2 * max(0, (before - lately) / before) if before >= 2 else 0
        score += 0.1 + 0.1 * min(1, late / 30) if late is not None and late > 0 else 0
        assert found[deal]["riskScore"] == pytest.approx(score, abs=0.0051), (way, when)
        whole += Decimal(way["amount"])
    assert meta["valueAtRiskBase"]["amount"] == str(whole.quantize(Decimal("0.01"), ROUND_HALF_UP))


async def test_another_orgs_deals_are_never_judged(history, home, approver, connect):
    other = Bureau(approver, connect)
    await other.open(home.conninfo("crm_owner"))
    await (await History(other).open()).deals([("Lead", 90)])
    found, meta = await told(history)
    assert (found, meta["open"], meta["dealsInNoPipeline"]) == ({}, 0, 0)


async def test_support_does_not_see_deals_at_risk(lab):
    assert await is_unknown(lab, LUX, "identify_at_risk_deals", {})
