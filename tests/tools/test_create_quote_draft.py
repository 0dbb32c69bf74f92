from datetime import timedelta
from functools import partial

import pytest
from lab import LEA, LOU, today
from sale import approved, decide

from crm_mcp.crm.models import TaxRate


@pytest.fixture
def do(lab, executor, person):
    return partial(approved, lab, executor, person)


@pytest.fixture
async def asked(lab):
    customer, product = await lab.customer("Quoted"), await lab.product("50", 100, tax="10")
    return {"customer": customer, "lines": [{"product": product, "quantity": 4, "discount_percent": "5"}]}


async def test_a_quote_is_numbered_when_it_is_approved_and_keeps_nothing_from_stock(do, lab, asked, owner_asks):
    made = (await do("create_quote_draft", asked))["record"]
    number = owner_asks("select number from crm.quotes where id = %s", int(made["id"][4:]))
    assert number.startswith("QUO-")
    assert made["gross"] == {"amount": "209.00", "currency": "EUR"}
    assert made["validUntil"] == (today() + timedelta(days=30)).isoformat()
    told = await lab.ask("get_quotes", {"quote": made["id"]})
    assert told["quotes"][0]["status"] == "open" and told["quotes"][0]["lines"][0]["quantity"] == 4
    product = int(asked["lines"][0]["product"][5:])
    assert owner_asks("select count(*) from crm.stock_reservations where product_id = %s", product) == 0


async def test_an_accepted_quote_becomes_an_order_at_its_prices(do, lab, asked, owner_asks):
    quote = (await do("create_quote_draft", {**asked, "discount_percent": 10}))["record"]
    await lab.set_price(asked["lines"][0]["product"], "9999")
    order = (await do("create_order_draft", {"quote": quote["id"]}))["record"]
    assert order["gross"] == quote["gross"] and order["quote"] == quote["id"] and order["discountPercent"] == "10"
    (told,) = (await lab.ask("get_quotes", {"quote": quote["id"]}))["quotes"]
    assert (told["status"], told["order"]) == ("accepted", order["id"])
    again = await lab.ask("create_order_draft", {"quote": quote["id"], "reason": "a test"}, LOU)
    assert (again["error"], again["context"]["status"]) == ("QUOTE_DECIDED", "accepted")


async def test_of_two_orders_drafted_from_one_quote_one_comes_true(do, lab, asked, executor, person):
    quote = (await do("create_quote_draft", asked))["record"]["id"]
    first = await lab.ask("create_order_draft", {"quote": quote, "reason": "a test"}, LOU)
    second = await lab.ask("create_order_draft", {"quote": quote, "reason": "a test"}, LEA)
    lea = await person(LEA)
    assert [(await decide(executor, lea, held)).state for held in (first, second)] == ["approved", "stale"]


async def test_a_quote_holds_through_its_last_day_and_no_longer(do, lab, asked, home):
    quote = (await do("create_quote_draft", {**asked, "valid_until": today().isoformat()}))["record"]["id"]
    assert (await lab.ask("create_order_draft", {"quote": quote, "reason": "a test"}, LOU))[
        "type"
    ] == "approval_required"
    await lab.set("quotes", quote, "valid_until", today() - timedelta(days=1))
    told = await lab.ask("create_order_draft", {"quote": quote, "reason": "a test"}, LOU)
    assert told["error"] == "QUOTE_EXPIRED"
    assert (await lab.ask("get_quotes", {"quote": quote}))["quotes"][0]["status"] == "expired"


async def test_a_quote_that_ended_before_it_began_is_refused(lab, asked):
    yesterday = (today() - timedelta(days=1)).isoformat()
    told = await lab.ask("create_quote_draft", {**asked, "valid_until": yesterday, "reason": "a test"}, LOU)
    assert told["error"] == "VALID_UNTIL_PAST"


async def test_a_quote_and_lines_together_are_refused(do, lab, asked):
    told = await lab.ask("create_order_draft", {**asked, "quote": "quo_1", "reason": "a test"}, LOU)
    assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", "quote")
    told = await lab.ask("create_order_draft", {"customer": asked["customer"], "reason": "a test"}, LOU)
    assert told["context"]["argument"] == "lines"


async def test_tax_follows_the_customers_zone(lab):
    await lab.add(
        TaxRate,
        {"zone": "export", "tax_class": "standard", "rate": 0, "valid_from": today() - timedelta(days=9)},
        {"zone": "export", "tax_class": "standard", "rate": 7, "valid_from": today() + timedelta(days=1)},
    )
    abroad, product = await lab.customer("Abroad", tax_zone="export"), await lab.product("100", 5, tax="19")
    lines = [{"product": product, "quantity": 1}]
    home_price = await lab.ask("calculate_pricing", {"lines": lines})
    away_price = await lab.ask("calculate_pricing", {"lines": lines, "customer": abroad})
    assert [t["pricing"]["tax"]["amount"] for t in (home_price, away_price)] == ["19.00", "0.00"]
    held = await lab.ask("create_quote_draft", {"customer": abroad, "lines": lines, "reason": "a test"}, LOU)
    assert "EUR 100.00 gross" in held["summary"]


async def test_a_zone_without_a_rate_is_refused(lab):
    abroad, product = await lab.customer("Nowhere", tax_zone="atlantis"), await lab.product("100", 5, tax="19")
    asked = {"customer": abroad, "lines": [{"product": product, "quantity": 1}]}
    told = await lab.ask("create_quote_draft", {**asked, "reason": "a test"}, LOU)
    assert (told["error"], told["context"]["product"]) == ("TAX_RATE_UNKNOWN", product)


async def test_the_seller_is_warned_of_overdue_invoices_and_of_the_credit_limit(lab, asked):
    await lab.set("customers", asked["customer"], "credit_limit", "300")
    for due in (-1, -40):
        await lab.invoice(asked["customer"], today() + timedelta(days=due), "60")
    await lab.invoice(asked["customer"], today(), "10")
    told = await lab.ask("create_order_draft", {**asked, "reason": "a test"}, LOU)
    assert told["warnings"] == [
        "Quoted has 2 overdue invoices, EUR 120.00 open.",
        "Quoted would owe EUR 339.00, over the credit limit of EUR 300.00.",
    ]


async def test_the_credit_limit_may_be_reached_and_not_passed(lab, asked):
    await lab.set("customers", asked["customer"], "credit_limit", "209")
    assert "warnings" not in await lab.ask("create_order_draft", {**asked, "reason": "a test"}, LOU)
    await lab.set("customers", asked["customer"], "credit_limit", "208.99")
    assert (await lab.ask("create_order_draft", {**asked, "reason": "another"}, LOU))["warnings"]


async def test_a_warning_that_goes_while_it_waits_does_not_make_the_draft_stale_but_must_be_seen(
    lab, asked, executor, person
):
    held = await lab.ask("create_order_draft", {**asked, "reason": "a test"}, LOU)
    lea, draft = await person(LEA), int(held["draft"]["id"][6:])
    shown = await executor.show(lea, draft)
    assert shown.warnings == []
    await lab.invoice(asked["customer"], today() - timedelta(days=3), "60")
    from crm_mcp.errors import Refusal

    with pytest.raises(Refusal, match="CHANGED_SINCE_SHOWN"):
        await executor.approve(lea, draft, shown.hash)
    again = await executor.show(lea, draft)
    assert again.warnings and (await executor.approve(lea, draft, again.hash)).state == "approved"
