"""Two connections at one place: the first has not committed when the second comes, which waits for it."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from funnel import contact, deal
from lab import LEA, LOU

from crm_mcp.context import Write
from crm_mcp.crm import moving, shaping, undoing
from crm_mcp.crm.pipelines import StageChange
from crm_mcp.errors import Refusal
from crm_mcp.importing.batch import batch

TRIES = 20
"""A lock is waited for half a second, which a busy machine may use up: then it is all tried anew."""
WAITING = (
    """select count(*) from pg_locks l where not l.granted and l.locktype in ('transactionid', 'tuple', 'advisory')"""
)
CHAIN = """select coalesce(jsonb_agg(jsonb_build_array(f.name, s.name) order by t.moved_at, t.id), '[]') from crm.stage_transitions t
 join crm.pipeline_stages s on s.org_id = t.org_id and s.id = t.to_stage_id
 left join crm.pipeline_stages f on f.org_id = t.org_id and f.id = t.from_stage_id
 where 'pos_' || t.position_id = %s and t.archived_at is null"""


class Busy(Exception):
    """The second gave up waiting before the first was done."""


@pytest.fixture
def meanwhile(lab, way, approver, person):
    """Run one thing on a connection of its own, and let another begin before it is committed."""

    @asynccontextmanager
    async def uncommitted(email=LEA):
        async with batch(approver, await person(LEA), "lab", {}, "Move at once.") as session:
            yield Write(await person(email), datetime.now(UTC), session)

    async def both(first, then):
        async with uncommitted() as ctx:
            await first(ctx)
            await ctx.session.flush()
            second = asyncio.create_task(then())
            while not second.done() and way.row(WAITING)[0] == 0:
                await asyncio.wait([second], timeout=0.01)
        told = await second
        if isinstance(told, dict) and told.get("error") == "BUSY":
            raise Busy
        return told

    return both


async def tried(scene):
    """Play a scene until nobody gives up waiting."""
    for _ in range(TRIES):
        try:
            return await scene()
        except Busy:
            continue
    raise AssertionError("a lock is never waited for long enough")


async def test_the_second_of_two_moves_is_told_where_the_record_is_by_now(way, lab, meanwhile):
    async def scene():
        it = await deal(lab)
        place = await way.put(it)
        told = await meanwhile(
            lambda ctx: moving.move(ctx, it, "Lost", pipeline=way.name, explanation="gone"),
            lambda: way.move(it, "Qualified", from_stage="Lead"),
        )
        return place, told

    place, told = await tried(scene)
    assert (told["error"], told["context"]["stage"]) == ("MOVED_MEANWHILE", "Lost")
    assert way.row(CHAIN, place)[0] == [["Lead", "Lost"]]


async def test_a_move_that_waited_goes_on_from_where_the_first_one_came_and_after_it(way, lab, meanwhile):
    async def scene():
        it = await deal(lab)
        place = await way.put(it)
        began = datetime.now(UTC)

        async def first(ctx):
            await moving.move(ctx, it, "Qualified", pipeline=way.name)

        async def then():
            return await way.move(it, "Lead")

        return place, began, await meanwhile(first, then)

    place, _, told = await tried(scene)
    assert told["type"] == "result", told
    assert way.row(CHAIN, place)[0] == [["Lead", "Qualified"], ["Qualified", "Lead"]]


async def test_a_call_that_began_before_another_ones_move_leaves_no_stage_before_it_came_there(
    way, lab, approver, person
):
    it = await deal(lab)
    place = await way.put(it)
    early = datetime.now(UTC)
    await way.move(it, "Qualified")
    who = await person(LEA)
    async with batch(approver, who, "lab", {}, "Move late.") as session:
        await moving.move(Write(who, early, session), it, "Lost", pipeline=way.name)
    assert way.row(CHAIN, place)[0] == [["Lead", "Qualified"], ["Qualified", "Lost"]]
    kept = way.row(
        """select bool_and(t.seconds_in_stage >= 0), max(t.moved_at) = max(p.entered_at), max(p.entered_at) = max(p.closed_at),
         max(d.closed_at) = max(p.closed_at) from crm.stage_transitions t join crm.pipeline_positions p on p.org_id = t.org_id
         and p.id = t.position_id join crm.deals d on d.org_id = p.org_id and d.id = p.subject_id and p.subject_type = 'deals' where 'pos_' || p.id = %s""",
        place,
    )
    assert kept == (True, True, True, True)


async def test_a_move_that_calls_from_before_it_led_away_and_back_again_is_not_taken_back(way, lab, approver, person):
    it = await deal(lab)
    place = await way.put(it)
    early = datetime.now(UTC)
    change = (await way.move(it, "Qualified"))["_meta"]["change"]
    who = await person(LEA)
    for stage in ("Lead", "Qualified"):
        async with batch(approver, who, "lab", {}, "Move late.") as session:
            await moving.move(Write(who, early, session), it, stage, pipeline=way.name, criteria_met=())
    told = await way.ask("undo_change", change=change)
    assert told["error"] == "CHANGED_SINCE", told
    chain = [["Lead", "Qualified"], ["Qualified", "Lead"], ["Lead", "Qualified"]]
    assert (way.stage(it), way.row(CHAIN, place)[0]) == ("Qualified", chain)


async def test_a_move_that_waited_for_its_undoing_goes_on_from_before_it(way, lab, meanwhile):
    async def scene():
        it = await deal(lab)
        place = await way.put(it)
        change = (await way.move(it, "Qualified"))["_meta"]["change"]
        told = await meanwhile(
            lambda ctx: undoing.undo(ctx, change), lambda: way.move(it, "Lost", from_stage="Qualified")
        )
        return it, place, told

    it, place, told = await tried(scene)
    assert (told["error"], told["context"]["stage"]) == ("MOVED_MEANWHILE", "Lead")
    assert (way.stage(it), way.row(CHAIN, place)[0]) == ("Lead", [])


async def test_an_undo_that_waited_for_a_move_takes_nothing_back(way, lab, meanwhile):
    async def scene():
        it = await deal(lab)
        place = await way.put(it)
        change = (await way.move(it, "Qualified"))["_meta"]["change"]
        told = await meanwhile(
            lambda ctx: moving.move(ctx, it, "Lost", pipeline=way.name, explanation="gone"),
            lambda: way.ask("undo_change", change=change),
        )
        return it, place, told

    it, place, told = await tried(scene)
    assert told["error"] == "CHANGED_SINCE"
    assert (way.stage(it), way.row(CHAIN, place)[0]) == ("Lost", [["Lead", "Qualified"], ["Qualified", "Lost"]])


async def test_an_approval_that_waited_for_a_move_approves_nothing(way, lab, meanwhile):
    async def approved(held):
        try:
            return await way.approve(held)
        except Refusal as no:
            return {"error": no.error}

    async def scene():
        it = await deal(lab)
        place = await way.put(it, "Demo")
        held = await way.move(it, "Proposal")
        told = await meanwhile(lambda ctx: moving.move(ctx, it, "Lead", pipeline=way.name), lambda: approved(held))
        return it, place, told

    it, place, outcome = await tried(scene)
    assert outcome.state == "stale", outcome
    assert (way.stage(it), way.row(CHAIN, place)[0]) == ("Lead", [["Demo", "Lead"]])


async def test_a_move_of_what_is_taken_out_meanwhile_is_refused(way, lab, meanwhile):
    async def scene():
        it = await contact(lab)
        added = await way.ask("add_to_pipeline", records=[it], pipeline=way.name, value="5")
        told = await meanwhile(
            lambda ctx: undoing.undo(ctx, added["_meta"]["change"]), lambda: way.move(it, "Qualified")
        )
        return it, added["position"]["id"], told

    it, place, told = await tried(scene)
    assert told["error"] == "MOVED_MEANWHILE"
    assert (way.stage(it), way.row(CHAIN, place)[0]) == (None, [])


async def test_nothing_moves_into_a_stage_that_is_archived_meanwhile(way, lab, meanwhile):
    async def scene():
        it = await deal(lab)
        place = await way.put(it)
        stage = f"Stage {place}"
        made = await way.ask("update_pipeline", pipeline=way.name, stages=[{"name": stage, "position": 2}])
        await way.approve(made)
        gone = StageChange.model_validate({"stage": stage, "archive": True})
        told = await meanwhile(lambda ctx: shaping.update(ctx, way.name, [gone]), lambda: way.move(it, stage))
        return it, told

    it, told = await tried(scene)
    assert told["error"] == "STAGE_NOT_FOUND"
    assert way.stage(it) == "Lead"


async def test_a_record_that_is_put_in_twice_at_once_stands_there_once(way, lab, meanwhile):
    async def scene():
        it = await contact(lab)

        async def first(ctx):
            await moving.add(ctx, it, way.name)

        told = await meanwhile(first, lambda: way.ask("add_to_pipeline", records=[it], pipeline=way.name, value="5"))
        return it, told

    it, told = await tried(scene)
    assert told["error"] == "ALREADY_IN_PIPELINE"
    number = int(it[5:])
    assert way.row(
        "select count(*) from crm.pipeline_positions where subject_type = 'contacts' and subject_id = %s", number
    ) == (1,)


async def test_a_close_taken_back_and_a_way_begun_anew_at_once_leave_one_open_way(way, lab, meanwhile):
    async def scene():
        it = await contact(lab)
        await way.put(it, "Proposal", "5")
        held = await way.move(it, "Customer")
        assert (await way.approve(held)).state == "approved"
        told = await meanwhile(
            lambda ctx: undoing.undo(ctx, held["draft"]["id"]),
            lambda: way.ask("add_to_pipeline", LOU, records=[it], pipeline=way.name, value="5"),
        )
        return it, told

    it, told = await tried(scene)
    assert told["error"] == "ALREADY_IN_PIPELINE"
    assert way.stage(it) == "Proposal"
