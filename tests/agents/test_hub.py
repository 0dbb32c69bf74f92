"""The hub: triage hands over once, the specialist works with its own tools, what waits is the server's word."""

import pytest
from hubs import SPECIALIST, TRIAGE, Bench, hands_to
from standin import Call

from crm_mcp.agents.journal import End


@pytest.fixture
def bench(connect, tmp_path):
    return Bench(connect, tmp_path)


async def test_a_request_goes_through_triage_to_a_specialist_who_answers(bench):
    seen = {}

    def order(tools):
        (orders,) = yield Call("get_orders", {"limit": 2})
        seen.update(orders)
        return f"You have {len(orders['orders'])} orders."

    outcome = await bench.run("Show my orders", {TRIAGE: hands_to("order"), SPECIALIST["order"]: order})
    assert outcome.end is End.DONE, outcome
    assert outcome.text == "You have 2 orders." and outcome.agent == "order" and outcome.waiting == []
    assert [one["tool"] for one in bench.told("tool")] == ["get_orders"]
    assert "".join(one["text"] for one in bench.told("text")) == outcome.text
    assert bench.tools_of(TRIAGE) == [["handoff_to_agent"]]
    assert bench.requests[0]["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
