"""A case in support: a lamp flickers under warranty, is replaced for nothing, and the case is closed."""

from datetime import date
from typing import Any

from workday import Colleague, Workday

NOTHING = {"amount": "0.00", "currency": "EUR"}


async def delivered(sue: Colleague, category: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the latest order whose goods have left, and of it a product of a category that is still sold."""
    sold = (await sue.asks("search_products", query=category, limit=50))["products"]
    known = {p["id"]: p for p in sold if p["category"] == category}
    for row in (await sue.asks("get_orders", status="shipped", limit=100))["orders"]:
        order = (await sue.asks("get_order", order=row["id"]))["order"]
        for line in order["lines"]:
            if line["product"] in known:
                return order, known[line["product"]]
    raise AssertionError(f"nothing of {category} was shipped lately")


async def test_a_support_case_from_the_complaint_to_the_replacement(day: Workday) -> None:
    async with day.clients("sue", "olga") as [sue, olga], day.at_the_page("ada") as ada:
        order, lamp = await delivered(sue, "Lighting")
        customer = order["customer"]["id"]
        held = await sue.drafts(
            "create_issue",
            customer=customer,
            title="Lamp flickers",
            type="warranty",
            priority="high",
            order=order["id"],
            product=lamp["id"],
            assignee="me",
        )
        await ada.approves(held)
        opened = await sue.outcome(held)
        told = await sue.asks("get_issues", issue=opened["result"])
        (issue,), clock = told["issues"], told["_meta"]
        assert (issue["status"], issue["assignee"], issue["order"]["id"]) == ("open", "Sue Sullivan", order["id"])
        assert issue["openedAt"] < issue["respondBy"] < issue["resolveBy"]
        assert date.fromisoformat(issue["warrantyUntil"]) > date.fromisoformat(order["shippedAt"][:10])
        assert clock["slaState"] == "ok" and clock["hoursLeft"] > 0 and clock["underWarranty"] is True
        assert any(action.startswith("Repair or replace: under warranty") for action in clock["suggestedNextActions"])
        open_issues = (await sue.asks("get_customer", customer=customer))["customer"]["openIssues"]
        assert issue["id"] in {one["id"] for one in open_issues}

        # operations replaces it, for nothing; anything else would be sold at its price
        goods = [{"product": lamp["id"], "quantity": 1}]
        held = await olga.drafts("create_order_draft", customer=customer, lines=goods, issue=issue["id"])
        assert "replacement under warranty" in held["summary"]
        (before,) = (await olga.asks("search_products", query=lamp["sku"], limit=1))["products"]
        await ada.approves(held)
        new = (await olga.asks("get_order", order=(await olga.outcome(held))["result"]))["order"]
        assert [new["net"], new["tax"], new["gross"]] == [NOTHING] * 3
        assert (new["issue"], new["status"], new["customer"]["id"]) == (issue["id"], "confirmed", customer)
        assert [(line["product"], line["quantity"]) for line in new["lines"]] == [(lamp["id"], 1)]
        (after,) = (await olga.asks("search_products", query=lamp["sku"], limit=1))["products"]
        assert (after["inStock"], after["available"]) == (before["inStock"], before["available"] - 1)
        (other,) = (await olga.asks("search_products", query="filing cabinet", limit=1))["products"]
        no = await olga.is_refused(
            "create_order_draft",
            customer=customer,
            lines=[{"product": other["id"], "quantity": 1}],
            issue=issue["id"],
            reason="they would like that too",
        )
        assert no["error"] == "NOT_UNDER_WARRANTY"

        said = f"A new lamp is on its way with {new['number']}."
        held = await sue.drafts("update_issue", issue=issue["id"], status="resolved", resolution=said)
        (still,) = (await sue.asks("get_issues", issue=issue["id"]))["issues"]
        assert still["status"] == "open"
        await ada.approves(held)
        told = await sue.asks("get_issues", issue=issue["id"])
        (resolved,) = told["issues"]
        assert (resolved["status"], resolved["resolution"]) == ("resolved", said)
        assert issue["openedAt"] < resolved["respondedAt"] <= resolved["resolvedAt"] <= resolved["resolveBy"]
        assert told["_meta"]["slaState"] == "ok"
    assert day.audited() == day.calls
    assert day.problems_of_the_audit() == []


async def test_finance_sees_nothing_of_issues(day: Workday) -> None:
    ((issue, customer),) = day.asked(
        "select 'iss_' || i.id, 'cust_' || i.customer_id from crm.issues i join crm.orgs o on o.id = i.org_id"
        " where o.slug = 'demo' and i.status = 'open' order by i.id limit 1"
    )
    async with day.clients("fin", toolsets="all") as [fin]:
        await fin.finds_no("get_issues", "create_issue", "update_issue")
        shown = await fin.asks("get_customer", customer=customer, include=["summary", "openIssues"])
        assert "openIssues" not in {*shown["customer"], *shown["_meta"]}
        answers = [
            await fin.is_refused("add_note", about=one, body="seen", reason="to remember")
            for one in (issue, "iss_99999999")
        ]
        assert [a["context"].pop("searchedId") for a in answers] == [issue, "iss_99999999"]
        assert answers[0] == answers[1]
        assert answers[0]["error"] == "ISSUE_NOT_FOUND"
    assert day.audited() == day.calls
    assert day.problems_of_the_audit() == []
