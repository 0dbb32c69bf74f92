from datetime import timedelta
from functools import partial

import pytest
from lab import LEA, LOU, LUX, ago, today
from sale import approved


@pytest.fixture
def do(lab, executor, person):
    return partial(approved, lab, executor, person)


async def test_an_order_is_found_by_id_and_by_number(lab, do):
    customer, product = await lab.customer("Numbered"), await lab.product("7", 9)
    made = await do("create_order_draft", {"customer": customer, "lines": [{"product": product, "quantity": 3}]})
    by_id = (await lab.ask("get_order", {"order": made["record"]["id"]}))["order"]
    by_number = (await lab.ask("get_order", {"order": by_id["number"]}))["order"]
    assert by_id == by_number
    assert by_id["lines"][0] | {"net": None} == {
        "product": product,
        "description": "Thing",
        "quantity": 3,
        "unitPrice": {"amount": "7.00", "currency": "EUR"},
        "discountPercent": "0",
        "taxPercent": "0",
        "net": None,
    }
    assert by_id["salesperson"] == "Lou Lind"


@pytest.mark.parametrize("order", ["ord_999999999", "ORD-99999", "’; drop table", "‮ORD"])
async def test_an_order_that_is_not_there_is_said_so(lab, order):
    assert (await lab.ask("get_order", {"order": order}))["error"] == "ORDER_NOT_FOUND"


async def test_an_id_of_another_kind_is_named(lab):
    assert (await lab.ask("get_order", {"order": "cust_1"}))["error"] == "INVALID_ID"


async def test_another_orgs_order_is_not_there(lab, owner_asks):
    other = owner_asks(
        "select 'ord_' || min(o.id) from crm.orders o join crm.orgs g on g.id = o.org_id where g.slug = 'demo'"
    )
    assert (await lab.ask("get_order", {"order": other}))["error"] == "ORDER_NOT_FOUND"


@pytest.mark.parametrize(("days", "is_late"), [(7.5, False), (8.1, True)])
async def test_a_confirmed_order_is_late_after_seven_days(lab, days, is_late):
    order = await lab.order(await lab.customer("Waiting"), "10", ago(days), "confirmed")
    told = await lab.ask("get_order", {"order": order})
    assert (told["_meta"]["isLate"], told["_meta"]["daysOpen"]) == (is_late, int(days))


async def test_what_is_short_of_stock_is_named_until_it_is_there(lab, do):
    customer, product = await lab.customer("Short"), await lab.product("7", 2)
    made = await do("create_order_draft", {"customer": customer, "lines": [{"product": product, "quantity": 3}]})
    told = await lab.ask("get_order", {"order": made["record"]["id"]})
    assert told["_meta"]["shortOfStock"] == [{"product": product, "missing": 1}]
    assert told["_meta"]["suggestedNextActions"] == ["Order more of what is short of stock"]
    from crm_mcp.crm.models import StockMovement

    await lab.add(StockMovement, {"product_id": int(product[5:]), "quantity": 1, "kind": "receipt"})
    told = await lab.ask("get_order", {"order": made["record"]["id"]})
    assert "shortOfStock" not in told["_meta"]
    assert told["_meta"]["suggestedNextActions"] == ["Ship it: everything is in stock"]


@pytest.mark.parametrize(
    ("invoiced", "paid", "state"),
    [
        (None, "0", "none"),
        ("60", "0", "partly"),
        ("100", "0", "invoiced"),
        ("100", "40", "invoiced"),
        ("100", "100", "paid"),
    ],
)
async def test_how_far_an_order_is_invoiced(lab, invoiced, paid, state):
    customer = await lab.customer("Billed")
    order = await lab.order(customer, "100", ago(3), "shipped")
    if invoiced:
        await lab.invoice(customer, today() + timedelta(days=9), invoiced, paid, order=order)
    told = await lab.ask("get_order", {"order": order})
    assert told["_meta"]["invoiceState"] == state
    assert ("Invoice it" in told["_meta"]["suggestedNextActions"]) is (state in ("none", "partly"))


async def test_support_sees_no_invoices_of_an_order(lab):
    customer = await lab.customer("Hidden")
    order = await lab.order(customer, "100", ago(3), "shipped")
    await lab.invoice(customer, today() - timedelta(days=9), "100", order=order)
    told = await lab.ask("get_order", {"order": order, "include": ["invoices", "lines"]}, LUX)
    assert "invoices" not in told["order"] and "invoiceState" not in told["_meta"]
    assert "nvoice" not in str(told["_meta"])
    assert (await lab.ask("get_order", {"order": order}, LOU))["order"]["invoices"][0]["open"]["amount"] == "100.00"
    assert LEA
