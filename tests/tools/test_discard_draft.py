from drafting import held
from lab import LEA, LOU


async def test_whoever_drafted_it_may_withdraw_it_once(lab):
    draft = await held(lab, LOU)
    assert (await lab.ask("discard_draft", {"draft": draft, "reason": "not wanted"}, LOU))["draft"][
        "state"
    ] == "discarded"
    again = await lab.ask("discard_draft", {"draft": draft, "reason": "not wanted"}, LOU)
    assert (again["error"], again["context"]["state"]) == ("DRAFT_DECIDED", "discarded")


async def test_an_administrator_may_see_a_colleagues_draft_but_not_withdraw_it(lab):
    draft = await held(lab, LOU)
    assert (await lab.ask("discard_draft", {"draft": draft, "reason": "not wanted"}, LEA))[
        "error"
    ] == "NOT_YOUR_DRAFT"
    assert (await lab.ask("get_draft", {"draft": draft}, LOU))["draft"]["state"] == "pending"


async def test_a_colleagues_draft_is_unknown_to_a_seller(lab):
    draft = await held(lab, LEA)
    assert (await lab.ask("discard_draft", {"draft": draft, "reason": "not wanted"}, LOU))[
        "error"
    ] == "DRAFT_NOT_FOUND"


async def test_a_withdrawn_draft_can_not_be_approved(lab, executor, person, owner_asks):
    draft = int((await held(lab, LOU))[6:])
    lea = await person(LEA)
    shown = await executor.show(lea, draft)
    await lab.ask("discard_draft", {"draft": f"draft_{draft}", "reason": "not wanted"}, LOU)
    before = owner_asks("select count(*) from crm.orders")
    outcome = await executor.approve(lea, draft, shown.hash)
    assert (outcome.state, outcome.won) == ("discarded", False)
    assert owner_asks("select count(*) from crm.orders") == before
