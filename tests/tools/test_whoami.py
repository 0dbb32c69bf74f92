import pytest
from lab import LEA, LOU, LUX

from crm_mcp.principal import Agent


async def test_a_person_learns_their_org_role_and_zone(lab):
    me = (await lab.ask("whoami", {}))["me"]
    assert (me["name"], me["role"], me["mayApprove"]) == ("Lea Lang", "admin", True)
    assert me["approvalLimit"] == {"amount": "1000000.00", "currency": "EUR"}
    assert me["org"] == {"name": "Laboratory", "slug": "lab", "baseCurrency": "EUR", "timezone": "Pacific/Kiritimati"}


async def test_who_may_not_approve_has_no_limit(lab):
    me = (await lab.ask("whoami", {}, LOU))["me"]
    assert me["mayApprove"] is False
    assert "approvalLimit" not in me


@pytest.mark.parametrize("agent", [Agent.ORDER, Agent.RESEARCH])
async def test_an_agent_is_named_beside_its_person(lab, agent):
    told = await lab.ask("whoami", {}, LEA, agent=agent)
    assert told["me"]["agent"] == agent
    assert "never through a tool" in told["_meta"]["approvals"]


async def test_the_surest_wishes_are_told_those_applied_most_often_first(lab):
    why = {"reason": "they said so"}

    async def save(text, **more):
        told = await lab.ask("save_preference", {"text": text, **why, **more}, LUX)
        return told["preference"]["id"]

    seldom = await save("Ten issues, please.", apply="get_issues.limit = 10")
    often = await save("By late I mean overdue.", apply="get_tasks.due: late = overdue")
    noticed = await save("Works at night.", kind="pattern")
    try:
        for _ in range(2):
            assert (await lab.ask("get_tasks", {"due": "late"}, LUX))["_meta"]["applied"]
        lines = (await lab.ask("whoami", {}, LUX))["_meta"]["preferences"]
        assert [line.rpartition("(")[2][:-1] for line in lines][:2] == [often, seldom]
        assert not [line for line in lines if noticed in line]
    finally:
        for one in (seldom, often, noticed):
            await lab.ask("delete_preference", {"preference": one, **why}, LUX)
