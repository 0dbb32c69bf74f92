"""Moves and closes taken back, where the record has gone on elsewhere meanwhile."""

from datetime import UTC, datetime

import pytest
from funnel import contact, deal, funnel, lead
from lab import LEA


async def closed(way, record, to="Customer"):
    """Close a record's way through the page; return the draft that did."""
    held = await way.move(record, to)
    assert (await way.approve(held)).state == "approved"
    return held["draft"]["id"]


async def begun_again(way, record):
    """Put a record into the pipeline once more, through the page where a person decides."""
    told = await way.ask("add_to_pipeline", records=[record], pipeline=way.name, **_worth(record))
    if told["type"] != "result":
        assert (await way.approve(told)).state == "approved"


def _worth(record):
    return {} if record.startswith("deal_") else {"value": "5"}


@pytest.mark.parametrize("end", ["Customer", "Lost"])
@pytest.mark.parametrize("kind", [deal, lead, contact])
async def test_a_close_is_not_taken_back_beside_a_way_begun_anew(way, lab, kind, end):
    it = await kind(lab)
    await way.put(it, "Proposal", None if kind is deal else "5")
    draft = await closed(way, it, end)
    await begun_again(way, it)
    told = await way.ask("undo_change", LEA, change=draft)
    if end == "Lost" and kind is not contact:
        # what was lost is open again since it began anew, so that first
        assert (told["error"], told["context"]["fields"][0]) == ("CHANGED_SINCE", "status")
    else:
        assert (told["error"], told["context"]["pipeline"]) == ("ALREADY_IN_PIPELINE", way.name)
    assert way.stage(it) == "Lead"


async def test_a_close_in_one_of_two_pipelines_is_taken_back_and_the_other_way_stays(
    way, lab, home, executor, person, owner_asks
):
    other = await funnel(lab, home, executor, person)
    it = await deal(lab)
    await way.put(it, "Proposal")
    await other.put(it, "Demo")
    draft = await closed(way, it)
    back = await way.ask("undo_change", LEA, change=draft)
    assert (await way.approve(back)).state == "approved"
    assert (way.stage(it), other.stage(it)) == ("Proposal", "Demo")
    look = "select jsonb_build_array(status, closed_at) from crm.deals where 'deal_' || id = %s"
    assert owner_asks(look, it) == ["open", None]


async def test_a_move_in_another_pipeline_does_not_open_a_won_deal_again(
    way, lab, home, executor, person, owner_asks
):
    other = await funnel(lab, home, executor, person)
    it = await deal(lab)
    await way.put(it, "Proposal")
    await other.put(it, "Lead")
    await closed(way, it)
    told = await other.move(it, "Qualified")
    assert told["type"] == "result", told
    assert owner_asks("select status from crm.deals where 'deal_' || id = %s", it) == "won"


async def test_an_adding_taken_back_is_not_put_back_beside_a_new_one(way, lab):
    it = await contact(lab)
    added = await way.ask("add_to_pipeline", records=[it], pipeline=way.name, value="5")
    undone = await way.ask("undo_change", change=added["_meta"]["change"])
    await begun_again(way, it)
    told = await way.ask("undo_change", change=undone["_meta"]["change"])
    assert told["error"] == "ALREADY_IN_PIPELINE"


async def test_nothing_goes_back_into_a_stage_or_a_pipeline_that_was_archived(way, lab, home, executor, person):
    it = await deal(lab)
    await way.put(it)
    moved = await way.move(it, "Qualified")
    gone = await way.ask("update_pipeline", pipeline=way.name, stages=[{"stage": "Lead", "archive": True}])
    assert (await way.approve(gone)).state == "approved"
    told = await way.ask("undo_change", change=moved["_meta"]["change"])
    assert (told["error"], told["context"]["stage"]) == ("STAGE_ARCHIVED", "Lead")
    assert way.stage(it) == "Qualified"
    other = await funnel(lab, home, executor, person)
    one = await deal(lab)
    await other.put(one, "Proposal")
    draft = await closed(other, one)
    gone = await other.ask("update_pipeline", pipeline=other.name, archive=True)
    assert (await other.approve(gone)).state == "approved"
    told = await other.ask("undo_change", LEA, change=draft)
    assert (told["error"], told["context"]["pipeline"]) == ("PIPELINE_ARCHIVED", other.name)


async def test_a_stage_added_in_between_is_taken_back_with_the_order_there_was(way, lab):
    held = await way.ask("update_pipeline", pipeline=way.name, stages=[{"name": "Pilot", "position": 2}])
    assert (await way.approve(held)).state == "approved"
    back = await way.ask("undo_change", LEA, change=held["draft"]["id"])
    outcome = await way.approve(back)
    assert outcome.state == "approved", outcome
    (found,) = (await way.ask_read("get_pipelines", pipeline=way.id))["pipelines"]
    assert [stage["name"] for stage in found["stages"]] == [
        "Lead", "Qualified", "Demo", "Proposal", "Customer", "Lost",
    ]  # fmt: skip


async def test_a_name_that_another_pipeline_took_meanwhile_is_said_to_be_taken(way, lab):
    gone = await way.ask("update_pipeline", pipeline=way.name, archive=True)
    assert (await way.approve(gone)).state == "approved"
    new = await way.ask("create_pipeline", name=way.name, stages=[{"name": "A"}])
    assert (await way.approve(new)).state == "approved"
    told = await way.ask("undo_change", LEA, change=gone["draft"]["id"])
    assert told["error"] == "TAKEN_MEANWHILE", told


async def test_a_way_that_ended_may_be_taken_back_where_no_other_goes_on(way, lab):
    it = await contact(lab)
    await way.put(it, "Lost", closed_at=datetime.now(UTC))
    await way.put(it, "Proposal", "5")
    draft = await closed(way, it)
    back = await way.ask("undo_change", LEA, change=draft)
    if back["type"] != "result":
        assert (await way.approve(back)).state == "approved"
    assert way.stage(it) == "Proposal"
