import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from lab import today


@pytest.fixture
async def customer(lab):
    return await lab.customer("Payer")


async def test_the_oldest_due_is_paid_first_and_the_rest_stays_on_account(posting, customer):
    late = await posting.invoice(customer, "50", due_on=str(today() + timedelta(days=20)))
    early = await posting.invoice(customer, "40", due_on=str(today() + timedelta(days=10)))
    other = await posting.invoice(customer, "70", currency="USD")
    draft = await posting.held("record_payment", customer=customer, amount="60", currency="EUR", reference="RF18")
    shown = (await posting.show(draft)).shown
    assert [(a["invoice"], a["amount"]["amount"]) for a in shown["record"]["allocated"]] == [
        (early, "40.00"),
        (late, "20.00"),
    ]
    await posting.approve(draft)
    assert posting.totals(early)[:3] == (40, 0, 0)
    assert posting.totals(late)[:3] == (20, 0, 30)
    made = await posting.done("record_payment", customer=customer, amount="100.00", currency="EUR")
    assert made["onAccount"]["amount"] == "70.00"
    assert posting.totals(late)[2] == 0
    assert posting.totals(other)[:3] == (0, 0, 70)


async def test_an_overpayment_is_said(posting, lab, customer):
    await posting.invoice(customer, "10")
    asked = {"customer": customer, "amount": "15", "currency": "EUR", "reason": "a test asks"}
    told = await lab.ask("record_payment", asked)
    assert told["summary"].endswith("; EUR 5.00 stays on account.")


async def test_invoices_given_take_their_amounts_and_name_the_customer_and_the_currency(posting, customer):
    first, second = await posting.invoice(customer, "50"), await posting.invoice(customer, "40")
    made = await posting.done(
        "record_payment", amount="70", invoices=[{"invoice": second}, {"invoice": first, "amount": "12.34"}]
    )
    assert (made["customer"]["id"], made["amount"]["currency"]) == (customer, "EUR")
    assert made["onAccount"]["amount"] == "17.66"
    assert posting.totals(first) == (Decimal("12.34"), 0, Decimal("37.66"), Decimal("12.34"))
    assert posting.totals(second) == (40, 0, 0, 40)


async def test_what_is_left_of_an_earlier_payment_is_allocated(posting, lab, customer):
    made = await posting.done("record_payment", customer=customer, amount="30", currency="EUR")
    assert (await posting.refused("record_payment", payment=made["id"]))["error"] == "NOTHING_OPEN"
    first = await posting.invoice(customer, "20")
    again = await posting.done("record_payment", payment=made["id"])
    assert (again["id"], again["onAccount"]["amount"]) == (made["id"], "10.00")
    second = await posting.invoice(customer, "20")
    await posting.done("record_payment", payment=made["id"], invoices=[{"invoice": second, "amount": "4"}])
    await posting.done("record_payment", payment=made["id"], invoices=[{"invoice": second, "amount": "6"}])
    assert posting.totals(first) == (20, 0, 0, 20)
    assert posting.totals(second) == (10, 0, 10, 10)
    assert (await posting.refused("record_payment", payment=made["id"]))["error"] == "NOTHING_ON_ACCOUNT"
    told = await posting.refused("record_payment", payment=made["id"], amount="5")
    assert (told["error"], told["argument"]) == ("INVALID_ARGUMENT", "amount")


async def test_what_cannot_be_is_refused(posting, lab, customer):
    mine, theirs = await posting.invoice(customer, "50"), await posting.invoice(await lab.customer("Else"), "50")
    dollars = await posting.invoice(customer, "50", currency="USD")
    paid = await posting.invoice(customer, "5")
    await posting.done("record_payment", amount="5", invoices=[{"invoice": paid}])
    for asked, error in (
        ({"amount": "60", "invoices": [{"invoice": mine, "amount": "51"}]}, "MORE_THAN_OPEN"),
        ({"amount": "60", "invoices": [{"invoice": paid}]}, "NOTHING_OPEN"),
        ({"amount": "10", "invoices": [{"invoice": mine, "amount": "11"}]}, "MORE_THAN_RECEIVED"),
        ({"amount": "50", "invoices": [{"invoice": mine}, {"invoice": dollars}]}, "OTHER_CURRENCY"),
        ({"amount": "50", "invoices": [{"invoice": mine}, {"invoice": theirs}]}, "OTHER_CUSTOMER"),
        ({"amount": "50", "customer": customer, "invoices": [{"invoice": theirs}]}, "OTHER_CUSTOMER"),
        ({"amount": "50", "invoices": [{"invoice": mine}, {"invoice": mine}]}, "DUPLICATE_INVOICE"),
        ({"amount": "50", "currency": "USD", "invoices": [{"invoice": mine}]}, "OTHER_CURRENCY"),
        ({"amount": "50", "invoices": [{"invoice": "inv_999999999"}]}, "INVOICE_NOT_FOUND"),
        ({"amount": "50", "currency": "EUR", "customer": "cust_999999999"}, "CUSTOMER_NOT_FOUND"),
        ({"amount": "1.001", "currency": "EUR", "customer": customer}, "TOO_FINE"),
        ({"amount": "0", "currency": "EUR", "customer": customer}, "INVALID_ARGUMENT"),
        ({"amount": "10", "customer": customer}, "INVALID_ARGUMENT"),
        ({"amount": "10", "currency": "EUR"}, "INVALID_ARGUMENT"),
        ({"currency": "EUR", "customer": customer}, "INVALID_ARGUMENT"),
        ({"payment": "pay_999999999"}, "PAYMENT_NOT_FOUND"),
        (
            {"amount": "9", "currency": "EUR", "customer": customer, "received_on": str(today() + timedelta(days=1))},
            "FUTURE_DAY",
        ),
    ):
        assert (await posting.refused("record_payment", **asked))["error"] == error, asked
    assert posting.totals(mine) == (0, 0, 50, 0)


