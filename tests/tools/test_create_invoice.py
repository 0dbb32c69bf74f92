import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import today

from crm_mcp.crm.invoices import share


@pytest.fixture
async def customer(lab):
    return await lab.customer("Billed")


async def test_a_whole_order_is_invoiced_as_it_was_sold(posting, customer):
    order = await posting.order(customer, (3, "10.00", "1.90"), (2, "5.00", "0.35"))
    made = await posting.done("create_invoice", order=order)
    assert (made["net"]["amount"], made["tax"]["amount"], made["gross"]["amount"]) == ("15.00", "2.25", "17.25")
    assert [line["quantity"] for line in made["lines"]] == [3, 2]
    number, base = posting.one("select number, base_total from crm.invoices where id = %s", int(made["id"][4:]))
    assert number.startswith("INV-") and base == Decimal("17.25")


async def test_it_is_held_and_its_number_is_drawn_at_approval(posting, customer):
    order = await posting.order(customer, (1, "10.00", "0"))
    draft = await posting.held("create_invoice", order=order)
    shown = (await posting.show(draft)).shown
    assert (shown["record"]["id"], shown["record"]["number"]) == ("(new invoice)", "(drawn at approval)")
    assert posting.one("select count(*) from crm.invoices where order_id = %s", int(order[4:])) == (0,)


async def test_dates_are_the_orgs_day_and_the_customers_terms_before_the_orgs(posting, lab):
    plain, quick = await lab.customer("Plain"), await lab.customer("Quick", payment_terms_days=7)
    for who, days in ((plain, 30), (quick, 7)):
        made = await posting.done("create_invoice", order=await posting.order(who, (1, "10", "0")))
        assert made["issuedOn"] == today().isoformat()
        assert made["dueOn"] == (today() + timedelta(days=days)).isoformat()
    order = await posting.order(plain, (1, "10", "0"))
    told = await posting.refused("create_invoice", order=order, due_on=str(today() - timedelta(days=1)))
    assert told["error"] == "DUE_BEFORE_ISSUED"
    told = await posting.refused("create_invoice", order=order, issued_on=str(today() + timedelta(days=1)))
    assert told["error"] == "FUTURE_DAY"


async def test_partial_invoices_sum_to_the_order_to_the_cent(posting, customer):
    order = await posting.order(customer, (3, "10.00", "1.90"), (7, "0.99", "0.19"))
    first = await posting.done("create_invoice", order=order, lines=[{"position": 1, "quantity": 1}])
    assert (first["net"]["amount"], first["tax"]["amount"]) == ("3.33", "0.63")
    await posting.done(
        "create_invoice", order=order, lines=[{"position": 2, "quantity": 3}, {"position": 1, "quantity": 1}]
    )
    rest = await posting.done("create_invoice", order=order)
    assert [line["quantity"] for line in rest["lines"]] == [1, 4]
    sums = posting.one(
        "select sum(net_total), sum(tax_total), sum(gross_total) from crm.invoices where order_id = %s",
        int(order[4:]),
    )
    assert sums == (Decimal("10.99"), Decimal("2.09"), Decimal("13.08"))


