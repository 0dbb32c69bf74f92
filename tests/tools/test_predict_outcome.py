import math
from decimal import Decimal
from random import Random

import pytest
from bureau import Bureau
from history import History, ago, is_unknown
from lab import LUX

from crm_mcp.crm import odds
from crm_mcp.crm.models import Activity, Contact, Lead
from crm_mcp.crm.odds import Group


@pytest.fixture
async def history(bureau):
    return await History(bureau).open()


def closed(won, lost, way=("Lead",)):
    """Return ways of won and lost deals that came through such stages ten days each."""
    ways = []
    for end, count in (("Won", won), ("Lost", lost)):
        ways += [[*((stage, 100 - 10 * at) for at, stage in enumerate(way)), (end, 100 - 10 * len(way))]] * count
    return ways


async def test_thirty_closed_deals_foretell_and_twenty_nine_do_not(history):
    await history.deals(*closed(15, 14))
    (deal,) = await history.deals([("Lead", 3)])
    told = await history.ask("predict_outcome", record=deal)
    assert told["error"] == "INSUFFICIENT_HISTORY"
    assert (told["context"]["closedDeals"], told["context"]["needed"]) == (29, 30)
    assert "29 closed deals" in str(told)
    await history.deals(*closed(0, 1))
    told = await history.ask("predict_outcome", record=deal)
    assert told["_meta"]["n"] == 30
    assert (told["prediction"]["calibration"]["won"], told["prediction"]["calibration"]["lost"]) == (15, 15)


async def test_where_no_factor_tells_anything_it_is_the_smoothed_win_rate(history):
    await history.deals(*closed(20, 19))
    (deal,) = await history.deals({"way": [("Lead", 3)], "amount": "1000"})
    told = (await history.ask("predict_outcome", record=deal))["prediction"]
    # (20 + 1) / (20 + 1 + 19 + 1); all came through Lead, none had a contact, a call or a customer
    assert told["probability"] == pytest.approx(21 / 41, abs=0.0006)
    assert told["calibration"]["heldBackBy"] == 0
    assert told["willConvert"] is True
    assert Decimal(told["expectedValue"]["amount"]) == 1000 * Decimal(str(told["probability"]))
    error = math.sqrt(1 / 21 + 1 / 20)
    low = 1 / (1 + math.exp(-(math.log(21 / 20) - 1.96 * error)))
    assert told["interval"]["low"] == pytest.approx(low, abs=0.0006)


async def test_a_stage_that_won_deals_reach_raises_the_odds(history):
    await history.deals(*closed(18, 2, ("Lead", "Offer")), *closed(2, 18))
    far, near = await history.deals([("Lead", 9), ("Offer", 3)], [("Lead", 9)])
    told = (await history.ask("predict_outcome", record=far))["prediction"]
    (stage,) = [one for one in told["factors"] if one["factor"] == "reached_stage"]
    assert (stage["level"], stage["won"], stage["lost"]) == ("yes", "18 of 20", "2 of 20")
    hold = told["calibration"]["heldBackBy"]
    assert stage["logOdds"] == pytest.approx(hold * math.log((19 / 22) / (3 / 22)), abs=0.0006)
    assert hold > 0
    assert stage["impact"] > 0.2
    assert told["calibration"]["brier"] < told["calibration"]["brierOfWinRate"]
    assert told["probability"] > 0.7
    other = (await history.ask("predict_outcome", record=near))["prediction"]
    assert other["probability"] == pytest.approx(0.5, abs=0.01)


async def test_a_contact_and_calls_before_the_end_count(history, bureau):
    (customer,) = await bureau.buyers("Acme")
    (person,) = await bureau.add(Contact, {"name": "P", "customer_id": customer})
    way = [("Lead", 90), ("Won", 50)]
    won = await history.deals(*[{"way": way, "contact_id": person}] * 3, *[way] * 17)
    await history.deals(*[[("Lead", 90), ("Lost", 50)]] * 20)
    for deal in won[3:9]:
        await history.contacts(deal, 51)  # in the thirty days before it closed
    for deal in won[9:12]:
        await history.contacts(deal, 81, 49)  # before those, and after
    (deal,) = await history.deals([("Lead", 10)])
    told = (await history.ask("predict_outcome", record=deal))["prediction"]
    engaged = next(one for one in told["factors"] if one["factor"] == "engagement")
    assert (engaged["level"], engaged["won"], engaged["lost"]) == ("none", "14 of 20", "20 of 20")
    named = next(one for one in told["factors"] if one["factor"] == "contact_named")
    assert (named["level"], named["won"]) == ("no", "17 of 20")
    if engaged["impact"] < 0:
        assert any(text.startswith("arrange a call") for text in told["recommendations"])


