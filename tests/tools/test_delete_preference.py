from lab import LEA, LOU
from test_save_preference import WHY, save, texts


async def test_it_is_forgotten_and_undo_brings_it_back(lab):
    told = await save(lab, "To be forgotten.")
    gone = await lab.ask("delete_preference", {"preference": told["preference"]["id"], **WHY}, LOU)
    assert gone["type"] == "result" and gone["_display"]["badge"] == "forgotten"
    assert "To be forgotten." not in await texts(lab)
    again = await lab.ask(
        "delete_preference", {"preference": told["preference"]["id"], **WHY, "reason": "twice"}, LOU
    )
    assert again["error"] == "PREFERENCE_NOT_FOUND"
    peeked = await lab.ask("undo_change", {"change": gone["_meta"]["change"], **WHY}, LEA)
    nothing = await lab.ask("undo_change", {"change": "chg_999999999", **WHY}, LEA)
    assert peeked["error"] == nothing["error"] == "CHANGE_NOT_FOUND", "an administrator is not its person"
    assert peeked["context"]["hint"] == nothing["context"]["hint"]
    back = await lab.ask("undo_change", {"change": gone["_meta"]["change"], **WHY}, LOU)
    assert back["type"] == "result", back
    assert "To be forgotten." in await texts(lab)


async def test_what_was_learnt_from_a_decision_cannot_be_deleted(lab):
    assert (await lab.ask("delete_preference", {"preference": "draft_1", **WHY}, LOU))["error"] == "INVALID_ID"
    assert (await lab.ask("delete_preference", {"preference": "cust_1", **WHY}, LOU))["error"] == "INVALID_ID"
