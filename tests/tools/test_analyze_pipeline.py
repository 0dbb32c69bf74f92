from datetime import UTC, datetime
from fractions import Fraction
from random import Random
from statistics import mean, median

import pytest
from bureau import Bureau
from history import History, ago, day, is_unknown
from lab import LOU, LUX

from crm_mcp.crm import verdicts
from crm_mcp.crm.models import Deal, PipelinePosition, StageTransition


@pytest.fixture
async def history(bureau):
    return await History(bureau).open()


async def analysis(history, first, last, **more):
    """Ask for the days from so many days ago to so many days ago."""
    days = {"from_day": _day(first), "to_day": _day(last)}
    return (await history.ask("analyze_pipeline", pipeline=history.name, **days, **more))["analysis"]


def _day(days):
    return day(days).isoformat()


def stage(told, name):
    return next(one for one in told["stages"] if one["stage"] == name)


async def test_conversion_counts_only_what_began_and_was_won_in_the_period(history):
    await history.deals(
        [("Lead", 80), ("Demo", 30), ("Offer", 20), ("Won", 10)],  # began before the period
        [("Lead", 40), ("Demo", 30), ("Offer", 20), ("Won", 10)],
        [("Lead", 40), ("Demo", 30), ("Offer", 20), ("Won", 2)],  # won after it
        [("Lead", 40), ("Lost", 20)],
        [("Lead", 3), ("Demo", 2)],  # began after it
    )
    told = await analysis(history, 50, 5)
    metrics = told["metrics"]
    assert (metrics["totalRecords"], metrics["converted"], metrics["dropped"], metrics["stillOpen"]) == (3, 1, 1, 1)
    assert metrics["conversionRate"] == 0.333
    # of what was decided in the period: two won, whenever they began, one lost
    assert (metrics["decided"], metrics["winRateOfDecided"]) == (3, 0.667)


async def test_what_is_open_is_neither_converted_nor_dropped(history):
    await history.deals([("Lead", 40), ("Demo", 30)], [("Lead", 40)], [("Lead", 40), ("Demo", 35), ("Lost", 20)])
    told = await analysis(history, 50, 5)
    lead, demo = stage(told, "Lead"), stage(told, "Demo")
    assert (lead["entered"], lead["advanced"], lead["dropped"], lead["stillOpen"]) == (3, 2, 0, 1)
    assert (demo["entered"], demo["advanced"], demo["dropped"], demo["stillOpen"]) == (2, 0, 1, 1)
    assert told["metrics"]["conversionRate"] == 0.0
    assert demo["open"] == {"n": 1, "medianDays": pytest.approx(25, abs=1.1)}


async def test_a_stage_entered_again_counts_once_for_its_record_and_each_time_in_time(history):
    await history.deals([("Lead", 40), ("Demo", 30), ("Lead", 28), ("Demo", 20), ("Offer", 16)])
    told = await analysis(history, 50, 5)
    lead, demo = stage(told, "Lead"), stage(told, "Demo")
    assert (lead["entered"], demo["entered"]) == (1, 1)
    assert lead["time"] == {"n": 2, "medianDays": 9.0, "p90Days": 9.8}  # 10 and 8
    assert demo["time"] == {"n": 2, "medianDays": 3.0, "p90Days": 3.8}  # 2 and 4


async def test_a_record_that_begins_twice_is_one(history):
    (deal,) = await history.deals([("Lead", 40), ("Lost", 35)])
    await history.walk([("deals", int(deal[5:]), [("Lead", 30), ("Won", 20)], {})])
    told = await analysis(history, 50, 5)
    assert (told["metrics"]["totalRecords"], told["metrics"]["converted"]) == (1, 1)
    assert stage(told, "Lead")["entered"] == 1
    assert stage(told, "Lead")["time"]["n"] == 2


async def test_a_win_taken_back_is_none(history):
    await history.deals([("Lead", 40), ("Won", 30), ("Lead", 25)])
    told = await analysis(history, 50, 5)
    assert (told["metrics"]["converted"], told["metrics"]["stillOpen"]) == (0, 1)
    assert (stage(told, "Lead")["advanced"], stage(told, "Lead")["stillOpen"]) == (0, 1)


