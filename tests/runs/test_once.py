"""A call that a run makes again after an interruption is made once, whatever a person decided meanwhile."""

import pytest

PRODUCTS = "select 'prod_' || min(p.id) from crm.products p join crm.orgs o on o.id = p.org_id and o.slug = 'demo' where not p.discontinued"


@pytest.fixture
def order(owner_asks):
    customer = owner_asks(
        "select 'cust_' || min(c.id) from crm.customers c join crm.orgs o on o.id = c.org_id and o.slug = 'demo'"
    )
    lines = [{"product": owner_asks(PRODUCTS), "quantity": 1}]
    return {"customer": customer, "lines": lines, "reason": "they asked"}


@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_a_held_call_that_was_decided_meanwhile_is_not_held_a_second_time(
    connect, executor, person, owner_asks, order, decision
):
    asked = {**order, "idempotency_key": f"run-9-{decision}"}
    mia = await person("mia@demo.example")
    async with connect() as client:
        held = (await client.call_tool("create_order_draft", asked)).structured_content
        again = (await client.call_tool("create_order_draft", asked)).structured_content
        assert "draft" in again, again
        assert again["draft"]["id"] == held["draft"]["id"] and again["draft"]["alreadyWaiting"]
        draft = int(held["draft"]["id"].removeprefix("draft_"))
        shown = await executor.show(mia, draft)
        if decision == "approve":
            await executor.approve(mia, draft, shown.hash)
        else:
            await executor.reject(mia, draft, "Not now.")
        drafts = owner_asks("select count(*) from crm.drafts")
        late = await client.call_tool("create_order_draft", asked)
        assert late.is_error and late.structured_content["error"] == "ALREADY_DECIDED"
        assert late.structured_content["context"]["draft"] == held["draft"]["id"]
        assert owner_asks("select count(*) from crm.drafts") == drafts
        anew = (
            await client.call_tool("create_order_draft", {**asked, "idempotency_key": f"new-{decision}"})
        ).structured_content
        assert anew["type"] == "approval_required" and anew["draft"]["id"] != held["draft"]["id"]
        await client.call_tool("discard_draft", {"draft": anew["draft"]["id"], "reason": "only a test"})
