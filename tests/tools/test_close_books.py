"""Closes the lab's books, and opens them again for the tests of others."""

from datetime import timedelta

import pytest
from lab import today

OLD = today() - timedelta(days=400)


@pytest.fixture
async def customer(lab):
    return await lab.customer("Closed")


@pytest.fixture
def opened(posting):
    """Leave the lab's books as they were: never closed."""
    yield
    import psycopg

    with psycopg.connect(posting._home.conninfo("postgres")) as conn:
        conn.execute("set local session_replication_role = replica")
        conn.execute("delete from crm.org_settings s using crm.orgs o where o.id = s.org_id and o.slug = 'lab'")


async def test_closing_is_held_makes_the_settings_and_is_refused_for_a_day_to_come(posting, lab, opened):
    told = await posting.refused("close_books", through=str(today() + timedelta(days=1)))
    assert told["error"] == "FUTURE_DAY"
    draft = await posting.held("close_books", through=str(OLD))
    mine = "from crm.org_settings s join crm.orgs o on o.id = s.org_id where o.slug = 'lab'"
    assert posting.one(f"select count(*) {mine}") == (0,)
    await posting.approve(draft)
    closed = f"select books_closed_through, payment_terms_days {mine}"
    assert posting.one(closed) == (OLD, 30)
    made = await posting.done("close_books", through=str(OLD + timedelta(days=1)))
    assert made["before"] == str(OLD)
    same = await lab.ask("close_books", {"through": str(OLD + timedelta(days=1)), "reason": "again"})
    assert same["type"] == "result" and "as they are" in same["summary"]


async def test_going_back_is_said_and_a_closing_meanwhile_makes_it_stale(posting, lab, opened):
    await posting.done("close_books", through=str(OLD))
    back = {"through": str(OLD - timedelta(days=9)), "reason": "an invoice was forgotten"}
    told = await lab.ask("close_books", back)
    assert f"reopen the books after {OLD - timedelta(days=9)}" in told["summary"] and told["warnings"]
    draft = int(told["draft"]["id"][6:])
    seen = (await posting.show(draft)).hash
    await posting.done("close_books", through=str(OLD + timedelta(days=1)))
    assert (await posting.approve(draft, seen)).state == "stale"


async def test_nothing_is_posted_into_closed_books_and_what_waits_is_stale(posting, customer, opened):
    order = await posting.order(customer, (1, "10", "0"))
    invoice = await posting.invoice(customer, "50")
    yesterday = str(today() - timedelta(days=1))
    waiting = await posting.held("record_payment", amount="5", invoices=[{"invoice": invoice}], received_on=yesterday)
    seen = (await posting.show(waiting)).hash
    await posting.done("close_books", through=yesterday)
    for tool, asked in (
        ("create_invoice", {"order": order, "issued_on": yesterday}),
        ("record_payment", {"amount": "5", "invoices": [{"invoice": invoice}], "received_on": yesterday}),
        ("create_credit_note", {"invoice": invoice, "explanation": "x", "issued_on": yesterday}),
    ):
        told = await posting.refused(tool, **asked)
        assert (told["error"], told["closedThrough"]) == ("BOOKS_CLOSED", yesterday)
    stale = await posting.approve(waiting, seen)
    assert (stale.state, stale.reason[:12]) == ("stale", "BOOKS_CLOSED")
    # An invoice of closed days is still paid and credited on an open one.
    await posting.done("record_payment", amount="5", invoices=[{"invoice": invoice}])
    assert posting.totals(invoice)[2] == 45