@settings(max_examples=200, deadline=None, database=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_shares_sum_to_the_whole_and_none_is_below_zero(cents, parts):
    whole, before, taken = Decimal(cents).scaleb(-2), 0, Decimal(0)
    for part in parts:
        one = share(whole, sum(parts), before, taken, part, "EUR")
        assert one >= 0
        before, taken = before + part, taken + one
    assert taken == whole


async def test_what_is_invoiced_is_not_invoiced_again(posting, customer):
    order = await posting.order(customer, (3, "10.00", "0"))
    made = await posting.done("create_invoice", order=order, lines=[{"position": 1, "quantity": 2}])
    told = await posting.refused("create_invoice", order=order, lines=[{"position": 1, "quantity": 2}])
    assert (told["error"], told["left"]) == ("MORE_THAN_LEFT", 1)
    last = await posting.done("create_invoice", order=order)
    told = await posting.refused("create_invoice", order=order)
    assert told["error"] == "ORDER_INVOICED"
    assert [i["id"] for i in told["invoices"]] == [made["id"], last["id"]]
    assert last["number"] in told["hint"]


async def test_an_invoice_credited_in_full_frees_its_order(posting, customer):
    order = await posting.order(customer, (3, "10.00", "1.90"))
    made = await posting.done("create_invoice", order=order)
    await posting.done("create_credit_note", invoice=made["id"], explanation="wrong address")
    draft = await posting.held("create_invoice", order=order)
    assert any("credited in full" in warning for warning in (await posting.show(draft)).warnings)
    assert (await posting.approve(draft)).state == "approved"


async def test_an_invoice_without_lines_counts_for_the_whole_or_leaves_the_rest_unknown(posting, lab, customer):
    from crm_mcp.crm.models import Invoice

    for gross, error in (("10", "ORDER_INVOICED"), ("4", "LINES_UNKNOWN")):
        order = await posting.order(customer, (2, "10", "0"))
        about = {"customer_id": int(customer[5:]), "order_id": int(order[4:]), "currency": "EUR", "number": order}
        money = {"net_total": Decimal(gross), "tax_total": Decimal(0), "gross_total": Decimal(gross)}
        await lab.add(Invoice, {**about, **money, "issued_on": today(), "due_on": today()})
        assert (await posting.refused("create_invoice", order=order))["error"] == error


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ([{"position": 9}], "LINE_NOT_FOUND"),
        ([{"position": 1}, {"position": 1}], "DUPLICATE_LINE"),
        ([{"position": 1, "quantity": 4}], "MORE_THAN_LEFT"),
        ([{"position": 1, "quantity": 0}], "INVALID_ARGUMENT"),
    ],
)
async def test_lines_that_are_none_are_refused(posting, customer, lines, error):
    order = await posting.order(customer, (3, "10.00", "0"))
    assert (await posting.refused("create_invoice", order=order, lines=lines))["error"] == error


async def test_a_cancelled_or_free_order_is_not_invoiced(posting, customer):
    cancelled = await posting.order(customer, (1, "10", "0"), status="cancelled")
    assert (await posting.refused("create_invoice", order=cancelled))["error"] == "ORDER_CANCELLED"
    free = await posting.order(customer, (1, "0", "0"))
    assert (await posting.refused("create_invoice", order=free))["error"] == "NOTHING_TO_INVOICE"
    assert (await posting.refused("create_invoice", order="ord_999999999"))["error"] == "ORDER_NOT_FOUND"


async def test_who_approves_is_warned_of_goods_not_shipped_and_of_the_credit_limit(posting, lab):
    customer = await lab.customer("Limited", credit_limit=Decimal(100))
    await posting.invoice(customer, "60")
    order = await posting.order(customer, (1, "50", "0"))
    told = await lab.ask("create_invoice", {"order": order, "reason": "a test asks"})
    assert any("has not shipped" in warning for warning in told["warnings"])
    assert any("would owe EUR 110.00, over the credit limit of EUR 100.00" in w for w in told["warnings"])


async def test_two_invoices_of_one_order_at_the_same_time_are_one(posting, customer):
    order = await posting.order(customer, (2, "10", "0"))
    drafts = [await posting.held("create_invoice", order=order, idempotency_key=key) for key in "ab"]
    seen = [(await posting.show(draft)).hash for draft in drafts]
    outcomes = await asyncio.gather(*(posting.approve(d, s) for d, s in zip(drafts, seen, strict=True)))
    assert sorted(outcome.state for outcome in outcomes) == ["approved", "stale"]
    assert posting.one("select count(*) from crm.invoices where order_id = %s", int(order[4:])) == (1,)


async def test_numbers_have_no_gaps_whatever_becomes_of_the_drafts(posting, customer):
    orders = [await posting.order(customer, (1, "10", "0")) for _ in range(4)]
    made = [await posting.done("create_invoice", order=orders[0])]
    rejected = await posting.held("create_invoice", order=orders[1])
    await posting.show(rejected)
    await posting.reject(rejected)
    late = await posting.held("create_invoice", order=orders[2], idempotency_key="late")
    seen = (await posting.show(late)).hash
    made.append(await posting.done("create_invoice", order=orders[2], idempotency_key="first"))
    assert (await posting.approve(late, seen)).state == "stale"
    await posting.refused("create_invoice", order=orders[2])
    made.append(await posting.done("create_invoice", order=orders[3]))
    made.append(await posting.done("create_invoice", order=orders[1]))
    numbers = [int(one["number"].removeprefix("INV-")) for one in made]
    assert numbers == list(range(numbers[0], numbers[0] + 4))
