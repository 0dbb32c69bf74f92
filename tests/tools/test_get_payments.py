from datetime import timedelta

import pytest
from lab import LEA, today


@pytest.fixture
async def customer(lab):
    return await lab.customer("Paying")


async def rows(lab, **asked):
    told = await lab.ask("get_payments", asked)
    return told["payments"], told["_meta"]


async def test_a_payment_shows_what_it_paid_and_what_is_on_account(lab, posting, customer):
    invoice = await posting.invoice(customer, "40")
    made = await posting.done(
        "record_payment", customer=customer, amount="50", currency="EUR", reference="RF18", method="cash"
    )
    yen = await posting.done("record_payment", customer=customer, amount="900", currency="JPY")
    listed, meta = await rows(lab, customer=customer)
    assert [row["id"] for row in listed] == [yen["id"], made["id"]]
    assert meta["totals"] == [
        {"currency": "EUR", "payments": 1, "received": "50.00", "onAccount": "10.00"},
        {"currency": "JPY", "payments": 1, "received": "900", "onAccount": "900"},
    ]
    (one,), _ = await rows(lab, invoice=invoice)
    assert (one["method"], one["reference"], one["onAccount"]["amount"]) == ("cash", "RF18", "10.00")
    assert [(a["invoice"], a["amount"]["amount"]) for a in one["allocated"]] == [(invoice, "40.00")]
    assert (await rows(lab, payment=made["id"]))[0] == [one]
    assert (await lab.ask("get_payments", {"payment": "pay_999999999"}))["error"] == "PAYMENT_NOT_FOUND"


async def test_days_include_both_ends_and_on_account_narrows(lab, posting, customer):
    invoice = await posting.invoice(customer, "10")
    days = [str(today() - timedelta(days=n)) for n in range(3)]
    for day in days:
        await posting.done("record_payment", customer=customer, amount="5", currency="EUR", received_on=day)
    listed, _ = await rows(lab, customer=customer, received_from=days[1], received_to=days[1])
    assert [row["receivedOn"] for row in listed] == [days[1]]
    assert (await rows(lab, invoice=invoice))[1]["total"] == 2
    listed, meta = await rows(lab, customer=customer, on_account=True)
    assert [row["onAccount"]["amount"] for row in listed] == ["5.00"] and meta["total"] == 1


async def test_a_payment_taken_back_shows_only_by_its_id(lab, customer):
    from datetime import UTC, datetime
    from decimal import Decimal

    from crm_mcp.crm.models import Payment

    row = {"customer_id": int(customer[5:]), "currency": "EUR", "amount": Decimal(10), "received_on": today()}
    (number,) = await lab.add(Payment, {**row, "allocated_total": Decimal(0), "archived_at": datetime.now(UTC)})
    assert (await rows(lab, customer=customer))[0] == []
    (one,), _ = await rows(lab, payment=f"pay_{number}")
    assert one["archivedAt"]


async def test_a_walk_with_cursors_has_no_gap_and_no_repeat(lab, posting, customer):
    for _ in range(5):
        await posting.done("record_payment", customer=customer, amount="5", currency="EUR", idempotency_key=str(_))
    async with lab.connect(LEA) as client:
        seen, asked = [], {"customer": customer, "limit": 2}
        for _ in range(3):
            told = (await client.call_tool("get_payments", asked)).structured_content
            seen += [row["id"] for row in told["payments"]]
            asked["cursor"] = told["_meta"].get("nextCursor")
        assert len(seen) == len(set(seen)) == 5 and asked["cursor"] is None
