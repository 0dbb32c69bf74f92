import math
from decimal import Decimal
from random import Random

import pytest
from bureau import Bureau
from history import History, ago, is_unknown
from lab import LUX

from crm_mcp.crm import odds
from crm_mcp.crm.models import Contact
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
    assert close == {"n": 1, "because": "1 won deal took longer from this stage on, 5 needed"}


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
