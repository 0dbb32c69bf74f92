import pytest
from lab import LEA, LOU

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
