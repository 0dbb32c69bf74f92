"""A policy is proposed over MCP by an administrator, and held whatever is said of it; tests/policy has the rest."""

from lab import LEA, LOU


async def test_it_is_held_however_sure_the_caller_is_and_nothing_changes(lab, posting):
    told = await lab.ask(
        "update_policy", {"settings": {"hold_below_confidence": 0.9}, "reason": "we learn", "confidence": 1.0}
    )
    assert told["type"] == "approval_required"
    assert told["summary"].startswith("Nothing has changed yet. It would change the policy: hold_below_confidence")
    assert posting.one(
        "select count(*) from crm.policies p join crm.orgs o on o.id = p.org_id where o.slug = 'lab'"
    ) == (0,)
    withdrawn = await lab.ask("discard_draft", {"draft": told["draft"]["id"], "reason": "only a test"})
    assert withdrawn["type"] == "result"


async def test_numbers_switches_and_words_are_taken_as_they_come(lab):
    settings = {
        "deny_agents_above": 40000,
        "learning_mode": True,
        "approval_limit": "2500.00",
        "agents.order": "hold",
    }
    told = await lab.ask("update_policy", {"settings": settings, "reason": "we learn"})
    for words in ("deny_agents_above from 50000 to 40000", "learning_mode from no to yes", "from 5000 to 2500"):
        assert words in told["summary"]
    assert "warnings" not in told or not told["warnings"]


async def test_it_is_an_administrators_and_not_in_the_usual_list(lab):
    async with lab.connect(LOU) as client:
        assert "update_policy" not in {tool.name for tool in (await client.list_tools()).tools}
    async with lab.connect(LEA, usual=True) as client:
        assert "update_policy" not in {tool.name for tool in (await client.list_tools()).tools}
    async with lab.connect(LEA, toolsets=frozenset({"settings"})) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == {
            "define_custom_field",
            "update_policy",
            "update_preferences",
        }