async def test_the_cycle_ends_with_the_signature_else_with_the_move_to_won(history):
    await history.deals(
        {"way": [("Lead", 40), ("Won", 10)], "signed_on": (ago(20)).date()},
        {"way": [("Lead", 40), ("Won", 10)]},
    )
    cycle = (await analysis(history, 50, 5))["metrics"]["salesCycle"]
    assert (cycle["n"], cycle["toSignature"], cycle["toClosing"]) == (2, 1, 1)
    begun = day(40)
    days = [(ago(20).date() - begun).days, (day(10) - begun).days]
    assert cycle["meanDays"] == mean(days)
    assert cycle["medianDays"] == median(days)


async def test_handle_time_leaves_out_what_changed_hands(history, bureau):
    boss = bureau.people[bureau.boss]
    ann = next(number for email, number in bureau.people.items() if email != bureau.boss)
    await history.deals({"way": [("Lead", 40), ("Won", 10)], "owner_id": ann})
    (moved,) = await history.deals({"way": [("Lead", 40)], "owner_id": boss})
    await history.set("deals", int(moved[5:]), "owner_id", ann)
    place = (await bureau.ask("get_pipelines", {"record": moved}))["pipelines"][0]["positions"][0]["id"]
    at = datetime.now(UTC)
    await bureau.add(
        StageTransition,
        {
            "position_id": int(place[4:]), "pipeline_id": history.pipeline, "from_stage_id": history.stages["Lead"],
            "to_stage_id": history.stages["Lost"], "moved_at": at, "seconds_in_stage": 40 * 86400, "criteria_met": True,
        },
    )  # fmt: skip
    told = await analysis(history, 50, 0)
    assert (told["handleTime"]["n"], told["handleTime"]["transferred"]) == (1, 1)
    assert told["handleTime"]["people"] == [{"person": "Ann Agent", "n": 1, "medianDays": 30.0}]


async def test_the_bottleneck_is_the_longest_median_from_five_stays_on(history):
    four = [[("Lead", 40), ("Demo", 38), ("Offer", 10)] for _ in range(4)]
    await history.deals(*four, *[[("Lead", 40), ("Demo", 35)] for _ in range(2)])
    told = await analysis(history, 50, 5)
    assert stage(told, "Demo")["time"]["n"] == 4
    assert told["metrics"]["bottleneckStage"] == "Lead"
    await history.deals([("Lead", 40), ("Demo", 38), ("Offer", 10)])
    told = await analysis(history, 50, 5)
    assert told["metrics"]["bottleneckStage"] == "Demo"
    assert told["insights"][0]["text"] == "Demo takes longest: median 28.0 days, p90 28.0 (n 5)."
    assert told["suggestions"][0]["stage"] == "Demo"


async def test_the_slowest_and_the_quickest_stage_are_told_against_their_targets(bureau):
    history = await History(bureau).open(Lead={"max_days": 10}, Demo={"max_days": 14})
    await history.deals(*[[("Lead", 40), ("Demo", 33), ("Offer", 12)]] * 5)
    told = await analysis(history, 50, 5)
    slow, quick = told["insights"]
    assert (slow["kind"], slow["stage"], slow["targetDays"]) == ("bottleneck", "Demo", 14)
    assert slow["text"] == "Demo takes longest: median 21.0 days, p90 21.0 (n 5), over its target of 14 days."
    assert (quick["kind"], quick["stage"], quick["targetDays"]) == ("quickest", "Lead", 10)
    assert quick["text"] == "Lead is quickest: median 7.0 days (n 5), within its target of 10 days."
    assert told["suggestions"][0]["because"].endswith("the longest of all stages, over its target of 14 days")


async def test_drop_off_is_told_from_ten_records_and_three_of_ten(history):
    await history.deals(*[[("Lead", 40), ("Lost", 30)]] * 3, *[[("Lead", 40), ("Demo", 30)]] * 6)
    assert [one["kind"] for one in (await analysis(history, 50, 5))["insights"]] == ["bottleneck"]
    await history.deals([("Lead", 40), ("Demo", 30)])
    found = (await analysis(history, 50, 5))["insights"]
    assert found[1] == {
        "kind": "drop_off", "stage": "Lead", "text": "Lead lost 3 of 10 records (30%).", "dropped": 3, "entered": 10, "dropOff": 0.3,
    }  # fmt: skip
    await history.deals([("Lead", 40), ("Demo", 30)])
    assert [one["kind"] for one in (await analysis(history, 50, 5))["insights"]] == ["bottleneck"]


