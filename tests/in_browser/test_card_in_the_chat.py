"""The card in a real browser, through the host side of MCP Apps, on a real server over stdio."""

import itertools

import pytest

_TURN = itertools.count(1)
CUSTOMER = """select 'cust_' || c.id from crm.customers c join crm.orgs o on o.id = c.org_id and o.slug = 'demo'
 where c.name = 'Müller & Söhne GmbH' limit 1"""
PRODUCTS = """select jsonb_agg('prod_' || p.id order by p.id) from (select p.id from crm.products p join crm.orgs o on o.id = p.org_id
 and o.slug = 'demo' where not p.discontinued and p.currency = 'EUR' order by p.id limit 3) p"""


@pytest.fixture
def order(owner_asks):
    def make(**more):
        products = owner_asks(PRODUCTS)
        lines = [{"product": product, "quantity": at + 2} for at, product in enumerate(products)]
        turn = f"card-{next(_TURN)}"
        return {
            "customer": owner_asks(CUSTOMER),
            "lines": lines,
            "reason": "They asked for it on the phone.",
            "idempotency_key": turn,
            **more,
        }

    return make


def test_a_held_order_is_shown_with_what_it_would_do(chat, order):
    told = chat.show("create_order_draft", order(confidence=0.9))
    draft = told["structuredContent"]["draft"]["id"]
    chat.sees("What it would be")
    said = chat.text()
    print(said)
    assert draft in said and "It would create an order of" in said
    assert chat.network()["problems"] == []
