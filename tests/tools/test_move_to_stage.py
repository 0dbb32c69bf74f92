import asyncio
from datetime import UTC, datetime

import psycopg
import pytest
from funnel import WHY, contact, deal, funnel, lead
from lab import LEA, LOU

from crm_mcp.principal import Agent
from stated_policy import state_policy

HOSTILE = "‏مرحبا'; drop table crm.deals; -- <script>alert(1)</script> {{x}} %s"


@pytest.fixture
def policy(home, way):
    """State a policy for the length of a test."""
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as conn:
        (org,) = conn.execute("select id from crm.orgs where slug = 'lab'").fetchone()

        def state(**moves):
            state_policy(conn, org, moves)

        yield state
        state_policy(conn, org, None)


def limits(**said):
    return {"stage_moves": {"max_value": "10000", "pipelines": {}, "stages": {}, **said}}


def held_for(told):
    return told["draft"]["reason"]


async def test_a_move_into_a_stage_that_allows_it_runs_at_once_and_is_kept(way, lab, owner_asks):
    it = await deal(lab, "Refit")
    await way.put(it)
    told = await way.move(it, "Qualified", explanation="Asked for a price")
    assert told["type"] == "result"
    assert told["summary"] == f"Done: move Refit (EUR 900.00) from Lead to Qualified in {way.name}."
    assert (told["position"]["stage"], told["position"]["was"]) == ("Qualified", "Lead")
    kept = owner_asks(
        """select jsonb_build_array(f.name, t.seconds_in_stage between 3600 and 7200, t.explanation, t.criteria, t.criteria_met,
         t.moved_at = p.entered_at) from crm.stage_transitions t join crm.pipeline_positions p on p.org_id = t.org_id and p.id = t.position_id
         join crm.pipeline_stages f on f.org_id = t.org_id and f.id = t.from_stage_id where 'pos_' || p.id = %s""",
        told["position"]["id"],
    )
    assert kept == ["Lead", True, "Asked for a price", {}, True, True]


async def test_the_reason_is_the_explanation_where_none_is_given(way, lab, owner_asks):
    it = await deal(lab)
    await way.put(it)
    told = await way.move(it, "Qualified", reason="Met at the fair")
    found = owner_asks(
        "select explanation from crm.stage_transitions where 'pos_' || position_id = %s", told["position"]["id"]
    )
    assert found == "Met at the fair"


async def test_the_record_proves_what_it_can_and_what_it_cannot_is_stated(way, lab):
    it = await lead(lab, budget_confirmed=True, timeline="by May")
    await way.put(it, "Qualified", "900")
    told = await way.move(it, "Demo", criteria_met=["Reference_Called", "buying signals"])
    assert told["type"] == "result", told
    assert told["position"]["criteria"] == {
        "proved": ["has_budget_confirmed", "timeline_defined"],
        "stated": ["reference_called"],
        "also": ["buying signals"],
    }


async def test_missing_criteria_are_named_and_a_statement_does_not_stand_against_the_record(way, lab):
    it = await lead(lab, "Shop", timeline="by May")
    await way.put(it, "Qualified", "900")
    told = await way.move(it, "Demo", criteria_met=["has_budget_confirmed"])
    assert told["error"] == "CRITERIA_MISSING"
    assert told["context"]["missing"] == ["has_budget_confirmed", "reference_called"]
    assert (told["context"]["proved"], told["context"]["stated"]) == (["timeline_defined"], [])
    assert told["context"]["needs"] == {
        "has_budget_confirmed": "the record must show it: budget_confirmed equals true",
        "reference_called": "state it, if it is so",
    }
    assert way.stage(it) == "Qualified"