async def test_velocity_is_open_times_win_rate_times_value_by_cycle(history):
    won = [{"way": [("Lead", 40), ("Won", 20)], "amount": amount} for amount in ("1000", "3000")]
    await history.deals(*won, [("Lead", 40), ("Lost", 20)], [("Lead", 40), ("Lost", 20)], *[[("Lead", 10)]] * 3)
    found = (await analysis(history, 50, 5))["metrics"]["velocity"]
    # 3 open × ½ × 2,000 ÷ 20 days
    assert found["perDay"] == {"amount": "150.00", "currency": "EUR"}
    assert (found["open"], found["winRate"], found["meanCycleDays"]) == (3, 0.5, 20.0)


async def test_a_way_brought_in_without_its_moves_is_where_it_says(history, bureau):
    (number,) = await bureau.add(Deal, {"name": "Brought", "status": "open"})
    row = {
        "pipeline_id": history.pipeline,
        "stage_id": history.stages["Demo"],
        "subject_type": "deals",
        "subject_id": number,
    }
    await bureau.add(PipelinePosition, {**row, "entered_at": ago(20)})
    told = await analysis(history, 50, 5)
    assert (told["metrics"]["totalRecords"], stage(told, "Demo")["stillOpen"], stage(told, "Lead")["entered"]) == (
        1,
        1,
        0,
    )


async def test_it_says_what_a_plain_recomputation_says(history):
    """Twenty-five generated ways, recomputed here from the moves alone."""
    chance = Random(5)
    ways = []
    for _ in range(25):
        left, way, at = float(chance.randint(30, 110)), [], 0
        while left > 1:
            way.append((("Lead", "Demo", "Offer")[at] if at < 3 else "Won", left))
            if at == 3:
                break
            left -= chance.randint(1, 25) + chance.random()
            roll = chance.random()
            if roll < 0.2:
                if left > 1:
                    way.append(("Lost", left))
                break
            at = max(0, at - 1) if roll < 0.3 else at + 1
            if way[-1][0] == ("Lead", "Demo", "Offer", "Won")[at]:
                at += 1
        ways.append({"way": way, "amount": str(chance.randint(100, 90000))})
    await history.deals(*ways)
    first, last = 90, 10
    told = await analysis(history, first, last)

    def within(ended):
        return day(first) <= day(ended) <= day(last)

    def until(ended):
        return day(ended) <= day(last)

    cohort = [[one for one in way["way"] if until(one[1])] for way in ways if within(way["way"][0][1])]
    assert told["metrics"]["totalRecords"] == len(cohort)
    won = sum(way[-1][0] == "Won" for way in cohort)
    assert told["metrics"]["converted"] == won
    assert told["metrics"]["conversionRate"] == pytest.approx(float(Fraction(won, len(cohort))), abs=0.0005)
    order = ["Lead", "Demo", "Offer", "Won"]
    for name in order[:3]:
        reached = [way for way in cohort if any(one[0] == name for one in way)]
        far = [max(order.index(one[0]) for one in way if one[0] != "Lost") for way in reached]
        shown = stage(told, name)
        assert shown["entered"] == len(reached)
        assert shown["advanced"] == sum(place > order.index(name) for place in far)
        lost = [way[-1][0] == "Lost" and place == order.index(name) for way, place in zip(reached, far, strict=True)]
        assert shown["dropped"] == sum(lost)
        stays = sorted(
            one[1] - after[1]
            for way in ways
            for one, after in zip(way["way"], way["way"][1:], strict=False)
            if one[0] == name and within(after[1])
        )
        assert shown["time"]["n"] == len(stays)
        if stays:
            assert shown["time"]["medianDays"] == pytest.approx(median(stays), abs=0.051)
            place = 0.9 * (len(stays) - 1)
            low = int(place)
            p90 = stays[low] + (place - low) * (stays[min(low + 1, len(stays) - 1)] - stays[low])
            assert shown["time"]["p90Days"] == pytest.approx(p90, abs=0.051)
    ended = [way for way in ways if way["way"][-1][0] in ("Won", "Lost") and within(way["way"][-1][1])]
    sold = [way for way in ended if way["way"][-1][0] == "Won"]
    assert told["metrics"]["decided"] == len(ended)
    assert told["metrics"]["wonValue"]["amount"] == f"{sum(int(way['amount']) for way in sold)}.00"


