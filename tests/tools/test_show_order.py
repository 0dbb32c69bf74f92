"""The page of an order, as a model is told of it; the page itself is tested in a browser."""

from functools import partial

import pytest
from lab import LEA, LUX
from sale import approved


@pytest.fixture
def do(lab, executor, person):
    return partial(approved, lab, executor, person)


@pytest.fixture
async def ordered(lab, do):
    customer, product = await lab.customer("Shown", street="Lane 1"), await lab.product("7.50", 9)
    made = await do("create_order_draft", {"customer": customer, "lines": [{"product": product, "quantity": 4}]})
    return made["record"]["id"]


async def test_it_says_all_that_the_data_tool_says_and_what_is_paid(lab, ordered):
    shown = await lab.ask("show_order", {"order": ordered})
    include = ["lines", "invoices", "issues", "notes", "activity", "customer"]
    known = await lab.ask("get_order", {"order": ordered, "include": include})
    nothing, all_of_it = {"amount": "0.00", "currency": "EUR"}, {"amount": "30.00", "currency": "EUR"}
    assert shown["order"].pop("balance") == {"paid": nothing, "open": nothing, "toInvoice": all_of_it}
    assert shown["order"] == known["order"] and shown["_display"] == known["_display"]


async def test_the_balance_follows_invoice_and_payment(lab, do, ordered):
    invoice = await do("create_invoice", {"order": ordered}, LEA)
    settled = [{"invoice": invoice["record"]["id"], "amount": "12.50"}]
    await do("record_payment", {"amount": "12.50", "invoices": settled}, LEA)
    balance = (await lab.ask("show_order", {"order": ordered}))["order"]["balance"]
    assert {name: sum["amount"] for name, sum in balance.items()} == {
        "paid": "12.50",
        "open": "17.50",
        "toInvoice": "0.00",
    }


async def test_who_may_not_read_invoices_is_told_nothing_of_them(lab, ordered):
    told = await lab.ask("show_order", {"order": ordered}, LUX)
    assert not {"balance", "invoices"} & set(told["order"]) and "invoiceState" not in told["_meta"]


@pytest.mark.parametrize(("order", "error"), [("ord_999999999", "ORDER_NOT_FOUND"), ("cust_1", "INVALID_ID")])
async def test_an_order_that_is_not_there_is_said_so(lab, order, error):
    assert (await lab.ask("show_order", {"order": order}))["error"] == error