async def test_despite_missing_it_is_held_with_what_is_missing_and_a_person_may_let_it_pass(way, lab, owner_asks):
    it = await lead(lab, "Shop", timeline="by May")
    await way.put(it, "Qualified", "900")
    held = await way.move(it, "Demo", despite_missing=True, criteria_met=["reference_called"])
    assert held_for(held) == "the criteria of Demo are not met"
    assert held["warnings"] == ["Missing to leave Qualified: has_budget_confirmed."]
    assert (await way.approve(held)).state == "approved"
    assert way.stage(it) == "Demo"
    kept = owner_asks("select jsonb_build_array(criteria, criteria_met) from crm.stage_transitions order by id desc")
    assert kept[0]["missing"] == ["has_budget_confirmed"] and kept[1] is False


async def test_a_criterion_on_a_field_that_the_record_lacks_is_stated(way, lab):
    person = await contact(lab)
    await way.put(person, "Qualified", "10")
    told = await way.move(
        person, "Demo", criteria_met=["has_budget_confirmed", "timeline_defined", "reference_called"]
    )
    assert told["position"]["criteria"]["stated"] == ["has_budget_confirmed", "timeline_defined", "reference_called"]


CHECKS = (
    ({"field": "source", "is": "filled"}, {"source": "fair"}, {}),
    ({"field": "source", "is": "empty"}, {}, {"source": "fair"}),
    ({"field": "source", "equals": "Fair "}, {"source": "fair"}, {"source": "fairs"}),
    ({"field": "probability", "at_least": 40}, {"probability": "40"}, {"probability": "39.99"}),
    ({"field": "value", "at_least": "900.01"}, {"amount": "900.01"}, {"amount": "900"}),
)


@pytest.mark.parametrize(("check", "good", "bad"), CHECKS)
async def test_each_check_tells_one_side_from_the_other(lab, home, executor, person, check, good, bad):
    first = {"name": "A", "exit_criteria": [{"name": "it", "check": check}]}
    way = await funnel(lab, home, executor, person, (first, {"name": "B", "automation": True}))
    for more, passes in ((good, True), (bad, False)):
        it = await deal(lab, **more)
        await way.put(it, "A")
        told = await way.move(it, "B", criteria_met=["it"])
        assert (told.get("error") is None) is passes, told


async def test_what_a_record_has_is_proved_by_what_stands_on_it(lab, home, executor, person):
    has = ("activity", "note", "task_done", "contact", "email", "order")
    first = {"name": "A", "exit_criteria": [{"name": what, "check": {"has": what}} for what in has]}
    way = await funnel(lab, home, executor, person, (first, {"name": "B", "automation": True}))
    customer = await lab.customer("Buyer")
    it = await deal(lab, customer_id=int(customer[5:]))
    await way.put(it, "A")
    assert (await way.move(it, "B"))["context"]["missing"] == list(has)
    await lab.ask("log_activity", {"about": it, "kind": "call", "subject": "rang", **WHY}, LOU)
    await lab.ask("add_note", {"about": it, "body": "keen", **WHY}, LOU)
    task = (await lab.ask("create_task", {"title": "ring", "about": it, **WHY}, LOU))["task"]["id"]
    assert (await way.move(it, "B"))["context"]["missing"] == ["task_done", "contact", "email", "order"]
    await lab.ask("complete_task", {"task": task, **WHY}, LOU)
    whom = await contact(lab, email="a@b.example")
    await lab.set("deals", it, "contact_id", int(whom[5:]))
    await lab.order(customer, "10", datetime.now(UTC))
    told = await way.move(it, "B")
    assert told["position"]["criteria"] == {"proved": list(has)}


async def test_scores_prove_what_they_reach(lab, home, executor, person):
    names = [{"name": "engagement_score > 75"}, {"name": "good", "check": {"score_at_least": 60}}]
    way = await funnel(
        lab, home, executor, person, ({"name": "A", "exit_criteria": names}, {"name": "B", "automation": True})
    )
    it = await deal(lab)
    await way.put(it, "A")
    for engagement, missing in ((75, ["engagement_score > 75", "good"]), (75.5, ["good"])):
        await way.ask("score_contact", record=it, factors={"engagement": engagement, "fit": 40})
        assert (await way.move(it, "B"))["context"]["missing"] == missing
    await way.ask("score_contact", record=it, manual_score=60, override_reason="I know them")
    assert (await way.move(it, "B"))["position"]["criteria"]["proved"] == ["engagement_score > 75", "good"]


