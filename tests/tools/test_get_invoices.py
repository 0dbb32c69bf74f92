from datetime import timedelta
from decimal import Decimal

import pytest
from lab import LEA, LOU, LUX, today


@pytest.fixture
async def customer(lab):
    return await lab.customer("Owing")


async def rows(lab, **asked):
    told = await lab.ask("get_invoices", asked)
    return told["invoices"], told["_meta"]


async def test_one_shows_lines_payments_and_credit_notes(lab, posting, customer):
    order = await posting.order(customer, (2, "10.00", "2.00"))
    made = await posting.done("create_invoice", order=order)
    paid = await posting.done("record_payment", amount="5", invoices=[{"invoice": made["id"]}])
    note = await posting.done("create_credit_note", invoice=made["id"], gross="6", explanation="scratched")
    (one,), _ = await rows(lab, invoice=made["id"])
    assert (one["gross"]["amount"], one["open"]["amount"], one["status"]) == ("12.00", "1.00", "open")
    assert (one["net"]["amount"], one["paid"]["amount"], one["credited"]["amount"]) == ("10.00", "5.00", "6.00")
    assert one["order"]["id"] == order
    assert [(line["quantity"], line["net"]["amount"]) for line in one["lines"]] == [(2, "10.00")]
    assert [(p["id"], p["amount"]["amount"]) for p in one["payments"]] == [(paid["id"], "5.00")]
    assert [(c["number"], c["gross"]["amount"], c["explanation"]) for c in one["creditNotes"]] == [
        (note["number"], "6.00", "scratched")
    ]
    (same,), _ = await rows(lab, number=made["number"])
    assert same == one
    (listed,), _ = await rows(lab, customer=customer)
    assert "lines" not in listed


async def test_an_invoice_is_of_one_status_and_open_includes_overdue(lab, posting, customer):
    await lab.invoice(customer, today() - timedelta(days=1), "10")
    await lab.invoice(customer, today(), "20")
    await lab.invoice(customer, today() - timedelta(days=50), "30", "30")
    gone = await posting.invoice(customer, "40")
    await posting.done("create_credit_note", invoice=gone, explanation="x")
    found = {}
    for status in ("open", "overdue", "paid", "credited"):
        listed, meta = await rows(lab, customer=customer, status=status)
        found[status] = sorted(row["gross"]["amount"] for row in listed)
        assert meta["total"] == len(listed)
        assert {row["status"] for row in listed} <= {status, "overdue"}
    assert found == {"open": ["10.00", "20.00"], "overdue": ["10.00"], "paid": ["30.00"], "credited": ["40.00"]}
    (late,), _ = await rows(lab, customer=customer, status="overdue")
    assert late["daysOverdue"] == 1


async def test_open_amounts_age_by_currency_in_the_orgs_days(lab, posting, customer):
    for days, gross in (
        (-1, "1"),
        (0, "2"),
        (1, "4"),
        (30, "8"),
        (31, "16"),
        (60, "32"),
        (61, "64"),
        (90, "128"),
        (91, "256"),
    ):
        await lab.invoice(customer, today() - timedelta(days=days), gross)
    await lab.invoice(customer, today() - timedelta(days=5), "512", "500")
    await posting.invoice(customer, "7", currency="JPY")
    _, meta = await rows(lab, customer=customer, limit=1)
    euro, yen = meta["ageing"]
    assert euro == {
        "currency": "EUR", "notDue": "3.00", "1-30": "24.00", "31-60": "48.00", "61-90": "192.00", "over90": "256.00",
    }  # fmt: skip
    assert (yen["currency"], yen["notDue"]) == ("JPY", "7")
    assert meta["totals"][0] == {"currency": "EUR", "invoices": 10, "gross": "1023.00", "open": "523.00"}
    assert meta["total"] == 11 and meta["nextCursor"]


async def test_ranges_of_days_include_both_ends(lab, customer):
    for days in range(5):
        await lab.invoice(customer, today() + timedelta(days=days), str(days + 1))
    first, last = (str(today() + timedelta(days=days)) for days in (1, 3))
    listed, _ = await rows(lab, customer=customer, due_from=first, due_to=last)
    assert [row["dueOn"] for row in listed][::2] == [last, first]
    issued = str(today() + timedelta(days=2) - timedelta(days=30))
    listed, _ = await rows(lab, customer=customer, issued_from=issued, issued_to=issued)
    assert [Decimal(row["gross"]["amount"]) for row in listed] == [3]


async def test_a_walk_with_cursors_has_no_gap_and_no_repeat(lab, customer):
    for _ in range(7):
        await lab.invoice(customer, today(), "1")
    async with lab.connect(LEA) as client:
        seen, asked = [], {"customer": customer, "limit": 3}
        for _ in range(3):
            told = (await client.call_tool("get_invoices", asked)).structured_content
            seen += [row["id"] for row in told["invoices"]]
            asked["cursor"] = told["_meta"].get("nextCursor")
        assert len(seen) == len(set(seen)) == 7 and asked["cursor"] is None


async def test_an_unknown_invoice_is_not_found(lab):
    assert (await lab.ask("get_invoices", {"invoice": "inv_999999999"}))["error"] == "INVOICE_NOT_FOUND"


async def test_sales_sees_invoices_and_makes_none_and_support_sees_nothing_of_finance(lab):
    finance = {
        "get_invoices",
        "get_payments",
        "create_invoice",
        "record_payment",
        "create_credit_note",
        "close_books",
    }
    for email, expected in ((LOU, {"get_invoices", "get_payments"}), (LUX, set()), (LEA, finance)):
        async with lab.connect(email) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} & finance == expected
