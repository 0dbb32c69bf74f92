from datetime import timedelta
from functools import partial

import pytest
from lab import LEA, LOU, LUX, today
from sale import approved, decide

BECAUSE = {"reason": "done by mistake"}


@pytest.fixture
def do(lab, executor, person):
    return partial(approved, lab, executor, person)


@pytest.fixture
async def customer(lab):
    return await lab.customer("Undone")


async def undo(lab, change, by=LOU):
    return await lab.ask("undo_change", {"change": change, **BECAUSE}, by)


async def test_a_note_that_ran_at_once_is_taken_back_at_once(lab, customer):
    made = await lab.ask("add_note", {"about": customer, "body": "Wrong one", **BECAUSE}, LOU)
    told = await undo(lab, made["_meta"]["change"])
    assert told["type"] == "result" and told["undone"]["records"] == [{"id": made["note"]["id"], "what": "archived"}]
    seen = await lab.ask("get_customer", {"customer": customer, "include": ["notes"]})
    assert seen["customer"]["notes"] == []
    again = await undo(lab, made["_meta"]["change"])
    assert (again["error"], again["context"]["fields"]) == ("CHANGED_SINCE", ["archived_at"])


async def test_a_completed_task_is_open_again(lab, customer, owner_asks):
    task = (await lab.ask("create_task", {"title": "Call", "about": customer, **BECAUSE}, LOU))["task"]["id"]
    done = await lab.ask("complete_task", {"task": task, "outcome": "Called", **BECAUSE}, LOU)
    assert (await undo(lab, done["_meta"]["change"]))["type"] == "result"
    row = owner_asks("select row(status, completed_at, outcome)::text from crm.tasks where id = %s", int(task[5:]))
    assert row == "(open,,)"


@pytest.fixture
async def order(lab, do, customer):
    product = await lab.product("100", 10)
    made = await do("create_order_draft", {"customer": customer, "lines": [{"product": product, "quantity": 2}]})
    return made["record"]["id"], product


async def drafted(lab, executor, person, tool, arguments):
    held = await lab.ask(tool, {**arguments, **BECAUSE}, LOU)
    assert (await decide(executor, await person(LEA), held)).state == "approved"
    return held["draft"]["id"]


STOCK = """select (select sum(quantity) from crm.stock_movements where product_id = %(p)s) || '/' ||
 coalesce((select sum(quantity) from crm.stock_reservations where product_id = %(p)s and released_at is null), 0)"""


def stock(home, product):
    import psycopg

    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        return conn.execute(STOCK, {"p": int(product[5:])}).fetchone()[0]


@pytest.mark.parametrize(
    ("change", "between"),
    [
        ({"status": "shipped"}, "8/0"),
        ({"status": "cancelled", "cancel_reason": "oops"}, "10/0"),
        ({"lines": [{"quantity": 5}]}, "10/5"),
        ({"discount_percent": 50}, "10/2"),
    ],
    ids=["shipped", "cancelled", "more of it", "a discount"],
)
async def test_a_change_of_an_order_is_undone_once_a_person_approves(
    lab, executor, person, home, order, owner_asks, change, between
):
    number, product = order
    if "lines" in change:
        change = {"lines": [{"product": product, "quantity": 5}]}
    was = owner_asks(STATE, int(number[4:]))
    draft = await drafted(lab, executor, person, "update_order", {"order": number, **change})
    assert stock(home, product) == between
    held = await undo(lab, draft)
    assert held["type"] == "approval_required" and stock(home, product) == between
    assert (await decide(executor, await person(LEA), held)).state == "approved"
    assert stock(home, product) == "10/2"
    assert owner_asks(STATE, int(number[4:])) == was


STATE = """select row(o.status, o.shipped_at, o.cancelled_at, o.cancel_reason, o.net_total, o.gross_total, o.base_total, o.discount_percent,
 (select array_agg((l.quantity, l.net_amount, l.tax_amount) order by l.position) from crm.order_lines l where l.order_id = o.id))::text
 from crm.orders o where o.id = %s"""


async def test_what_moved_since_is_named_and_nothing_is_undone(lab, executor, person, order):
    number, product = order
    first = await drafted(
        lab, executor, person, "update_order", {"order": number, "lines": [{"product": product, "quantity": 3}]}
    )
    await drafted(
        lab, executor, person, "update_order", {"order": number, "lines": [{"product": product, "quantity": 4}]}
    )
    told = await undo(lab, first)
    assert told["error"] == "CHANGED_SINCE"
    assert told["context"]["fields"]


async def test_an_undo_that_waits_goes_stale_when_the_record_moves(lab, executor, person, order):
    number, _ = order
    draft = await drafted(lab, executor, person, "update_order", {"order": number, "comment": "first"})
    held = await undo(lab, draft)
    await drafted(lab, executor, person, "update_order", {"order": number, "comment": "second"})
    assert (await decide(executor, await person(LEA), held)).state == "stale"


async def test_a_document_with_a_number_stays_and_the_remedy_is_named(lab, executor, person, customer):
    product = await lab.product("100", 10)
    asked = {"customer": customer, "lines": [{"product": product, "quantity": 1}]}
    for tool, remedy in (("create_order_draft", "update_order"), ("create_quote_draft", "decline_quote")):
        draft = await drafted(lab, executor, person, tool, asked)
        told = await undo(lab, draft)
        assert told["error"] == "NOT_UNDOABLE" and remedy in told["context"]["hint"]


async def test_a_payment_is_taken_back_with_what_it_paid_and_no_other(lab, executor, person, customer, owner_asks):
    async def pay(amount):
        asked = {"customer": customer, "amount": amount, "currency": "EUR", **BECAUSE}
        held = await lab.ask("record_payment", asked, LEA)
        assert (await decide(executor, await person(LEA), held)).state == "approved"
        return held["draft"]["id"]

    await lab.invoice(customer, today() + timedelta(days=9), "100")
    first = await pay("30")
    await pay("20")
    paid = "select paid_total from crm.invoices where customer_id = %s"
    assert owner_asks(paid, int(customer[5:])) == 50
    held = await undo(lab, first, LEA)
    assert (await decide(executor, await person(LEA), held)).state == "approved", held
    assert owner_asks(paid, int(customer[5:])) == 20
    told = await lab.ask("get_payments", {"customer": customer})
    assert [p["amount"]["amount"] for p in told["payments"]] == ["20.00"]


async def test_what_another_did_is_not_there_but_for_an_administrator(lab, customer, owner_asks):
    made = await lab.ask("add_note", {"about": customer, "body": "Mine", **BECAUSE}, LOU)
    change = made["_meta"]["change"]
    assert (await undo(lab, change, LUX))["error"] == "CHANGE_NOT_FOUND"
    other = owner_asks(
        "select 'chg_' || min(c.id) from crm.changes c join crm.orgs o on o.id = c.org_id where o.slug = 'demo'"
    )
    missing = await undo(lab, "chg_999999999", LEA)
    theirs = await undo(lab, other, LEA)
    assert missing["error"] == theirs["error"] == "CHANGE_NOT_FOUND"
    assert (await undo(lab, change, LEA))["type"] == "result"


@pytest.mark.parametrize("change", ["cust_1", "chg_0", "draft_", "chg_1; drop table crm.notes", "‮chg_1"])
async def test_what_is_no_change_is_refused(lab, change):
    assert (await undo(lab, change))["error"] == "INVALID_ID"
