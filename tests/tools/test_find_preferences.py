import json

from lab import LEA, LOU, NIA
from test_save_preference import save


async def test_words_find_what_is_near_and_kinds_narrow(lab):
    await save(lab, "Sort invoices by due date.", NIA)
    await save(lab, "Chose flat-rate shipping for small orders.", NIA, kind="decision")
    found = await lab.ask("find_preferences", {"query": "flat rate shiping"}, NIA)
    assert [one["text"] for one in found["preferences"]] == ["Chose flat-rate shipping for small orders."]
    found = await lab.ask("find_preferences", {"kind": "preference"}, NIA)
    assert [one["kind"] for one in found["preferences"]] == ["preference"]
    assert (await lab.ask("find_preferences", {"query": "xyzzy"}, NIA))["preferences"] == []


async def test_a_rejection_with_its_reason_is_known_as_a_correction(lab, executor, person):
    customer = await lab.customer("Corrected")
    product = await lab.product("10", 5)
    asked = {"customer": customer, "lines": [{"product": product, "quantity": 1}], "reason": "they asked"}
    held = await lab.ask("create_order_draft", asked, LOU)
    await executor.reject(await person(LEA), int(held["draft"]["id"][6:]), "Ask for the delivery date first.")
    found = await lab.ask("find_preferences", {"kind": "correction"}, LOU)
    (one,) = [one for one in found["preferences"] if one["id"] == held["draft"]["id"]]
    assert one["text"] == "create_order_draft was rejected: Ask for the delivery date first."
    assert one["by"] == "Lea Lang"
    others = await lab.ask("find_preferences", {"kind": "correction"}, NIA)
    assert held["draft"]["id"] not in json.dumps(others)


async def test_an_undo_because_it_was_wrong_is_known_as_a_correction(lab, executor, person):
    customer = await lab.customer("Undone after all")
    update = [{"proposed_action": "update", "entity_type": "customers", "id": customer, "data": {"city": "Bern"}}]
    held = await lab.ask("propose_changes", {"changes": update, "reason": "they asked"}, LOU)
    lea, nia = await person(LEA), await person(NIA)
    draft = int(held["draft"]["id"][6:])
    assert (await executor.approve(lea, draft, (await executor.show(lea, draft)).hash)).state == "approved"
    because = "This was wrong because they moved to Basel."
    back = await lab.ask("undo_change", {"change": held["draft"]["id"], "reason": because}, LEA)
    undo = int(back["draft"]["id"][6:])
    mine = (await lab.ask("find_preferences", {"query": "moved to Basel"}, LOU))["preferences"]
    assert mine == [], "nothing is undone yet"
    assert (await executor.approve(nia, undo, (await executor.show(nia, undo)).hash)).state == "approved"
    (one,) = (await lab.ask("find_preferences", {"query": "moved to Basel"}, LOU))["preferences"]
    assert one["text"] == f"propose_changes was undone: {because}" and one["by"] == "Lea Lang"
    assert (one["id"], one["kind"], one["source"]) == (held["draft"]["id"], "correction", "approver")
    assert (await lab.ask("find_preferences", {"query": "moved to Basel"}, NIA))["preferences"] == []


async def test_an_edit_by_an_approver_is_known_as_a_correction(lab, executor, person):
    customer, product = await lab.customer("Edited first"), await lab.product("10", 5)
    asked = {"customer": customer, "lines": [{"product": product, "quantity": 1}], "reason": "they asked"}
    held = await lab.ask("create_order_draft", asked, LOU)
    lea, draft = await person(LEA), int(held["draft"]["id"][6:])
    seen = await executor.show(lea, draft)
    lines = [{"product": product, "quantity": 2}]
    why = "They always take two."
    await executor.edit(lea, draft, seen.draft["version"], {"lines": lines}, why)
    nia = await person(NIA)
    assert (await executor.approve(nia, draft, (await executor.show(nia, draft)).hash)).state == "approved"
    (one,) = (await lab.ask("find_preferences", {"query": "always take two"}, LOU))["preferences"]
    assert one["text"] == f"create_order_draft was edited before it was approved: {why}"


async def test_hostile_words_find_nothing_and_break_nothing(lab):
    for query in ("' or 1=1 --", "%", "\\", "​", "a" * 200):
        assert "preferences" in await lab.ask("find_preferences", {"query": query}, NIA)