async def test_required_fields_that_are_empty_are_named_and_those_of_other_records_are_not_asked(
    lab, home, executor, person
):
    first = {"name": "A", "required_fields": ["value", "expected_close_on", "title"]}
    way = await funnel(lab, home, executor, person, (first, {"name": "B", "automation": True}))
    it = await deal(lab, amount=None)
    await way.put(it, "A")
    told = await way.move(it, "B")
    assert (told["error"], told["context"]["missingFields"]) == (
        "REQUIRED_FIELDS_MISSING",
        ["value", "expected_close_on"],
    )
    person_there = await contact(lab, title="Owner")
    await way.put(person_there, "A", "5")
    assert (await way.move(person_there, "B"))["type"] == "result"


async def test_a_stage_that_may_not_be_passed_over_stops_a_move_and_the_allowed_ones_are_named(way, lab):
    it = await deal(lab)
    await way.put(it)
    told = await way.move(it, "Demo")
    assert (told["error"], told["context"]["allowed"]) == ("TRANSITION_NOT_ALLOWED", ["Qualified", "Lost"])


async def test_stages_that_may_be_skipped_are_passed_and_a_stage_may_name_its_followers(lab, home, executor, person):
    stages = (
        {"name": "A"}, {"name": "B", "can_skip": True}, {"name": "C", "next_stages": ["E"]},
        {"name": "D"}, {"name": "E", "automation": True}, {"name": "Lost", "kind": "lost"},
    )  # fmt: skip
    way = await funnel(lab, home, executor, person, stages)
    it = await deal(lab)
    await way.put(it, "A")
    assert (await way.move(it, "D"))["context"]["allowed"] == ["B", "C", "Lost"]
    other = await deal(lab)
    await way.put(other, "C")
    assert (await way.move(other, "D"))["context"]["allowed"] == ["A", "B", "E", "Lost"]
    assert (await way.move(other, "E"))["type"] == "result"


async def test_moving_back_needs_no_criteria(way, lab):
    it = await lead(lab)
    await way.put(it, "Qualified", "900")
    assert (await way.move(it, "Lead"))["position"]["stage"] == "Lead"


async def test_where_it_stands_already_nothing_changes(way, lab, owner_asks):
    it = await deal(lab)
    place = await way.put(it)
    told = await way.move(it, "lead")
    assert told["type"] == "result" and "change nothing" in told["summary"]
    assert owner_asks("select count(*) from crm.stage_transitions where 'pos_' || position_id = %s", place) == 0


async def test_won_is_always_held_and_approving_it_wins_the_deal(way, lab, owner_asks, policy):
    policy(**limits(stages={"Customer": True}), run_tables={"deals": "run"})
    it = await deal(lab)
    await way.put(it, "Proposal")
    held = await way.move(it, "Customer")
    assert held_for(held) == "Customer is a won stage"
    assert way.stage(it) == "Proposal"
    assert (await way.approve(held)).state == "approved"
    closed = owner_asks(
        """select jsonb_build_array(d.status, d.closed_at = p.closed_at, p.closed_at = p.entered_at, d.closed_at = r.clock)
         from crm.deals d join crm.pipeline_positions p on p.org_id = d.org_id and p.subject_type = 'deals' and p.subject_id = d.id
         join crm.drafts r on r.org_id = d.org_id and 'draft_' || r.id = %s where 'deal_' || d.id = %s""",
        held["draft"]["id"],
        it,
    )
    assert closed == ["won", True, True, True]