async def test_nothing_is_recommended_that_is_so_already(history, bureau):
    (customer,) = await bureau.buyers("Acme")
    (person,) = await bureau.add(Contact, {"name": "P", "customer_id": customer})
    await history.deals(*[[("Lead", 90), ("Won", 50)]] * 20)
    await history.deals(*[{"way": [("Lead", 90), ("Lost", 50)], "contact_id": person}] * 20)
    (named, unnamed) = await history.deals({"way": [("Lead", 10)], "contact_id": person}, [("Lead", 10)])
    told = (await history.ask("predict_outcome", record=named))["prediction"]
    factor = next(one for one in told["factors"] if one["factor"] == "contact_named")
    assert factor["level"] == "yes" and factor["impact"] < 0
    assert not any("name the contact" in text for text in told["recommendations"])
    told = (await history.ask("predict_outcome", record=unnamed))["prediction"]
    assert next(one for one in told["factors"] if one["factor"] == "contact_named")["impact"] > 0
    assert not any("name the contact" in text for text in told["recommendations"])


async def test_the_close_is_expected_by_what_won_deals_took_from_its_stage_on(history):
    ways = [[("Lead", 100), ("Demo", 90), ("Won", 90 - days)] for days in (5, 12, 20, 30, 40, 50)]
    await history.deals(*ways, *closed(0, 30))
    (deal,) = await history.deals([("Lead", 40), ("Demo", 10)])
    told = (await history.ask("predict_outcome", record=deal))["prediction"]
    # five took longer than its ten days: their median is 30, so 20 are left
    from bureau import ZONE

    assert told["expectedClose"] == {"on": ago(-20).astimezone(ZONE).date().isoformat(), "n": 5}
    (late,) = await history.deals([("Lead", 40), ("Demo", 13)])
    told = (await history.ask("predict_outcome", record=late))["prediction"]
    assert (told["expectedClose"]["n"], "on" in told["expectedClose"]) == (4, False)


async def test_a_stay_that_few_outlasted_says_how_many(history):
    await history.deals(*[[("Lead", 90), ("Demo", 60), ("Won", 58)]] * 19, [("Lead", 90), ("Demo", 60), ("Won", 10)])
    await history.deals(*[[("Lead", 90), ("Lost", 50)]] * 20)
    (deal,) = await history.deals([("Lead", 50), ("Demo", 40)])
    close = (await history.ask("predict_outcome", record=deal))["prediction"]["expectedClose"]
    assert close == {"n": 1, "because": "1 of those won took longer from this stage on, 5 needed"}


async def test_a_closed_deal_has_nothing_to_predict(history):
    (deal,) = await history.deals([("Lead", 9), ("Won", 3)])
    assert (await history.ask("predict_outcome", record=deal))["error"] == "DEAL_CLOSED"


async def test_another_orgs_deals_foretell_nothing(history, home, approver, connect):
    other = Bureau(approver, connect)
    await other.open(home.conninfo("crm_owner"))
    theirs = await History(other).open()
    (their,) = await theirs.deals([("Lead", 9)])
    await theirs.deals(*closed(20, 20))
    (deal,) = await history.deals([("Lead", 9)])
    told = await history.ask("predict_outcome", record=deal)
    assert (told["error"], told["context"]["closedDeals"]) == ("INSUFFICIENT_HISTORY", 0)
    assert (await history.ask("predict_outcome", record=their))["error"] == "DEAL_NOT_FOUND"


async def test_support_predicts_nothing(lab):
    assert await is_unknown(lab, LUX, "predict_outcome", {"record": "deal_1"})


