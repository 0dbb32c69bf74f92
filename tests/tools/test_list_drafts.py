from drafting import held
from lab import LEA, LOU

from crm_mcp.principal import Agent


async def test_people_see_their_own_and_an_administrator_all(lab):
    mine, theirs = await held(lab, LEA), await held(lab, LOU)
    seen = {
        email: {d["id"] for d in (await lab.ask("list_drafts", {"limit": 50}, email))["drafts"]}
        for email in (LEA, LOU)
    }
    assert {mine, theirs} <= seen[LEA]
    assert theirs in seen[LOU] and mine not in seen[LOU]


async def test_an_agent_of_an_administrator_sees_only_the_administrators_own(lab):
    mine, theirs = await held(lab, LEA), await held(lab, LOU)
    seen = {d["id"] for d in (await lab.ask("list_drafts", {"limit": 50}, LEA, agent=Agent.ORDER))["drafts"]}
    assert mine in seen and theirs not in seen


async def test_a_walk_with_cursors_has_no_gap_and_no_repeat(lab):
    for _ in range(3):
        await held(lab, LOU)
    async with lab.connect(LOU) as client:
        seen, asked = [], {"limit": 2, "state": "all"}
        while True:
            told = (await client.call_tool("list_drafts", asked)).structured_content
            seen += [draft["id"] for draft in told["drafts"]]
            if "nextCursor" not in told["_meta"]:
                break
            asked["cursor"] = told["_meta"]["nextCursor"]
    numbers = [int(draft[6:]) for draft in seen]
    assert numbers == sorted(set(numbers), reverse=True)
    assert len(seen) == told["_meta"]["total"] >= 3


async def test_a_state_filters(lab):
    draft = await held(lab, LOU)
    await lab.ask("discard_draft", {"draft": draft, "reason": "not wanted"}, LOU)
    told = {
        state: {d["id"] for d in (await lab.ask("list_drafts", {"limit": 50, "state": state}, LOU))["drafts"]}
        for state in ("discarded", "pending", "all")
    }
    assert draft in told["discarded"] & told["all"] and draft not in told["pending"]
