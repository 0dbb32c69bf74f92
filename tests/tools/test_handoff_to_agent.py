"""The hand-off: S0's context, checked against the org; only a specialist of use to the role; for triage alone."""

import pytest
from mcp import MCPError

from crm_mcp.catalog import Catalog, rows
from crm_mcp.principal import Agent, Principal, Role
from crm_mcp.tools.triage.handoff_to_agent import SERVING

HOME = {
    Agent.CUSTOMER: "customers",
    Agent.ORDER: "orders",
    Agent.ANALYTICS: "reports",
    Agent.SUPPORT: "support",
    Agent.SETTINGS: "memory",
    Agent.SALES: "pipelines",
    Agent.RESEARCH: "records",
}
"""The toolset that each specialist is there for."""
ASKED = {"agent": "order", "userIntent": "Show the order", "handoffReason": "It is about an order."}


@pytest.fixture
def number(owner_asks):
    def of(table, ours=True):
        which = "=" if ours else "<>"
        return owner_asks(
            f"select id from crm.{table} where org_id {which} (select id from crm.orgs where slug = 'demo') limit 1"
        )

    return of


@pytest.fixture
def hand(connect):
    async def over(email="sam@demo.example", **given):
        async with connect(email, agent=Agent.TRIAGE) as client:
            return (await client.call_tool("handoff_to_agent", ASKED | given)).structured_content

    return over


async def test_the_context_comes_back_as_s0_names_it(hand, number):
    given = {
        "extractedEntities": {
            "customerIds": [f"cust_{number('customers')}"],
            "orderIds": [f"ord_{number('orders')}"],
            "dateRange": {"from": "2026-01-01", "to": "2026-03-31"},
        },
        "conversationHistory": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Yes?"}],
        "pageContext": {"route": "/p", "entityType": "product", "entityId": f"prod_{number('products')}"},
    }
    body = await hand(**given)
    assert body["handoff"] == ASKED | given
    assert "dropped" not in body["_meta"]


async def test_ids_that_are_not_the_orgs_are_named_and_dropped_alike(hand, number):
    ours, theirs = f"cust_{number('customers')}", f"cust_{number('customers', ours=False)}"
    missing, wrong, none = "cust_999999999", f"ord_{number('orders')}", "John Smith"
    page = {"route": "/c", "entityType": "customer", "entityId": theirs}
    body = await hand(
        extractedEntities={"customerIds": [theirs, ours, missing, wrong, none]},
        pageContext=page,
    )
    assert body["handoff"]["extractedEntities"] == {"customerIds": [ours]}
    assert body["handoff"].get("pageContext") is None
    assert body["_meta"]["dropped"] == [theirs, missing, wrong, none, theirs]


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"agent": "triage"}, "agent"),
        ({"agent": "boss"}, "agent"),
        ({"userIntent": "  "}, "userIntent"),
        ({"conversationHistory": [{"role": "user", "content": "x"}] * 11}, "conversationHistory"),
        ({"extractedEntities": {"dateRange": {"from": "2026-02-01", "to": "2026-01-01"}}}, "dateRange"),
        ({"extractedEntities": {"emails": []}}, "emails"),
        ({"approve": True}, "approve"),
    ],
)
async def test_what_is_no_hand_off_is_refused_by_its_argument(hand, given, where):
    body = await hand(**given)
    assert body["error"] == "INVALID_ARGUMENT" and where in body["context"]["argument"] + body["context"]["hint"]


async def test_a_specialist_of_no_use_to_the_role_is_refused_with_those_that_are(hand):
    body = await hand("fin@demo.example", agent="sales")
    assert body["error"] == "AGENT_NOT_AVAILABLE"
    assert body["context"]["known"] == ["customer", "order", "analytics", "settings", "research"]


def test_whom_a_specialist_serves_is_who_may_use_its_toolset():
    def somebody(role, agent):
        return Principal(1, "o", "O", "EUR", "UTC", 1, "A", "a@o.example", role, False, 0, False, 1, agent)  # type: ignore[arg-type]

    for agent, toolset in HOME.items():
        may = {
            role
            for role in Role
            for tool in Catalog().visible_to(somebody(role, agent))
            if rows()[tool["name"]]["toolset"] == toolset
        }
        assert SERVING[agent] == may, agent


@pytest.mark.parametrize("agent", [None, Agent.CUSTOMER])
async def test_for_everybody_but_triage_it_does_not_exist(connect, agent):
    async with connect("ada@demo.example", agent=agent) as client:
        with pytest.raises(MCPError) as hidden:
            await client.call_tool("handoff_to_agent", ASKED)
        with pytest.raises(MCPError) as unknown:
            await client.call_tool("handoff_to_agemt", ASKED)
    assert str(hidden.value).replace("handoff_to_agent", "x") == str(unknown.value).replace("handoff_to_agemt", "x")


async def test_triage_sees_nothing_else(connect):
    async with connect("ada@demo.example", agent=Agent.TRIAGE) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["handoff_to_agent"]
        with pytest.raises(MCPError, match="Unknown tool: whoami"):
            await client.call_tool("whoami", {})