def test_odds_are_what_a_plain_recomputation_over_single_deals_says():
    chance = Random(3)
    deals = []
    for _ in range(80):
        levels = {"reached_stage": chance.choice(["yes", "no", None]), "engagement": chance.choice(["none", "one or two", "three or more"]),
                  "returning_customer": chance.choice(["yes", "no"]), "contact_named": chance.choice(["yes", "no"]), "large": None}  # fmt: skip
        deals.append((levels, chance.random() < (0.7 if levels["contact_named"] == "yes" else 0.3)))
    asked = {
        "reached_stage": "yes",
        "engagement": "none",
        "returning_customer": "no",
        "contact_named": "yes",
        "large": "yes",
    }
    counted = {}
    for levels, won in deals:
        one = counted.setdefault(tuple(levels.values()), [levels, 0, 0])
        one[1 if won else 2] += 1
    found = odds.odds([Group(*one) for one in counted.values()], asked)

    def log_odds(known, levels, hold):
        total = math.log((1 + sum(won for _, won in known)) / (1 + sum(not won for _, won in known)))
        for name, count in odds.LEVELS.items():
            of = [one for one in known if one[0][name] is not None]
            if levels[name] is None or not of:
                continue
            shares = [
                (1 + sum(one[0][name] == levels[name] for one in of if one[1] is end))
                / (count + sum(one[1] is end for one in of))
                for end in (True, False)
            ]
            total += hold * math.log(shares[0] / shares[1])
        return total

    def share(number):
        return 1 / (1 + math.exp(-number))

    errors = {
        hold: sum(
            (won - share(log_odds(deals[:at] + deals[at + 1 :], levels, hold))) ** 2
            for at, (levels, won) in enumerate(deals)
        )
        / 80
        for hold in odds.HOLDS
    }
    assert found.hold == min(errors, key=errors.get)
    assert found.brier == pytest.approx(errors[found.hold])
    assert found.brier_of_rate == pytest.approx(errors[0.0])
    assert found.probability == pytest.approx(share(log_odds(deals, asked, found.hold)))
    assert "large" not in [one["factor"] for one in found.factors]
    assert found.low < found.probability < found.high

    def known_of(name):
        return [one for one in deals if one[0][name] is not None]

    variance = sum(1 / (1 + sum(won is end for _, won in deals)) for end in (True, False))
    for name in ("reached_stage", "engagement", "returning_customer", "contact_named"):
        for end in (True, False):
            of = [one for one in known_of(name) if one[1] is end]
            same = sum(one[0][name] == asked[name] for one in of)
            variance += found.hold**2 * (1 / (same + 1) - 1 / (len(of) + odds.LEVELS[name]))
    middle = log_odds(deals, asked, found.hold)
    assert found.low == pytest.approx(share(middle - 1.96 * math.sqrt(variance)))
    assert found.high == pytest.approx(share(middle + 1.96 * math.sqrt(variance)))
    for one in found.factors:
        alone = log_odds(deals, {**dict.fromkeys(asked), one["factor"]: asked[one["factor"]]}, found.hold)
        own = alone - log_odds(deals, dict.fromkeys(asked), found.hold)
        assert one["logOdds"] == round(own, 3)
        assert one["impact"] == round(share(middle) - share(middle - own), 3)


def test_what_tells_most_comes_first_either_way_and_counts_where_as_many_were_won_as_lost():
    none = dict.fromkeys(odds.LEVELS)
    groups = [
        Group({**none, "contact_named": "yes", "large": "yes"}, 14, 2),
        Group({**none, "contact_named": "no", "large": "no"}, 2, 14),
        Group({**none, "contact_named": "yes", "large": "no"}, 4, 1),
        Group({**none, "contact_named": "no", "large": "yes"}, 0, 3),
    ]
    found = odds.odds(groups, {**none, "contact_named": "no", "large": "yes"})
    assert [one["factor"] for one in found.factors] == ["contact_named", "large"]
    assert found.factors[0]["impact"] < 0 < found.factors[1]["impact"] < -found.factors[0]["impact"]


def test_a_level_that_nobody_was_ever_known_to_have_tells_nothing():
    levels = dict.fromkeys(odds.LEVELS)
    found = odds.odds([Group(levels, 20, 15)], {**levels, "contact_named": "yes"})
    assert (found.factors, found.hold) == ((), 0)
    assert found.probability == pytest.approx(21 / 37)


async def people(history, *ways, **more):
    """Make contacts that go such ways; return their ids."""
    (customer,) = await history.bureau.buyers("Acme")
    made = await history.bureau.add(
        Contact, *({"name": f"P{at}", "customer_id": customer} for at, _ in enumerate(ways))
    )
    more = {"customer_id": customer, **more}
    await history.walk([("contacts", number, way, more) for number, way in zip(made, ways, strict=True)])
    return [f"cont_{number}" for number in made]


async def leads(history, *ways, **more):
    made = await history.bureau.add(
        Lead, *({"kind": "job", "name": f"L{at}", "status": "new"} for at, _ in enumerate(ways))
    )
    await history.walk([("leads", number, way, more) for number, way in zip(made, ways, strict=True)])
    return [f"lead_{number}" for number in made]


