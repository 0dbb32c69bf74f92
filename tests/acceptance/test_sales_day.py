"""A day in sales: a meeting, an offer, its acceptance, and what the reports make of it."""

from decimal import Decimal
from typing import Any

import psycopg
import pytest
from workday import Colleague, Workday

from crm_mcp.embedded import Home


@pytest.fixture
def prices_rise(home: Home) -> Any:
    """Let a product cost more, as the owner."""

    def rise(product: str) -> None:
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            conn.execute(
                "select set_config('crm.call_id', '1', true), set_config('crm.org_id', id::text, true)"
                " from crm.orgs where slug = 'demo'"
            )
            conn.execute("alter table crm.changes disable trigger guard")
            conn.execute("update crm.products set unit_price = unit_price * 2 where id = %s", (int(product[5:]),))
            conn.execute("alter table crm.changes enable trigger guard")

    return rise


async def won(sam: Colleague) -> tuple[int, Decimal]:
    """Return how many quotes were won, and what they were worth."""
    rows = (await sam.asks("run_report", report="quotes_won_lost"))["report"]["rows"]
    return next((row["quotes"], Decimal(row["value"])) for row in rows if row["outcome"] == "won")


async def revenue(sam: Colleague) -> tuple[int, Decimal]:
    """Return how many orders there are, and their net revenue."""
    totals = (await sam.asks("run_report", report="revenue_by_month"))["report"]["totals"]
    return totals["orders"], Decimal(totals["revenue"])


async def product(sam: Colleague, query: str) -> dict[str, Any]:
    (found,) = (await sam.asks("search_products", query=query, limit=1))["products"]
    return found


async def test_a_sales_day_from_the_meeting_to_the_accepted_quote(day: Workday, prices_rise: Any) -> None:
    async with day.clients("sam", toolsets="all") as [sam], day.at_the_page("mia") as mia:
        customer = (await sam.asks("search_customers", query="Müller & Söhne"))["customers"][0]["id"]
        before = await sam.asks("get_customer", customer=customer, include=["contacts", "openTasks"])
        assert before["_meta"]["daysSinceLastContact"] > 0

        # what came of the meeting runs at once
        note = "Refurbishing two floors; wants oak, delivered before the fair."
        await sam.does("add_note", about=customer, body=note)
        mine = await sam.does("create_task", title="Send floor plans", about=customer, due_on="2099-03-01")
        theirs = await sam.does(
            "create_task", title="Check delivery date", about=customer, assignee="olga@demo.example"
        )
        assert (mine["task"]["assignee"], theirs["task"]["assignee"]) == ("Sam Sato", "Olga Orlova")
        contact = before["customer"]["contacts"][0]["id"]
        await sam.does(
            "log_activity", about=customer, kind="meeting", subject="Refurbishment", minutes=60, contact=contact
        )
        after = await sam.asks("get_customer", customer=customer, include=["notes", "openTasks", "activity"])
        assert after["_meta"]["daysSinceLastContact"] == 0
        assert after["customer"]["notes"][0]["text"] == note
        assert after["customer"]["activity"][0]["subject"] == "Refurbishment"
        new = {task["title"] for task in after["customer"]["openTasks"]} - {
            task["title"] for task in before["customer"].get("openTasks", [])
        }
        assert new == {"Send floor plans", "Check delivery date"}

        # an offer, held until the manager has read it
        chair, lamp = await product(sam, "office chair"), await product(sam, "floor lamp")
        lines = [
            {"product": chair["id"], "quantity": 4, "discount_percent": 7.5},
            {"product": lamp["id"], "quantity": 3},
        ]
        quotes, orders = await won(sam), await revenue(sam)
        held = await sam.drafts("create_quote_draft", customer=customer, lines=lines, discount_percent=3)
        (read,) = await mia.approves(held)
        assert chair["name"] in read and "Müller & Söhne GmbH" in read
        told = await sam.outcome(held)
        assert (told["state"], told["decidedBy"]) == ("approved", "Mia Moreau")
        (quote,) = (await sam.asks("get_quotes", quote=told["result"]))["quotes"]
        assert quote["status"] == "open" and (await won(sam), await revenue(sam)) == (quotes, orders)

        # the customer accepts, after prices have risen: what was offered holds
        prices_rise(chair["id"])
        held = await sam.drafts("create_order_draft", quote=quote["id"])
        assert (await won(sam), await revenue(sam)) == (quotes, orders)
        await mia.approves(held)
        order = (await sam.asks("get_order", order=(await sam.outcome(held))["result"]))["order"]
        assert order["quote"] == quote["id"] and order["status"] == "confirmed"
        assert order["gross"] == quote["gross"]
        assert [line["unitPrice"] for line in order["lines"]] == [chair["unitPrice"], lamp["unitPrice"]]
        shared = ("product", "quantity", "unitPrice", "discountPercent", "net")
        assert [{k: line[k] for k in shared} for line in order["lines"]] == [
            {k: line[k] for k in shared} for line in quote["lines"]
        ]
        (quote,) = (await sam.asks("get_quotes", quote=quote["id"]))["quotes"]
        assert (quote["status"], quote["order"]) == ("accepted", order["id"])

        for good, units in ((chair, 4), (lamp, 3)):
            now = await product(sam, good["sku"])
            assert (now["inStock"], now["available"]) == (good["inStock"], good["available"] - units)
        net = Decimal(order["net"]["amount"])
        assert await won(sam) == (quotes[0] + 1, quotes[1] + net)
        assert await revenue(sam) == (orders[0] + 1, orders[1] + net)
        again = await sam.is_refused("create_order_draft", quote=quote["id"], reason="they asked again")
        assert again["error"] == "QUOTE_DECIDED"
    assert day.audited() == day.calls
    assert day.problems_of_the_audit() == []


@pytest.mark.parametrize("name", ["sue", "fin"])
async def test_neither_support_nor_finance_makes_offers(day: Workday, name: str) -> None:
    async with day.clients(name, toolsets="all") as [colleague]:
        await colleague.finds_no("create_quote_draft", "create_order_draft", "decline_quote")
        assert (await colleague.asks("get_quotes", limit=1))["quotes"]
    assert day.audited() == day.calls
    assert day.problems_of_the_audit() == []