async def test_lost_loses_the_deal_with_its_reason_and_moving_back_opens_it_again(way, lab, owner_asks):
    it = await deal(lab)
    await way.put(it)
    held = await way.move(it, "Lost", lost_reason="Too dear")
    assert held_for(held) == "creates or changes a deal"
    await way.approve(held)
    look = "select jsonb_build_array(status, lost_reason, closed_at is null) from crm.deals where 'deal_' || id = %s"
    assert owner_asks(look, it) == ["lost", "Too dear", False]
    await way.approve(await way.move(it, "Qualified"))
    assert owner_asks(look, it) == ["open", None, True]
    assert owner_asks(
        "select closed_at is null from crm.pipeline_positions where subject_type = 'deals' and subject_id = %s order by id desc",
        int(it[5:]),
    )


async def test_a_lead_that_wins_is_converted(way, lab, owner_asks):
    it = await lead(lab)
    await way.put(it, "Proposal", "900")
    await way.approve(await way.move(it, "won"))
    look = "select jsonb_build_array(status, converted_at is null) from crm.leads where 'lead_' || id = %s"
    assert owner_asks(look, it) == ["converted", False]


async def test_in_support_and_onboarding_a_won_stage_says_nothing_of_the_deal(
    lab, home, executor, person, owner_asks
):
    way = await funnel(lab, home, executor, person, kind="onboarding")
    it = await deal(lab)
    await way.put(it, "Proposal")
    await way.approve(await way.move(it, "Customer"))
    assert owner_asks("select status from crm.deals where 'deal_' || id = %s", it) == "open"
    assert way.stage(it) == "Customer"


@pytest.mark.parametrize(
    ("amount", "reason"),
    [("10000", None), ("10000.01", "its value is above 10,000 EUR"), (None, "its value is unknown")],
)
async def test_up_to_ten_thousand_runs_and_above_or_unknown_is_held(way, lab, amount, reason):
    it = await deal(lab, amount=amount)
    await way.put(it)
    told = await way.move(it, "Qualified")
    assert told["type"] == ("result" if reason is None else "approval_required")
    if reason:
        assert held_for(told) == reason


async def test_a_value_without_a_rate_is_unknown(way, lab):
    it = await deal(lab, amount=None)
    for column, value in (("currency", "CHF"),):
        await lab.set("deals", it, "amount = 5, base_amount = null, " + column, value)
    await way.put(it)
    assert held_for(await way.move(it, "Qualified")) == "its value is unknown"


async def test_without_an_amount_nothing_is_at_stake_outside_sales(lab, home, executor, person):
    for kind, runs in (("support", True), ("custom", True), ("sales", False)):
        way = await funnel(lab, home, executor, person, kind=kind)
        it = await contact(lab)
        await way.put(it)
        assert ((await way.move(it, "Qualified"))["type"] == "result") is runs


async def test_switches_of_stage_pipeline_and_policy_hold_and_let_run(way, lab, home, executor, person, policy):
    async def judged(in_way=way, stage="Qualified", at="Lead"):
        it = await deal(lab)
        await in_way.put(it, at)
        return await in_way.move(it, stage)

    assert (await judged())["type"] == "result"
    policy(**limits(stages={"Qualified": False}))
    assert held_for(await judged()) == "the stage Qualified does not allow automation"
    policy(**limits(pipelines={way.name: "hold"}))
    assert held_for(await judged()) == f"every move in the pipeline {way.name} is held"
    policy(**limits(max_value="899.99"))
    assert held_for(await judged()) == "its value is above 899.99 EUR"
    policy(**limits())
    assert held_for(await judged(stage="Proposal", at="Demo")) == "the stage Proposal does not allow automation"
    policy(**limits(stages={"Proposal": True}))
    assert (await judged(stage="Proposal", at="Demo"))["type"] == "result"
    off = await funnel(lab, home, executor, person, automation=False)
    policy(**limits(stages={"Qualified": True}))
    assert held_for(await judged(off)) == f"the pipeline {off.name} does not allow automation"


async def test_an_agent_moves_as_its_person_does_and_its_switch_holds_or_stops_it(way, lab, policy):
    async def judged():
        it = await deal(lab)
        await way.put(it)
        return await way.move(it, "Qualified", served={"agent": Agent.SALES})

    assert (await judged())["type"] == "result"
    policy(agents={"sales": "hold"})
    assert held_for(await judged()) == "every write of the sales agent is held"
    policy(agents={"sales": "off"})
    assert (await judged())["error"] == "DENIED"


