"""The page on the session's home, browsers that are signed in, and drafts to decide."""

import itertools
from decimal import Decimal

import psycopg
import pytest

from authenticator import Authenticator
from browser import ORIGIN, Browser, Keyed
from crm_mcp.approvals.links import make_login_link
from crm_mcp.approvals.web import build_page
from stated_policy import state_policy

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
async def reminders(connect, owner_asks, change):
    """Three e-mails that Fin asked for."""
    change("update crm.drafts set state = 'discarded' where state = 'pending' and tool = 'send_email_draft'")
    found = owner_asks(
        "select jsonb_agg('cust_' || id order by id) from (select c.id from crm.customers c join crm.orgs o on o.id = c.org_id"
        " and o.slug = 'demo' where c.email is not null and c.archived_at is null order by c.id limit 3) x"
    )
    made = []
    async with connect("fin@demo.example") as client:
        for n, customer in enumerate(found):
            asked = {"to": [customer], "subject": f"Reminder {n}", "body": f"Please pay {n}.", "reason": "overdue"}
            answer = await client.call_tool("send_email_draft", asked)
            made.append(answer.structured_content["draft"]["id"])
    return made


@pytest.fixture
def state(owner_asks):
    return lambda draft: owner_asks("select state from crm.drafts where id = %s", int(draft.removeprefix("draft_")))


@pytest.fixture
def rule(home):
    """Change what the org's policy document says, and its solo mode, for the length of a test."""
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as conn:
        org, was_solo = conn.execute("select id, solo from crm.orgs where slug = 'demo'").fetchone()

        def change(*, solo=False, **said):
            conn.execute("update crm.orgs set solo = %s where id = %s", (solo, org))
            state_policy(conn, org, said)

        yield change
        conn.execute("update crm.orgs set solo = %s where id = %s", (was_solo, org))
        state_policy(conn, org, None)


@pytest.fixture
async def keyed(page, link, home):
    """Make a browser with an authenticator, signed in by a link and with its passkey added, unless told otherwise."""
    opened = []

    async def make(email="mia@demo.example", *, key=None, adds=True):
        browser = Keyed(page, ORIGIN, key or Authenticator())
        opened.append(browser)
        if email is not None:
            assert (await browser.use(await link(email))).status_code == 303
        if email is not None and adds:
            assert (await browser.enrol()).headers.get("location") == "/passkeys?done=added"
        return browser

    yield make
    for browser in opened:
        await browser.client.aclose()
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("update crm.passkeys set revoked_at = now() where revoked_at is null")