async def test_another_orgs_moves_are_never_counted(history, home, approver, connect):
    other = Bureau(approver, connect)
    await other.open(home.conninfo("crm_owner"))
    theirs = await History(other).open()
    await theirs.deals([("Lead", 40), ("Won", 30)])
    assert (await analysis(history, 50, 5))["metrics"]["totalRecords"] == 0
    told = await history.ask("analyze_pipeline", pipeline=f"pipe_{theirs.pipeline}")
    assert told["error"] == "PIPELINE_NOT_FOUND"


async def test_a_period_ends_after_it_begins(history):
    told = await history.ask("analyze_pipeline", pipeline="Fair", from_day="2026-02-02", to_day="2026-02-01")
    assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", "to_day")


async def test_support_does_not_have_it(lab):
    assert await is_unknown(lab, LUX, "analyze_pipeline", {"pipeline": "Sales"})
    assert (await lab.ask("analyze_pipeline", {"pipeline": "Sales"}, LOU))["type"] == "result"


def figures(name, entered=10, dropped=0, stays=5, median=5.0, waiting=0, waited=None, most=None):
    return {
        "stage": name, "entered": entered, "advanced": entered - dropped, "dropped": dropped, "stays": stays,
        "median": median, "p90": median, "waiting": waiting, "waited": waited, "maxDays": most,
    }  # fmt: skip


def said(*stages):
    told = verdicts.analysis(
        stages, {"records": 0, "won": 0, "open": 0},
        {"won": 0, "lost": 0, "mean": None, "value": None, "unconverted": 0},
        {"n": 0, "signed": 0, "mean": None, "median": None, "p90": None},
        {"n": 0, "transferred": 0, "median": None, "people": []}, "EUR",
    )  # fmt: skip
    return {(one["action"], one["stage"]): one for one in told["suggestions"]}, told["insights"]


def test_an_impact_is_arithmetic_on_the_other_stages_and_none_where_there_is_nothing_to_compare():
    made, _ = said(
        figures("A", median=20.0),
        figures("B", median=4.0),
        figures("C", median=7.0),
        figures("D", stays=4, median=1.0),
    )
    impact = made["plan_follow_ups", "A"]["expectedImpact"]
    assert (impact["days"], impact["basis"], impact["stages"]) == (14.5, 5.5, 2)
    assert "expectedImpact" not in said(figures("A"))[0]["plan_follow_ups", "A"]
    assert "expectedImpact" not in said(figures("A"), figures("B"))[0]["plan_follow_ups", "A"]
    made, _ = said(figures("A", 20, 10), figures("B", 10, 1), figures("C", 10, 2), figures("D", 9, 0))
    impact = made["review_criteria", "A"]["expectedImpact"]
    assert (impact["records"], impact["basis"], impact["stages"]) == (7.0, 0.15, 2)
    assert "expectedImpact" not in said(figures("A", 10, 5), figures("B", 10, 5))[0]["review_criteria", "A"]
    made, _ = said(figures("A", waiting=3, waited=20.0, most=14))
    assert made["look_at_waiting", "A"]["expectedImpact"]["days"] == 6.0
    assert made["look_at_waiting", "A"]["expectedImpact"]["records"] == 3
    assert ("look_at_waiting", "A") not in said(figures("A", waiting=3, waited=14.0, most=14))[0]