async def test_confidence_below_the_line_holds_and_above_it_loosens_nothing(way, lab):
    it = await deal(lab)
    await way.put(it)
    assert "confidence" in held_for(await way.move(it, "Qualified", confidence=0.84))
    dear = await deal(lab, amount="10000.01")
    await way.put(dear)
    assert "above" in held_for(await way.move(dear, "Qualified", confidence=1))


async def test_each_of_several_moves_is_decided_alone(way, lab):
    cheap, dear, lacking = await deal(lab, "Cheap"), await deal(lab, "Dear", "20000"), await lead(lab, "Lacking")
    await way.put(cheap)
    await way.put(dear)
    await way.put(lacking, "Qualified", "5")
    moves = [
        {"record": cheap, "to_stage": "Qualified"},
        {"record": dear, "to_stage": "Qualified"},
        {"record": lacking, "to_stage": "Demo"},
        {"record": "deal_999999999", "to_stage": "Qualified"},
    ]
    told = await way.ask("move_to_stage", moves=moves)
    kinds = [item["type"] for item in told["items"]]
    assert kinds == ["result", "approval_required", "error", "error"]
    assert told["items"][2]["context"]["missing"] == ["has_budget_confirmed", "timeline_defined", "reference_called"]
    assert told["items"][3]["error"] == "DEAL_NOT_FOUND"
    assert [way.stage(one) for one in (cheap, dear, lacking)] == ["Qualified", "Lead", "Qualified"]
    assert told["summary"] == "4 items: 1 done, 1 waiting for approval, 2 refused."


async def test_of_two_moves_at_once_one_wins_and_the_other_is_told(way, lab):
    it = await deal(lab)
    place = await way.put(it, "Qualified")

    async def to(stage):
        return await way.move(
            it,
            stage,
            from_stage="Qualified",
            criteria_met=["reference_called", "has_budget_confirmed", "timeline_defined"],
        )

    for _ in range(3):
        one, other = await asyncio.gather(to("Lead"), to("Demo"))
        lost = [told for told in (one, other) if "error" in told]
        assert len(lost) <= 1 or {told["error"] for told in lost} <= {"BUSY", "CRITERIA_MISSING"}, (one, other)
        if lost:
            break
    assert lost and lost[0]["error"] in ("MOVED_MEANWHILE", "BUSY", "CRITERIA_MISSING")
    (count,) = way.row("select count(*) from crm.stage_transitions where 'pos_' || position_id = %s", place)
    assert count <= 1


async def test_a_held_move_goes_stale_when_the_record_moved_meanwhile_and_not_by_waiting(way, lab):
    it, waits = await deal(lab, "Moved"), await deal(lab, "Waits")
    for one in (it, waits):
        await way.put(one, "Demo")
    held, other = await way.move(it, "Proposal"), await way.move(waits, "Proposal")
    assert held_for(held) == "the stage Proposal does not allow automation"
    await way.move(it, "Lead")
    assert (await way.approve(held)).state == "stale"
    await way.ask("score_contact", record=waits, factors={"fit": 50})
    assert (await way.approve(other)).state == "approved"


async def test_a_move_is_undone_and_a_won_deal_opens_again(way, lab, owner_asks):
    it = await deal(lab)
    await way.put(it)
    moved = await way.move(it, "Qualified")
    undone = await way.ask("undo_change", change=moved["_meta"]["change"])
    assert undone["type"] == "result", undone
    assert way.stage(it) == "Lead"
    kept = owner_asks(
        "select archived_at is not null from crm.stage_transitions where 'pos_' || position_id = %s",
        moved["position"]["id"],
    )
    assert kept is True
    won = await deal(lab)
    await way.put(won, "Proposal")
    held = await way.move(won, "Customer")
    await way.approve(held)
    back = await way.ask("undo_change", LEA, change=held["draft"]["id"])
    await way.approve(back)
    assert way.stage(won) == "Proposal"
    assert owner_asks("select status from crm.deals where 'deal_' || id = %s", won) == "open"