async def test_thirty_ended_ways_of_its_kind_in_its_pipeline_foretell_a_contact_and_twenty_nine_do_not(history):
    await people(history, *closed(20, 9))
    await history.deals(*closed(20, 20))  # of another kind
    (one,) = await people(history, [("Lead", 3)])
    told = await history.ask("predict_outcome", record=one)
    assert told["error"] == "INSUFFICIENT_HISTORY"
    context = told["context"]
    assert (context["endedWays"], context["won"], context["lost"], context["needed"]) == (29, 20, 9, 30)
    assert "29 ended ways of the kind contact in Fair" in context["hint"]
    await people(history, *closed(0, 1))
    told = await history.ask("predict_outcome", record=one)
    found = told["prediction"]
    assert (told["_meta"]["n"], found["calibration"]["won"], found["calibration"]["lost"]) == (30, 20, 10)
    assert found["record"] == {"id": one, "name": "P0"} and found["stage"] == "Fair: Lead"
    # all came through Lead, to none was anything said, none is worth anything: the smoothed win rate
    assert found["probability"] == pytest.approx(21 / 32, abs=0.0006)
    assert {one["factor"] for one in found["factors"]} == {"reached_stage", "engagement", "returning_customer"}
    assert "expectedValue" not in found


async def test_a_leads_own_value_stage_and_calls_tell_and_its_close_is_foretold(history, bureau):
    won = [[("Lead", 100), ("Offer", 90), ("Won", 90 - days)] for days in (5, 12, 20, 30, 40, 50)] * 3
    await leads(history, *won, currency="EUR", amount=Decimal(900), base_amount=Decimal(900))
    await leads(history, *closed(0, 14), currency="EUR", amount=Decimal(100), base_amount=Decimal(100))
    worth = {"currency": "EUR", "amount": Decimal(1000), "base_amount": Decimal(1000)}
    (far,) = await leads(history, [("Lead", 40), ("Offer", 10)], **worth)
    found = (await history.ask("predict_outcome", record=far))["prediction"]
    factors = {one["factor"]: one for one in found["factors"]}
    assert (factors["reached_stage"]["level"], factors["reached_stage"]["won"], factors["reached_stage"]["lost"]) == (
        "yes", "18 of 18", "0 of 14",
    )  # fmt: skip
    assert (factors["large"]["level"], factors["large"]["won"]) == ("yes", "0 of 18")
    assert (factors["contact_named"]["level"], factors["contact_named"]["won"]) == ("no", "18 of 18")
    assert "returning_customer" not in factors  # none has an account
    assert found["expectedClose"]["n"] == 15  # of six lengths three each, those of more than ten days
    assert found["expectedCloseDate"] == found["expectedClose"]["on"]
    assert Decimal(found["expectedValue"]["amount"]) == 1000 * Decimal(str(found["probability"]))
    assert found["expectedValueBase"] == found["expectedValue"]
    assert found["confidence"] == pytest.approx(1 - (found["interval"]["high"] - found["interval"]["low"]))
    await bureau.add(
        Activity,
        *({"kind": "call", "subject": "Call", "happened_at": ago(day), "subject_type": "leads", "subject_id": int(far[5:])} for day in (1, 2, 31)),
    )  # fmt: skip
    found = (await history.ask("predict_outcome", record=far))["prediction"]
    assert next(one for one in found["factors"] if one["factor"] == "engagement")["level"] == "one or two"


async def test_in_several_pipelines_it_asks_which_and_in_none_it_says_so(history, bureau):
    second = await History(bureau).open(name="Second")
    (one,) = await people(history, [("Lead", 3)])
    await second.walk([("contacts", int(one[5:]), [("Demo", 2)], {})])
    told = await history.ask("predict_outcome", record=one)
    assert (told["error"], told["context"]["pipelines"]) == ("PIPELINE_AMBIGUOUS", ["Fair", "Second"])
    told = await history.ask("predict_outcome", record=one, pipeline="second")
    assert (told["error"], told["context"]["endedWays"]) == ("INSUFFICIENT_HISTORY", 0)
    (ended,) = await people(history, [("Lead", 9), ("Won", 3)])
    assert (await history.ask("predict_outcome", record=ended))["error"] == "NOT_IN_PIPELINE"
    (deal,) = await history.deals([("Lead", 3)])
    assert (await history.ask("predict_outcome", record=deal, pipeline="Second"))["error"] == "NOT_IN_PIPELINE"
    assert (await history.ask("predict_outcome", record="ord_1"))["error"] == "INVALID_ID"
    assert (await history.ask("predict_outcome", record="lead_999999999"))["error"] == "LEAD_NOT_FOUND"


async def test_what_was_archived_foretells_nothing_of_a_contact(history):
    await people(history, *closed(20, 9))
    await people(history, *closed(0, 1), archived_at=ago(1))
    (one,) = await people(history, [("Lead", 3)])
    assert (await history.ask("predict_outcome", record=one))["context"]["endedWays"] == 29