def test_figures_are_put_together_as_the_methods_say():
    told = verdicts.analysis(
        [
            figures("A", 20, 2, stays=5, median=10.26, waiting=3, waited=4.44, most=10),
            {**figures("B", 10, 1, stays=6, median=3.0, waiting=2, waited=1.0, most=3), "advanced": 4},
        ],
        {"records": 20, "won": 6, "open": 9},
        {"won": 6, "lost": 2, "mean": 1500.5, "value": {"amount": "9003.00", "currency": "EUR"}, "unconverted": 1},
        {"n": 6, "signed": 4, "mean": 12.5, "median": 11.04, "p90": 20.0},
        {"n": 7, "transferred": 1, "median": 9.96, "people": [{"person": "Ann", "n": 7, "median": 9.96}]}, "EUR",
    )  # fmt: skip
    metrics = told["metrics"]
    assert (metrics["dropped"], metrics["decided"], metrics["conversionRate"]) == (5, 8, 0.3)
    assert (metrics["winRateOfDecided"], metrics["bottleneckStage"]) == (0.75, "A")
    cycle = metrics["salesCycle"]
    assert (cycle["toSignature"], cycle["toClosing"], cycle["medianDays"]) == (4, 2, 11.0)
    # 5 open × 6/8 won × 1500.50 in 12.5 days each
    assert metrics["velocity"]["perDay"] == {"amount": "450.15", "currency": "EUR"}
    assert (metrics["velocity"]["open"], metrics["velocity"]["meanCycleDays"]) == (5, 12.5)
    assert [one["stillOpen"] for one in told["stages"]] == [0, 5]
    assert told["stages"][0]["time"]["medianDays"] == 10.3
    assert told["handleTime"]["people"] == [{"person": "Ann", "n": 7, "medianDays": 10.0}]
    slow, quick = told["insights"]
    assert slow["text"] == "A takes longest: median 10.3 days, p90 10.3 (n 5), over its target of 10 days."
    assert quick["text"] == "B is quickest: median 3.0 days (n 6), within its target of 3 days."


@pytest.mark.parametrize(
    ("ended", "cycle"),
    [
        ({"won": 0, "lost": 2, "mean": 5}, {"mean": 3}),
        ({"won": 1, "lost": 2, "mean": None}, {"mean": 3}),
        ({"won": 1, "lost": 2, "mean": 5}, {"mean": 0}),
        ({"won": 1, "lost": 2, "mean": 5}, {"mean": None}),
    ],
)
def test_there_is_no_velocity_where_a_part_of_it_is_unknown(ended, cycle):
    assert verdicts.velocity(4, ended, cycle, "EUR") is None


def test_one_stage_is_not_the_quickest_and_says_no_target_it_has_not():
    _, (slow,) = said(figures("A", median=4.0))
    assert slow["text"] == "A takes longest: median 4.0 days, p90 4.0 (n 5)."
    _, (slow, quick) = said(figures("A", median=4.0), figures("B", median=2.0))
    assert quick["text"] == "B is quickest: median 2.0 days (n 5)."
    made, _ = said(figures("A", waiting=3, waited=20.0, most=14))
    text = made["look_at_waiting", "A"]["expectedImpact"]["text"]
    assert text == "3 records would be looked at, 6.0 days late by the median."
    made, _ = said(figures("A", 11, 4), figures("B", 10, 1))
    assert made["review_criteria", "A"]["expectedImpact"]["records"] == 2.9


def test_of_stages_as_slow_the_one_that_drops_more_is_the_bottleneck_and_an_empty_one_drops_nothing():
    _, insights = said(figures("A", entered=0), figures("B", 10, 1))
    assert insights[0]["stage"] == "B"


def test_an_impact_is_told_against_stages_that_take_no_time_and_by_shares_of_three_places():
    made, _ = said(figures("A", median=4.0), figures("B", median=0.0))
    impact = made["plan_follow_ups", "A"]["expectedImpact"]
    assert (impact["days"], impact["basis"]) == (4.0, 0.0)
    made, _ = said(figures("A", 20, 10), figures("B", 10, 1), figures("C", 199, 40))
    assert made["review_criteria", "A"]["expectedImpact"]["basis"] == 0.151


def test_a_stage_loses_records_from_thirty_per_cent_of_ten_on_and_is_slow_from_five_stays_on():
    assert ("review_criteria", "A") in said(figures("A", 10, 3))[0]
    assert ("review_criteria", "A") not in said(figures("A", 9, 9))[0]
    assert ("review_criteria", "A") not in said(figures("A", 100, 29))[0]
    assert said(figures("A", stays=4))[0] == {}
    _, insights = said(figures("A", 10, 3), figures("B", 10, 4))
    assert [(one["kind"], one["stage"]) for one in insights] == [
        ("bottleneck", "B"), ("drop_off", "A"), ("drop_off", "B"), ("quickest", "A"),
    ]  # fmt: skip


async def test_a_record_that_is_archived_counts_no_more(history):
    (kept, gone) = await history.deals([("Lead", 20), ("Won", 10)], [("Lead", 20), ("Lost", 10)])
    await history.set("deals", int(gone[5:]), "archived_at", ago(1))
    told = await analysis(history, 50, 5)
    assert (told["metrics"]["totalRecords"], told["metrics"]["decided"]) == (1, 1)
    assert kept != gone
