import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from lab import today

WHY = {"explanation": "returned"}


@pytest.fixture
async def customer(lab):
    return await lab.customer("Credited")


@pytest.fixture
async def invoice(posting, customer):
    order = await posting.order(customer, (3, "10.00", "1.90"), (2, "50.00", "9.50"))
    return (await posting.done("create_invoice", order=order))["id"]


async def test_a_whole_credit_takes_back_all_that_is_open(posting, invoice):
    made = await posting.done("create_credit_note", invoice=invoice, **WHY)
    assert (made["net"]["amount"], made["tax"]["amount"], made["gross"]["amount"]) == ("60.00", "11.40", "71.40")
    assert (made["invoiceOpen"]["amount"], made["onAccount"], made["toRefund"]["amount"]) == ("0.00", [], "0.00")
    assert made["number"].startswith("CN-")
    assert posting.totals(invoice) == (0, Decimal("71.40"), 0, 0)
    told = await posting.refused("create_credit_note", invoice=invoice, **WHY)
    assert told["error"] == "INVOICE_CREDITED"


async def test_units_of_lines_are_credited_to_the_cent_and_no_unit_twice(posting, invoice):
    taxes = []
    for _ in range(3):
        made = await posting.done(
            "create_credit_note", invoice=invoice, lines=[{"position": 1, "quantity": 1}], **WHY
        )
        taxes.append((Decimal(made["net"]["amount"]), Decimal(made["tax"]["amount"])))
    assert (sum(net for net, _ in taxes), sum(tax for _, tax in taxes)) == (Decimal("10.00"), Decimal("1.90"))
    told = await posting.refused("create_credit_note", invoice=invoice, lines=[{"position": 1}], **WHY)
    assert (told["error"], told["left"]) == ("MORE_THAN_LEFT", 0)
    rest = await posting.done("create_credit_note", invoice=invoice, **WHY)
    assert (rest["net"]["amount"], rest["tax"]["amount"]) == ("50.00", "9.50")


async def test_a_gross_amount_is_credited_with_its_tax_pro_rata(posting, invoice):
    made = await posting.done("create_credit_note", invoice=invoice, gross="23.80", **WHY)
    assert (made["net"]["amount"], made["tax"]["amount"]) == ("20.00", "3.80")
    told = await posting.refused("create_credit_note", invoice=invoice, gross="47.61", **WHY)
    assert (told["error"], told["left"]["amount"]) == ("MORE_THAN_LEFT", "47.60")
    assert posting.totals(invoice)[1:3] == (Decimal("23.80"), Decimal("47.60"))
    for gross in ("0.01", "0.02", "13.33"):
        await posting.done("create_credit_note", invoice=invoice, gross=gross, **WHY)
    await posting.done("create_credit_note", invoice=invoice, **WHY)
    sums = posting.one(
        "select sum(net_total), sum(tax_total) from crm.credit_notes where invoice_id = %s", int(invoice[4:])
    )
    assert sums == (Decimal("60.00"), Decimal("11.40"))


async def test_what_is_open_is_credited_first_then_payments_get_theirs_back_on_account(posting, lab, invoice):
    first = await posting.done("record_payment", amount="20", invoices=[{"invoice": invoice}])
    second = await posting.done("record_payment", amount="30", invoices=[{"invoice": invoice}])
    made = await posting.done("create_credit_note", invoice=invoice, gross="21.40", **WHY)
    assert made["onAccount"] == []
    asked = {"invoice": invoice, "gross": "40.00", "reason": "a test asks", **WHY}
    assert (
        f"EUR 30.00 of {second['id']} goes back on account" in (await lab.ask("create_credit_note", asked))["summary"]
    )
    made = await posting.done("create_credit_note", **asked)
    assert [(b["payment"], b["amount"]["amount"]) for b in made["onAccount"]] == [
        (second["id"], "30.00"),
        (first["id"], "10.00"),
    ]
    assert made["toRefund"]["amount"] == "0.00"
    assert posting.totals(invoice) == (10, Decimal("61.40"), 0, 10)
    left = posting.one("select amount, allocated_total from crm.payments where id = %s", int(second["id"][4:]))
    assert left == (30, 0)


async def test_what_was_paid_without_a_payment_on_record_is_to_be_refunded(posting, lab, customer):
    await lab.invoice(customer, today() + timedelta(days=10), "100", "80")
    (number,) = posting.one("select id from crm.invoices where customer_id = %s", int(customer[5:]))
    invoice = f"inv_{number}"
    made = await posting.done("create_credit_note", invoice=invoice, gross="50", **WHY)
    assert (made["toRefund"]["amount"], made["invoiceOpen"]["amount"]) == ("30.00", "-30.00")
    made = await posting.done("create_credit_note", invoice=invoice, gross="5", **WHY)
    assert (made["toRefund"]["amount"], made["invoiceOpen"]["amount"]) == ("5.00", "-35.00")
    told = await posting.refused("create_credit_note", invoice=invoice, lines=[{"position": 1}], **WHY)
    assert told["error"] == "LINES_UNKNOWN"


async def test_what_cannot_be_is_refused(posting, invoice):
    for asked, error in (
        ({"lines": [{"position": 1}], "gross": "1"}, "INVALID_ARGUMENT"),
        ({"lines": [{"position": 5}]}, "LINE_NOT_FOUND"),
        ({"lines": [{"position": 1, "quantity": 4}]}, "MORE_THAN_LEFT"),
        ({"lines": [{"position": 1}, {"position": 1}]}, "DUPLICATE_LINE"),
        ({"gross": "1.001"}, "TOO_FINE"),
        ({"gross": "-1"}, "INVALID_ARGUMENT"),
        ({"issued_on": str(today() - timedelta(days=1))}, "BEFORE_INVOICE"),
        ({"issued_on": str(today() + timedelta(days=1))}, "FUTURE_DAY"),
    ):
        told = await posting.refused("create_credit_note", invoice=invoice, **WHY, **asked)
        assert told["error"] == error, asked
    told = await posting.refused("create_credit_note", invoice="inv_999999999", **WHY)
    assert told["error"] == "INVOICE_NOT_FOUND"
    assert posting.totals(invoice)[1] == 0


async def test_a_credit_and_a_payment_at_the_same_time_do_not_both_take_what_is_open(posting, invoice):
    drafts = [
        await posting.held("create_credit_note", invoice=invoice, **WHY),
        await posting.held("record_payment", amount="71.40", invoices=[{"invoice": invoice}]),
    ]
    seen = [(await posting.show(draft)).hash for draft in drafts]
    outcomes = await asyncio.gather(*(posting.approve(d, s) for d, s in zip(drafts, seen, strict=True)))
    assert sorted(outcome.state for outcome in outcomes) == ["approved", "stale"]
    paid, credited, left, allocated = posting.totals(invoice)
    assert (paid + credited, left) == (Decimal("71.40"), 0) and allocated == paid
