import psycopg
import pytest
from lab import LEA, LOU


@pytest.fixture
async def order(lab):
    customer, product = await lab.customer("Orderer"), await lab.product("5", 10)
    return {"customer": customer, "lines": [{"product": product, "quantity": 2}], "reason": "they asked"}


def archive(home, customer):
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        org = conn.execute("select org_id from crm.customers where id = %s", (int(customer[5:]),)).fetchone()[0]
        conn.execute("select set_config('crm.call_id', '1', true), set_config('crm.org_id', %s, true)", (str(org),))
        conn.execute("alter table crm.changes disable trigger guard")
        conn.execute("update crm.customers set archived_at = now() where id = %s", (int(customer[5:]),))
        conn.execute("alter table crm.changes enable trigger guard")


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001, 2**63, 1.5, "two", None])
async def test_a_quantity_that_is_none_is_named(lab, order, quantity):
    told = await lab.ask("create_order_draft", {**order, "lines": [{**order["lines"][0], "quantity": quantity}]})
    assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", "lines.0.quantity")


async def test_an_unknown_argument_is_refused_with_the_nearest(lab, order):
    told = await lab.ask("create_order_draft", {**order, "custmer": "x"})
    assert told["error"] == "INVALID_ARGUMENT" and "Did you mean 'customer'?" in told["context"]["hint"]
    told = await lab.ask("create_order_draft", {**order, "lines": [{**order["lines"][0], "quantiti": 3}]})
    assert "Did you mean 'quantity'?" in told["context"]["hint"]


async def test_a_discontinued_product_is_refused(lab, order):
    old = await lab.product("5", discontinued=True)
    assert (await lab.ask("create_order_draft", {**order, "lines": [{"product": old, "quantity": 1}]}))[
        "error"
    ] == "PRODUCT_DISCONTINUED"


async def test_two_currencies_make_no_order(lab, order):
    foreign = await lab.product("5", currency="USD")
    told = await lab.ask(
        "create_order_draft", {**order, "lines": [*order["lines"], {"product": foreign, "quantity": 1}]}
    )
    assert (told["error"], told["context"]["currencies"]) == ("MIXED_CURRENCIES", ["EUR", "USD"])


@pytest.mark.parametrize("comment", ["x" * 100_000, "a\0b"])
async def test_text_that_cannot_be_kept_is_refused(lab, order, comment):
    told = await lab.ask("create_order_draft", {**order, "comment": comment})
    assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", "comment")


async def test_text_from_right_to_left_is_kept_as_written(lab, order, owner_asks):
    comment = "‏שלום \u202eعالم"
    draft = (await lab.ask("create_order_draft", {**order, "comment": comment}))["draft"]["id"]
    assert owner_asks("select args::jsonb ->> 'comment' from crm.drafts where id = %s", int(draft[6:])) == comment


async def test_the_same_order_twice_waits_once(lab, order):
    first, second = await lab.ask("create_order_draft", order, LOU), await lab.ask("create_order_draft", order, LOU)
    assert first["draft"]["id"] == second["draft"]["id"]
    assert second["draft"]["alreadyWaiting"] is True


async def test_a_customer_archived_meanwhile_makes_the_draft_stale_and_takes_no_other(
    lab, order, home, executor, person
):
    draft = int((await lab.ask("create_order_draft", order, LOU))["draft"]["id"][6:])
    lea = await person(LEA)
    seen = (await executor.show(lea, draft)).hash
    archive(home, order["customer"])
    assert (await executor.approve(lea, draft, seen)).state == "stale"
    told = await lab.ask("create_order_draft", {**order, "comment": "again"}, LOU)
    assert told["error"] == "CUSTOMER_ARCHIVED"
