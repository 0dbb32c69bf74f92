"""How runs end: at limits, by somebody's will, without a key; and how they go on from each step."""

import asyncio
import threading

import pytest
from hubs import SPECIALIST, TRIAGE, Bench, hands_to
from pydantic_ai.messages import ModelRequest
from standin import Call

from crm_mcp.agents.hub import Hub
from crm_mcp.agents.journal import End, Point, as_json
from crm_mcp.principal import Agent


@pytest.mark.parametrize(
    ("limits", "end", "why"),
    [
        ({"turns": 3}, End.TURN_LIMIT, "The order agent took its 3 turns without an end."),
        ({"budget": "0"}, End.OVER_BUDGET, "The budget of one request for order is 0 USD"),
    ],
)
async def test_a_limit_ends_the_run_by_its_name_and_what_waits_is_still_told(bench, limits, end, why, ordering):
    def order(tools):
        yield ordering(5)
        while True:
            yield Call("get_orders", {"limit": 1})

    outcome = await bench.run("Order", {SPECIALIST["order"]: order}, agent=Agent.ORDER, use_cases={"order": limits})
    assert outcome.end is end and outcome.why.startswith(why)
    assert len(outcome.waiting) == (1 if end is End.TURN_LIMIT else 0)
    assert len(bench.tools_of(SPECIALIST["order"])) == (3 if end is End.TURN_LIMIT else 0)


async def test_the_time_limit_ends_a_run_whose_model_does_not_answer(bench):
    silent = threading.Event()

    def order(tools):
        silent.wait(60)
        return "too late"
        yield

    try:
        outcome = await bench.run(
            "Order",
            {SPECIALIST["order"]: order},
            agent=Agent.ORDER,
            use_cases={"order": {"seconds": 0.5}},
            ends=silent,
        )
    finally:
        silent.set()
    assert outcome.end is End.TIME_LIMIT and outcome.why == "The order agent did not end within its 0.5 seconds."
    assert len(bench.meter.reserved) == len(bench.meter.settled) == 1


async def test_a_run_that_somebody_stops_ends_before_its_next_step(bench, ordering):
    def order(tools):
        yield Call("get_orders", {"limit": 1})
        bench.journal.is_stopped = True
        yield ordering(6)
        return "never"

    outcome = await bench.run("Order", {SPECIALIST["order"]: order}, agent=Agent.ORDER)
    assert outcome.end is End.CANCELLED and outcome.waiting == []
    assert [one["tool"] for one in bench.told("tool")] == ["get_orders"]


async def test_without_a_key_nothing_is_called_and_it_is_said(bench):
    outcome = await bench.run("Order", {}, key=None, use_cases={"triage": {"fallback": None}})
    assert outcome.end is End.NO_KEY and "set CRM_ANTHROPIC_KEY" in outcome.why
    assert bench.requests == [] and bench.told("tool") == []


async def test_a_run_goes_on_from_each_of_its_steps_and_does_nothing_twice(bench, connect, tmp_path, ordering):
    def order(tools):
        yield ordering(7)
        yield Call("get_orders", {"limit": 1})
        return "Drafted."

    scripts = {TRIAGE: hands_to("order"), SPECIALIST["order"]: order}
    whole = await bench.run("Order seven", scripts)
    assert len(whole.waiting) == 1
    points = [Point.model_validate_json(point.model_dump_json()) for point in bench.journal.points]
    assert [len(point.messages) for point in points] == [1, 2, 3, 4, 5, 6]

    def left(done):
        def order(tools):
            if done < 2:
                yield ordering(7)
            if done < 4:
                yield Call("get_orders", {"limit": 1})
            return "Drafted."

        return order

    for point in points:
        again = Bench(connect, tmp_path)
        outcome = await again.run("Order seven", {SPECIALIST["order"]: left(len(point.messages))}, point=point)
        assert (outcome.end, outcome.text) == (End.DONE, "Drafted.")
        assert [one.id for one in outcome.waiting] == [one.id for one in whole.waiting]
        assert again.tools_of(TRIAGE) == []
        assert outcome.spent >= sum(point.spent.values())


async def test_cancelling_the_task_settles_the_call_that_runs_and_the_end_can_be_told(bench):
    async def stop(event):
        if event.kind == "tool":
            asyncio.current_task().cancel()

    bench.journal.event = stop
    hubs = []
    made = Hub.__init__

    def noticed(self, *parts):
        made(self, *parts)
        hubs.append(self)

    Hub.__init__ = noticed
    try:
        with pytest.raises(asyncio.CancelledError):
            await bench.run("Order", {SPECIALIST["order"]: lambda tools: iter_calls()}, agent=Agent.ORDER)
    finally:
        Hub.__init__ = made
        asyncio.current_task().uncancel()
    outcome = await hubs[0].ended(End.CANCELLED, "It was stopped.")
    assert outcome.end is End.CANCELLED and outcome.agent == "order"
    assert len(bench.meter.reserved) == len(bench.meter.settled) == 1


def iter_calls():
    while True:
        yield Call("get_orders", {"limit": 1})


def test_messages_of_a_point_come_back_as_they_were():
    messages = [ModelRequest.user_text_prompt("Ä", instructions="x")]
    point = Point(run="r", agent=Agent.ORDER, handoff={}, messages=as_json(messages))
    assert Point.model_validate_json(point.model_dump_json()).history() == messages
