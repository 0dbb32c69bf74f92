from datetime import date, timedelta
from decimal import Decimal

from funnel import contact, deal
from lab import LOU, ago

from crm_mcp.crm import scoring
from crm_mcp.crm.models import Activity
from crm_mcp.principal import Agent

FACTORS = {"engagement": 85, "fit": 90, "intent": 70, "timing": 60}


async def scored(way, it, **more):
    return await way.ask("score_contact", record=it, pipeline=way.name, **more)


async def test_s4s_factors_make_the_score_and_the_reasons_stay_with_it(way, lab):
    it = await contact(lab)
    await way.put(it)
    told = await scored(way, it, factors=FACTORS, reasons=["Fits", "Opened 5 mails"], confidence=0.88)
    assert told["type"] == "result", told
    score = told["score"]
    assert (score["counts"], score["computed"], score["confidence"]) == ("76.25", "76.25", "0.88")
    assert score["reasons"] == ["Fits", "Opened 5 mails"] and score["factors"] == FACTORS


async def test_weights_of_the_pipeline_count_and_unknown_factors_do_not(way, lab, owner_asks):
    it = await contact(lab)
    await way.put(it)
    await lab.set("pipelines", way.id, "weights", '{"engagement": 0.5, "fit": 0.1, "intent": 0.2, "timing": 0.2}')
    assert (await scored(way, it, factors={"engagement": 100, "fit": 40}))["score"]["computed"] == "90.00"
    assert (await scored(way, it, factors=FACTORS))["score"]["computed"] == "77.50"


async def test_a_persons_own_score_counts_beside_the_computed_one_until_it_is_cleared(way, lab):
    it = await contact(lab)
    await way.put(it)
    await scored(way, it, factors=FACTORS)
    refused = await scored(way, it, manual_score=20)
    assert refused["context"]["argument"] == "override_reason"
    told = (await scored(way, it, manual_score=20, override_reason="Their CEO called"))["score"]
    assert (told["counts"], told["manual"], told["computed"], told["before"]) == ("20.00", "20.00", "76.25", "76.25")
    told = (await scored(way, it, factors={**FACTORS, "fit": 10}))["score"]
    assert (told["counts"], told["computed"]) == ("20.00", "56.25")
    told = (await scored(way, it, clear=["manual_score"]))["score"]
    assert (told["counts"], told["before"]) == ("56.25", "20.00")


async def test_an_agent_sets_no_manual_score(way, lab):
    it = await contact(lab)
    await way.put(it)
    asked = {
        "record": it,
        "manual_score": 99,
        "override_reason": "sure",
        "reason": "they asked for it twice this week",
    }
    told = await lab.ask("score_contact", asked, LOU, agent=Agent.SALES)
    assert told["error"] == "PERSONS_ONLY", told


async def test_engagement_that_is_left_out_is_counted_from_the_records_own_activities(way, lab):
    it = await deal(lab)
    await way.put(it)
    about = {"subject_type": "deals", "subject_id": int(it[5:]), "subject": "x"}
    rows = (("meeting", None, 5), ("email", "in", 10), ("call", "out", 40), ("email", "out", 89), ("visit", None, 91))
    await lab.add(Activity, *({**about, "kind": k, "direction": d, "happened_at": ago(days)} for k, d, days in rows))
    told = await scored(way, it, factors={"fit": 50})
    assert told["score"]["factors"] == {"engagement": 57.5, "fit": 50}  # 25 + 20 + 15/2 + 10/2
    assert told["_meta"]["engagementFrom"] == "4 activities in 90 days"


async def test_follow_up_and_risks_are_kept_without_scoring_anew(way, lab):
    it = await contact(lab)
    await way.put(it)
    due = (date.today() + timedelta(days=3)).isoformat()
    told = (await scored(way, it, next_follow_up_on=due, risk_factors=["No answer"]))["score"]
    assert (told["nextFollowUpOn"], told["riskFactors"]) == (due, ["No answer"]) and "computed" not in told


async def test_a_low_confidence_is_held_and_approving_it_scores_as_it_would_have(way, lab, owner_asks):
    it = await contact(lab)
    place = await way.put(it)
    await scored(way, it, manual_score=30, override_reason="mine")
    held = await scored(way, it, factors=FACTORS, confidence=0.5)
    assert (await way.approve(held)).state == "approved"
    kept = owner_asks(
        "select jsonb_build_array(score, manual_score) from crm.pipeline_positions where 'pos_' || id = %s", place
    )
    assert kept == [76.25, 30]


async def test_a_record_outside_pipelines_has_no_score(way, lab):
    told = await scored(way, await contact(lab), factors=FACTORS)
    assert told["error"] == "NOT_IN_PIPELINE"
    told = await scored(way, "cont_999999999", factors=FACTORS)
    assert told["error"] == "CONTACT_NOT_FOUND"


async def test_a_score_is_undone(way, lab, owner_asks):
    it = await contact(lab)
    place = await way.put(it)
    told = await scored(way, it, factors=FACTORS)
    await way.ask("undo_change", change=told["_meta"]["change"])
    assert owner_asks("select score from crm.pipeline_positions where 'pos_' || id = %s", place) is None


async def test_a_cleared_score_of_a_persons_own_is_gone_with_its_reason_and_said_so(way, lab, owner_asks):
    it = await contact(lab)
    place = await way.put(it)
    await scored(way, it, factors=FACTORS)
    await scored(way, it, manual_score=20, override_reason="Their CEO called")
    told = await scored(way, it, clear=["manual_score"])
    assert "let the computed score of Person count again" in told["summary"]
    assert "manual" not in told["score"] and "overrideReason" not in told["score"]
    look = (
        "select jsonb_build_array(manual_score, override_reason) from crm.pipeline_positions where 'pos_' || id = %s"
    )
    assert owner_asks(look, place) == [None, None]


async def test_a_follow_up_alone_scores_nothing(way, lab):
    it = await contact(lab)
    await way.put(it)
    told = await scored(way, it, next_follow_up_on="2030-01-02")
    assert told["summary"].startswith("Done: follow up on 2030-01-02 in ")
    assert "computed" not in told["score"] and "engagementFrom" not in told["_meta"]


def test_a_score_is_the_mean_by_weight_of_what_is_known_and_plain_where_nothing_weighs():
    known = {"fit": Decimal(80), "intent": Decimal(50)}
    assert scoring.overall(known, {"fit": 2, "intent": 1, "timing": 9}) == Decimal("70.00")
    assert scoring.overall(known, {"fit": 2}) == Decimal("80.00")
    assert scoring.overall(known, {}) == scoring.overall(known, {"fit": 0, "intent": 0}) == Decimal("65.00")
    assert scoring.overall({"fit": Decimal("33.335")}, {}) == Decimal("33.34")


def test_a_persons_own_score_counts_even_where_it_is_nought():
    assert scoring.effective(Decimal(70), Decimal(0)) == 0
    assert scoring.effective(Decimal(70), None) == 70
    assert scoring.effective(None, None) is None


async def test_scoring_anew_leaves_the_follow_up_that_is_planned(way, lab):
    it = await deal(lab)
    await way.put(it)
    soon = (date.today() + timedelta(days=3)).isoformat()
    await way.ask("score_contact", record=it, pipeline=way.name, next_follow_up_on=soon)
    told = await way.ask("score_contact", record=it, pipeline=way.name, factors={"fit": 80})
    assert told["score"]["nextFollowUpOn"] == soon
    assert "follow" not in told["summary"]
