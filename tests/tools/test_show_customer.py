"""The page of a customer, as a model is told of it; the page itself is tested in a browser."""

from datetime import timedelta

import pytest
from lab import LEA, LUX, ago, today


async def test_it_says_all_that_the_data_tool_says_and_the_last_twelve_months(lab):
    customer = await lab.customer("Whole", city="Görlitz")
    await lab.order(customer, "100.50", ago(1))
    shown = await lab.ask("show_customer", {"customer": customer})
    include = ["summary", "contacts", "recentOrders", "openIssues", "openTasks", "activity", "notes", "address"]
    known = await lab.ask("get_customer", {"customer": customer, "include": include})
    months = shown["customer"].pop("months")
    assert shown["customer"] == known["customer"]
    assert shown["_display"] == known["_display"]
    assert {k: v for k, v in shown["_meta"].items() if k != "waiting"} == {
        k: v for k, v in known["_meta"].items() if k != "waiting"
    }
    assert len(months) == 12


async def test_months_are_the_orgs_and_hold_what_was_ordered_in_them_and_not_cancelled(lab):
    customer = await lab.customer("Monthly")
    first = today().replace(day=1)
    before = first - timedelta(days=1)
    await lab.order(customer, "10.25", ago(0))
    await lab.order(customer, "99", ago(0), "cancelled")
    await lab.order(customer, "7", ago((today() - before).days + 0.1))
    await lab.order(customer, "5000", ago(500))
    months = (await lab.ask("show_customer", {"customer": customer}))["customer"]["months"]
    assert [one["month"] for one in months[-2:]] == [before.isoformat()[:7], first.isoformat()[:7]]
    assert sum(one["orders"] for one in months) == 2
    assert months[-1]["revenue"] == {"amount": "10.25", "currency": "EUR"}
    assert months[0]["revenue"] == {"amount": "0.00", "currency": "EUR"}


async def test_who_may_not_read_invoices_is_told_nothing_of_them(lab):
    customer = await lab.customer("Owing", credit_limit=1000)
    assert "creditUsed" in (await lab.ask("show_customer", {"customer": customer}, LEA))["_meta"]
    told = await lab.ask("show_customer", {"customer": customer}, LUX)
    assert not {"creditUsed", "hasOverdueInvoices"} & set(told["_meta"])


@pytest.mark.parametrize(("customer", "error"), [("cust_999999999", "CUSTOMER_NOT_FOUND"), ("ord_1", "INVALID_ID")])
async def test_a_customer_that_is_not_there_is_said_so(lab, customer, error):
    assert (await lab.ask("show_customer", {"customer": customer}))["error"] == error
