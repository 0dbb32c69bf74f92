import asyncio
from datetime import UTC, datetime

from funnel import contact, deal, funnel, lead
from lab import LEA, LUX


async def test_a_record_begins_at_the_first_stage_and_that_is_kept(way, lab, owner_asks):
    it = await lead(lab, "Shop")
    told = await way.ask("add_to_pipeline", records=[it], pipeline=way.name)
    assert told["type"] == "result", told
    assert told["summary"] == f"Done: add Shop (EUR 900.00) to {way.name} at Lead."
    kept = owner_asks(
        """select jsonb_build_array(from_stage_id, seconds_in_stage, explanation, criteria_met) from crm.stage_transitions
         where 'pos_' || position_id = %s""",
        told["position"]["id"],
    )
    assert kept == [None, None, "they are ready", True]


async def test_each_of_several_is_added_or_refused_alone(way, lab):
    one, other = await lead(lab), await deal(lab)
    await way.put(other)
    told = await way.ask("add_to_pipeline", records=[one, other, "ord_1", "lead_999999999"], pipeline=way.name)
    assert [item.get("error") for item in told["items"]] == [
        None,
        "ALREADY_IN_PIPELINE",
        "INVALID_ID",
        "LEAD_NOT_FOUND",
    ]
    assert way.stage(one) == "Lead"


async def test_further_on_it_should_meet_what_comes_before_else_a_person_decides(way, lab):
    ready = await lead(lab, budget_confirmed=True, timeline="May")
    told = await way.ask(
        "add_to_pipeline", records=[ready], pipeline=way.name, stage="Demo", criteria_met=["reference_called"]
    )
    assert told["type"] == "result", told
    lacking = await lead(lab)
    held = await way.ask("add_to_pipeline", records=[lacking], pipeline=way.name, stage="Demo")
    assert held["draft"]["reason"] == "the criteria of Demo are not met"
    assert held["warnings"] == ["Missing for Demo: has_budget_confirmed, timeline_defined, reference_called."]
    assert (await way.approve(held)).state == "approved"
    assert way.stage(lacking) == "Demo"


async def test_a_value_is_the_places_own_and_a_deal_has_its_own(way, lab):
    it = await contact(lab)
    told = await way.ask("add_to_pipeline", records=[it], pipeline=way.name, value="10000.01")
    assert told["draft"]["reason"] == "its value is above 10,000 EUR"
    told = await way.ask("add_to_pipeline", records=[it], pipeline=way.name, value="12.50")
    assert told["position"]["value"] == {"amount": "12.50", "currency": "EUR"}
    told = await way.ask("add_to_pipeline", records=[await deal(lab)], pipeline=way.name, value="5")
    assert told["error"] == "INVALID_ARGUMENT"
    told = await way.ask(
        "add_to_pipeline", records=[await contact(lab)], pipeline=way.name, value="5", currency="CHF"
    )
    assert told["draft"]["reason"] == "its value is unknown"


async def test_a_record_stands_in_many_pipelines_but_once_in_each(way, lab, home, executor, person):
    other = await funnel(lab, home, executor, person, kind="support")
    it = await contact(lab)
    both = await asyncio.gather(
        *(way.ask("add_to_pipeline", records=[it], pipeline=way.name, value="5") for _ in range(2))
    )
    assert sorted(told.get("error", "") for told in both)[0] == ""
    assert sorted(told.get("error", "") for told in both)[1] in ("ALREADY_IN_PIPELINE", "BUSY")
    assert (await way.ask("add_to_pipeline", records=[it], pipeline=other.id))["type"] == "result"
    assert (way.stage(it), other.stage(it)) == ("Lead", "Lead")


async def test_adding_is_undone(way, lab):
    it = await lead(lab)
    told = await way.ask("add_to_pipeline", records=[it], pipeline=way.name)
    undone = await way.ask("undo_change", change=told["_meta"]["change"])
    assert undone["type"] == "result", undone
    assert way.stage(it) is None
    assert (await way.ask("add_to_pipeline", records=[it], pipeline=way.name))["type"] == "result"


async def test_whoever_has_no_pipelines_is_told_of_no_such_tool(way, lab):
    async with lab.connect(LUX) as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
    assert not {"add_to_pipeline", "get_pipelines", "move_to_stage", "score_contact"} & listed
    async with lab.connect(LEA) as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
    assert {"add_to_pipeline", "get_pipelines", "move_to_stage", "score_contact"} <= listed


async def test_what_was_lost_is_open_again_when_it_begins_anew_and_what_was_won_stays_won(way, lab, owner_asks):
    look = "select status from crm.deals where 'deal_' || id = %s"
    for status, then in (("lost", "open"), ("won", "won")):
        it = await deal(lab, status=status, closed_at=datetime.now(UTC))
        told = await way.ask("add_to_pipeline", records=[it], pipeline=way.name)
        if status == "lost":
            assert (await way.approve(told)).state == "approved"
        assert owner_asks(look, it) == then


async def test_an_archived_record_begins_no_way(way, lab):
    it = await deal(lab)
    await lab.set("deals", it, "archived_at", datetime.now(UTC))
    told = await way.ask("add_to_pipeline", records=[it], pipeline=way.name)
    assert told["error"] == "RECORD_ARCHIVED"


async def test_the_stage_it_begins_at_need_not_be_met_and_a_met_one_warns_of_nothing(way, lab):
    told = await way.ask("add_to_pipeline", records=[await lead(lab)], pipeline=way.name, stage="Qualified")
    assert told["type"] == "result", told
    assert not told.get("warnings")