async def test_nothing_is_allocated_of_a_payment_taken_back(posting, lab, customer):
    from datetime import UTC, datetime

    from crm_mcp.crm.models import Payment

    row = {"customer_id": int(customer[5:]), "currency": "EUR", "amount": Decimal(10), "received_on": today()}
    (number,) = await lab.add(Payment, {**row, "allocated_total": Decimal(0), "archived_at": datetime.now(UTC)})
    await posting.invoice(customer, "20")
    assert (await posting.refused("record_payment", payment=f"pay_{number}"))["error"] == "PAYMENT_ARCHIVED"


async def test_who_approves_is_warned_that_the_same_was_recorded_already(posting, lab, customer):
    asked = {"customer": customer, "amount": "33", "currency": "EUR", "reference": "RF1", "reason": "a test asks"}
    assert "warnings" not in await lab.ask("record_payment", {**asked, "idempotency_key": "0"})
    yesterday = str(today() - timedelta(days=1))
    await posting.done("record_payment", **{**asked, "received_on": yesterday})
    assert "recorded already" in (await lab.ask("record_payment", asked))["warnings"][0]
    same_day = {**asked, "reference": "RF2", "received_on": yesterday}
    assert "recorded already" in (await lab.ask("record_payment", same_day))["warnings"][0]
    assert "warnings" not in await lab.ask("record_payment", {**asked, "reference": "RF2"})


async def test_who_approves_is_warned_that_the_open_invoices_have_another_currency(posting, lab, customer):
    await posting.invoice(customer, "50", currency="USD")
    asked = {"customer": customer, "amount": "10", "currency": "EUR", "reason": "a test asks"}
    assert "but in USD" in (await lab.ask("record_payment", asked))["warnings"][0]


async def test_of_two_payments_of_one_invoice_the_second_is_stale(posting, customer):
    invoice = await posting.invoice(customer, "100")
    for at_once in (False, True):
        drafts = [
            await posting.held("record_payment", amount=amount, invoices=[{"invoice": invoice, "amount": "30"}])
            for amount in ("30", "31")
        ]
        seen = [(await posting.show(draft)).hash for draft in drafts]
        pairs = list(zip(drafts, seen, strict=True))
        if at_once:
            outcomes = await asyncio.gather(*(posting.approve(*pair) for pair in pairs))
        else:
            outcomes = [await posting.approve(*pair) for pair in pairs]
        assert sorted(outcome.state for outcome in outcomes) == ["approved", "stale"]
    assert posting.totals(invoice) == (60, 0, 40, 60)


async def test_one_payment_is_not_spent_twice_at_the_same_time(posting, customer):
    made = await posting.done("record_payment", customer=customer, amount="50", currency="EUR")
    invoices = [await posting.invoice(customer, "50") for _ in range(2)]
    drafts = [
        await posting.held("record_payment", payment=made["id"], invoices=[{"invoice": invoice}])
        for invoice in invoices
    ]
    seen = [(await posting.show(draft)).hash for draft in drafts]
    outcomes = await asyncio.gather(*(posting.approve(d, s) for d, s in zip(drafts, seen, strict=True)))
    assert sorted(outcome.state for outcome in outcomes) == ["approved", "stale"]
    assert sum(posting.totals(invoice)[0] for invoice in invoices) == 50
    number = int(made["id"][4:])
    assert posting.one("select amount, allocated_total from crm.payments where id = %s", number) == (50, 50)
