"""The page on the session's home, browsers that are signed in, and drafts to decide."""

import itertools
from decimal import Decimal

import psycopg
import pytest

from browser import ORIGIN, Browser
from crm_mcp.approvals.links import make_login_link
from crm_mcp.approvals.web import build_page

_TURN = itertools.count(1)
_CHEAPEST = """select 'prod_' || p.id, p.unit_price from crm.products p join crm.orgs o on o.id = p.org_id and o.slug = 'demo'
 where not p.discontinued and p.currency = 'EUR' order by p.unit_price limit 1"""
_CUSTOMER = """select 'cust_' || c.id from crm.customers c join crm.orgs o on o.id = c.org_id and o.slug = 'demo'
 where c.name = 'Müller & Söhne GmbH' limit 1"""


@pytest.fixture
def page(approver):
    return build_page(approver, origin=ORIGIN)


@pytest.fixture
async def browsers(page):
    """Make browsers, all closed at the end."""
    opened = []

    def make(app=page, origin=ORIGIN):
        opened.append(Browser(app, origin))
        return opened[-1]

    yield make
    for browser in opened:
        await browser.client.aclose()


@pytest.fixture
def link(approver):
    async def make(email="mia@demo.example", **more):
        return await make_login_link(approver, email, None, ORIGIN, **more)

    return make


@pytest.fixture
def signed_in(browsers, link):
    async def sign_in(email="mia@demo.example"):
        browser = browsers()
        answer = await browser.use(await link(email))
        assert answer.status_code == 303
        return browser

    return sign_in


@pytest.fixture
def change(home):
    """Run a statement as the owner, past the guard: the world moves on while a draft waits."""

    def run(statement, *params):
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            conn.execute(
                "select set_config('crm.call_id', '1', true), set_config('crm.org_id', id::text, true)"
                " from crm.orgs where slug = 'demo'"
            )
            conn.execute("alter table crm.changes disable trigger guard")
            conn.execute(statement, params)
            conn.execute("alter table crm.changes enable trigger guard")

    return run


@pytest.fixture
def drafted(connect, home):
    """Have an order drafted; `worth` is its least net amount."""

    async def make(email="sam@demo.example", *, quantity=1, worth=None, **more):
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            product, price = conn.execute(_CHEAPEST).fetchone()
            (customer,) = conn.execute(_CUSTOMER).fetchone()
        if worth is not None:
            quantity = int(Decimal(worth) / price) + 1
        arguments = {
            "customer": customer,
            "lines": [{"product": product, "quantity": quantity}],
            "reason": "they asked",
            "idempotency_key": f"page-{next(_TURN)}",
            **more,
        }
        async with connect(email) as client:
            result = await client.call_tool("create_order_draft", arguments)
        assert not result.is_error, result
        return result.structured_content["draft"]["id"]

    return make


@pytest.fixture
def state(owner_asks):
    return lambda draft: owner_asks("select state from crm.drafts where id = %s", int(draft.removeprefix("draft_")))