async def test_undoing_what_moved_on_since_is_refused(way, lab):
    it = await deal(lab)
    await way.put(it)
    first = await way.move(it, "Qualified")
    await way.move(it, "Lead")
    told = await way.ask("undo_change", change=first["_meta"]["change"])
    assert told["error"] == "CHANGED_SINCE" and "stage_id" in told["context"]["fields"]


async def test_the_pipeline_may_be_left_out_where_the_record_is_in_one_alone(way, lab, home, executor, person):
    it = await deal(lab)
    await way.put(it)
    told = await way.ask("move_to_stage", moves=[{"record": it, "to_stage": "Qualified"}])
    assert told["position"]["pipeline"]["name"] == way.name
    other = await funnel(lab, home, executor, person)
    await other.put(it)
    told = await way.ask("move_to_stage", moves=[{"record": it, "to_stage": "Lead"}])
    assert told["error"] == "PIPELINE_AMBIGUOUS" and set(told["context"]["pipelines"]) == {way.name, other.name}


async def test_what_is_not_there_is_named_and_near_names_are_offered(way, lab):
    it = await deal(lab, HOSTILE)
    assert (await way.move(it, "Lead"))["error"] == "NOT_IN_PIPELINE"
    await way.put(it)
    told = await way.move(it, "Qualfied")
    assert (told["error"], "Did you mean 'Qualified'?" in told["context"]["hint"]) == ("STAGE_NOT_FOUND", True)
    told = await way.move(it, HOSTILE)
    assert told["error"] == "STAGE_NOT_FOUND"
    told = await way.ask("move_to_stage", moves=[{"record": it, "to_stage": "Lead", "pipeline": HOSTILE}])
    assert told["error"] == "PIPELINE_NOT_FOUND"
    assert (await way.move("prod_1", "Lead"))["error"] == "INVALID_ID"
    told = await way.move(it, "Qualified")
    assert HOSTILE in told["summary"]


async def test_another_orgs_records_pipelines_and_stages_answer_as_if_there_were_none(way, lab, owner_asks):
    theirs = owner_asks(
        "select 'pipe_' || min(p.id) from crm.pipelines p join crm.orgs o on o.id = p.org_id where o.slug = 'demo'"
    )
    stage = owner_asks(
        "select 'stage_' || min(p.id) from crm.pipeline_stages p join crm.orgs o on o.id = p.org_id where o.slug = 'demo'"
    )
    it = await deal(lab)
    await way.put(it)
    for pipeline in (theirs, "pipe_999999999"):
        told = await way.ask("move_to_stage", moves=[{"record": it, "to_stage": "Lead", "pipeline": pipeline}])
        assert told["error"] == "PIPELINE_NOT_FOUND"
    for one in (stage, "stage_999999999"):
        assert (await way.move(it, one))["error"] == "STAGE_NOT_FOUND"
    foreign = owner_asks(
        "select 'cust_' || min(c.id) from crm.customers c join crm.orgs o on o.id = c.org_id where o.slug = 'demo'"
    )
    for one in (foreign, "cust_999999999"):
        assert (await way.move(one, "Lead"))["error"] == "CUSTOMER_NOT_FOUND"


async def test_an_archived_record_moves_no_more(way, lab):
    it = await deal(lab)
    await way.put(it)
    await lab.set("deals", it, "archived_at", datetime.now(UTC))
    assert (await way.move(it, "Qualified"))["error"] == "RECORD_ARCHIVED"


async def test_a_way_that_ended_is_not_opened_again_beside_a_new_one(way, lab):
    it = await contact(lab)
    await way.put(it, "Lost", closed_at=datetime.now(UTC))
    assert (await way.ask("add_to_pipeline", records=[it], pipeline=way.name, value="5"))["type"] == "result"
    told = await way.move(it, "Lead")
    assert "change nothing" in told["summary"]  # the new one stands there
