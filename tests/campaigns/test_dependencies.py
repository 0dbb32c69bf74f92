"""Between what an approver was shown and the click, something that it rests on changes: nothing is written unseen."""

import uuid
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
import pytest
from campaign_drafts import APPROVER, SELLER
from mcp import Client

from crm_mcp import auth
from crm_mcp.app import App
from crm_mcp.app import Client as Served
from crm_mcp.approvals import held as held_calls
from crm_mcp.approvals.executor import Executor
from crm_mcp.catalog import Catalog
from crm_mcp.db import Database
from crm_mcp.errors import refusal_for
from crm_mcp.principal import Agent
from crm_mcp.server import build_server

WRITTEN = ("orders", "order_lines", "stock_reservations", "invoices", "invoice_lines", "quotes", "payments")


class World(NamedTuple):
    """Records of this campaign's own, by number."""

    org: int
    product: int
    foreign: int
    customer: int
    seller: int
    approver: int


class Past:
    """The world moves on past every guard, and back again."""

    def __init__(self, home: Any) -> None:
        self.conn = psycopg.connect(home.conninfo("postgres", "crm"), autocommit=True)
        self.conn.execute("set session_replication_role = replica")

    def do(self, statement: str, **values: Any) -> Any:
        cursor = self.conn.execute(statement, values)
        return cursor.fetchone() if cursor.description else None


@pytest.fixture(scope="module")
def past(home) -> Generator[Past]:
    made = Past(home)
    yield made
    made.conn.close()


@pytest.fixture
def world(past, desk) -> World:
    mark = uuid.uuid4().hex[:8]
    add = "insert into crm.products(org_id, sku, name, unit_price, currency, tax_rate) values (%(org)s, %(sku)s, 'Lamp', 10, %(currency)s, 19) returning id"
    (product,) = past.do(add, org=desk.org, sku=mark, currency="EUR")
    (foreign,) = past.do(add, org=desk.org, sku=f"{mark}x", currency="CHF")
    (customer,) = past.do(
        "insert into crm.customers(org_id, name, payment_terms_days) values (%(org)s, %(name)s, 14) returning id",
        org=desk.org,
        name=f"Lantern {mark}",
    )
    for one in (product, foreign):
        past.do(
            "insert into crm.stock_movements(org_id, product_id, quantity, kind) values (%(org)s, %(one)s, 100, 'opening')",
            org=desk.org,
            one=one,
        )
    past.do(
        "insert into crm.exchange_rates(org_id, currency, valid_from, rate) values (%(org)s, 'CHF', '2020-01-01', 1.05)"
        " on conflict (org_id, currency, valid_from) do update set rate = 1.05",
        org=desk.org,
    )
    people = dict(desk.owner.execute("select email, id from crm.users").fetchall())
    return World(desk.org, product, foreign, customer, people[SELLER], people[APPROVER])


class Case(NamedTuple):
    """What changes, how it changes back, and what is drafted."""

    change: str
    back: str = ""
    kind: str = "order"


PRODUCT = "update crm.products set {} where org_id = %(org)s and id = %(product)s"
CUSTOMER = "update crm.customers set {} where org_id = %(org)s and id = %(customer)s"
SELLERS_ROLE = "update crm.memberships set {} where org_id = %(org)s and user_id = %(seller)s"
APPROVERS = "update crm.memberships set {} where org_id = %(org)s and user_id = %(approver)s"
CASES = {
    "price": Case(PRODUCT.format("unit_price = unit_price + 0.01")),
    "product's name": Case(PRODUCT.format("name = 'Lamp II'")),
    "currency": Case(PRODUCT.format("currency = 'CHF'")),
    "tax": Case(
        "update crm.tax_rates set rate = rate * 2 + 0.5 where org_id = %(org)s",
        "update crm.tax_rates set rate = (rate - 0.5) / 2 where org_id = %(org)s",
    ),
    "stock": Case(
        "insert into crm.stock_movements(org_id, product_id, quantity, kind) values (%(org)s, %(product)s, -99, 'correction')"
    ),
    "product discontinued": Case(PRODUCT.format("discontinued = true")),
    "product archived": Case(PRODUCT.format("archived_at = now()")),
    "customer's name": Case(CUSTOMER.format("name = 'Somebody else'")),
    "customer archived": Case(CUSTOMER.format("archived_at = now()")),
    "discount": Case(
        "update crm.quote_lines set discount_percent = 5, net_amount = net_amount * 0.95 where org_id = %(org)s and product_id = %(product)s",
        kind="quoted",
    ),
    "terms": Case(CUSTOMER.format("payment_terms_days = 90"), kind="invoice"),
    "exchange rate": Case(
        "update crm.exchange_rates set rate = 1.06 where org_id = %(org)s and currency = 'CHF' and valid_from = '2020-01-01'",
        kind="foreign",
    ),
    "policy": Case(
        "insert into crm.policies(org_id, edition, document, changes) select %(org)s, coalesce(max(edition), 1) + 1,"
        """ crm.policy_standard() || '{"deny_agents_above": "0"}', '[]' from crm.policies where org_id = %(org)s""",
        "delete from crm.policies where org_id = %(org)s and edition = (select max(edition) from crm.policies where org_id = %(org)s)",
        kind="by an agent",
    ),
    "requester's role": Case(SELLERS_ROLE.format("role = 'support'"), SELLERS_ROLE.format("role = 'sales'")),
    "requester gone": Case(SELLERS_ROLE.format("active = false"), SELLERS_ROLE.format("active = true")),
    "approver's limit": Case(APPROVERS.format("approval_limit = 1"), APPROVERS.format("approval_limit = 1000000")),
    "approver's right": Case(APPROVERS.format("may_approve = false"), APPROVERS.format("may_approve = true")),
    "approver gone": Case(APPROVERS.format("active = false"), APPROVERS.format("active = true")),
    "tool's version": Case(
        "update crm.drafts set tool_version = tool_version - 1 where org_id = %(org)s and id = %(draft)s"
    ),
    "another draft's arguments": Case(
        "update crm.drafts set args = replace(args, '\"quantity\":2', '\"quantity\":3') where org_id = %(org)s and id = %(draft)s"
    ),
}


async def hold(home, tool: str, arguments: dict[str, Any], email: str = SELLER, agent: Agent | None = None) -> int:
    async def database() -> Database:
        return Database(home.conninfo("crm_agent"))

    app = App(database, Catalog(), Served(auth.by_email(email, None, agent)), lambda: "http://localhost:8787")
    try:
        async with Client(build_server(app)) as client:
            body = (await client.call_tool(tool, arguments)).structured_content
    finally:
        await app.close()
    assert body is not None and body.get("type") == "approval_required", body
    return int(body["draft"]["id"].removeprefix("draft_"))


async def drafted(home, db: Database, world: World, kind: str) -> int:
    """Have a call held that rests on this world."""
    common = {"reason": "a campaign", "idempotency_key": uuid.uuid4().hex}
    lines = [{"product": f"prod_{world.foreign if kind == 'foreign' else world.product}", "quantity": 2}]
    order = {"customer": f"cust_{world.customer}", "lines": lines, **common}
    if kind == "quoted":
        draft = await hold(home, "create_quote_draft", order)
        result = await approved(db, draft)
        return await hold(home, "create_order_draft", {"quote": result["record"]["id"], **common})
    if kind == "invoice":
        result = await approved(db, await hold(home, "create_order_draft", order))
        invoice = {"order": result["record"]["id"], **common}
        return await hold(home, "create_invoice", invoice, "fin@demo.example")
    return await hold(home, "create_order_draft", order, agent=Agent.ORDER if kind == "by an agent" else None)


async def approved(db: Database, draft: int) -> dict[str, Any]:
    who, executor = await db.sign_in(auth.by_email(APPROVER)), Executor(db)
    seen = await executor.show(who, draft)
    outcome = await executor.approve(who, draft, seen.hash)
    assert outcome.state == "approved", outcome
    return outcome.result


def written(past: Past, org: int) -> list[int]:
    return [past.do(f"select count(*) from crm.{table} where org_id = %(org)s", org=org)[0] for table in WRITTEN]


@contextmanager
def changed(past: Past, case: Case, values: dict[str, Any]) -> Generator[None]:
    past.do(case.change, **values)
    try:
        yield
    finally:
        if case.back:
            past.do(case.back, **values)


async def unseen(home, past: Past, world: World, case: Case) -> list[str]:
    """Show a draft, change what it rests on, approve what was shown; return what is wrong about what came of it."""
    db = Database(home.conninfo("crm_approver"))
    try:
        who, executor = await db.sign_in(auth.by_email(APPROVER)), Executor(db)
        draft = await drafted(home, db, world, case.kind)
        seen = await executor.show(who, draft)
        assert seen is not None and seen.hash is not None and seen.may_not is None, seen
        before = written(past, world.org)
        values = {**world._asdict(), "draft": draft}
        with changed(past, case, values):
            try:
                said = (await executor.approve(who, draft, seen.hash)).state
            except Exception as problem:
                no = refusal_for(problem)
                said = f"crashed {problem!r}" if no is None else f"refused {no.error}"
        (state,) = past.do("select state from crm.drafts where org_id = %(org)s and id = %(draft)s", **values)
        found = [] if said == "stale" or said.startswith("refused ") else [f"told {said}"]
        found += [] if state == ("stale" if said == "stale" else "pending") else [f"told {said}, is {state}"]
        after = written(past, world.org)
        found += [
            f"{now - was} more {table}" for table, was, now in zip(WRITTEN, before, after, strict=True) if now != was
        ]
        past.do(
            "update crm.drafts set state = 'discarded' where org_id = %(org)s and id = %(draft)s and state = 'pending'",
            **values,
        )
        return found
    finally:
        await db.close()


@pytest.mark.parametrize("name", ["price", "exchange rate", "another draft's arguments"])
async def test_the_oracle_sees_an_approver_who_compares_nothing(home, past, world, monkeypatch, name):
    monkeypatch.setattr(held_calls, "does_the_same", lambda *_: True)
    monkeypatch.setattr(held_calls, "hash_of", lambda *_, **__: "the same")
    found = await unseen(home, past, world, CASES[name])
    assert "told approved" in found and any("more orders" in problem for problem in found), found


@pytest.mark.parametrize("name", CASES)
async def test_what_an_approval_rests_on_changes_before_the_click(home, past, world, name):
    assert await unseen(home, past, world, CASES[name]) == []


async def test_ten_drafts_on_one_product_do_not_stale_each_other(home, past, world):
    db = Database(home.conninfo("crm_approver"))
    try:
        who, executor = await db.sign_in(auth.by_email(APPROVER)), Executor(db)
        drafts = [await drafted(home, db, world, "order") for _ in range(10)]
        shown = [await executor.show(who, draft) for draft in drafts]
        before = written(past, world.org)
        outcomes = [await executor.approve(who, d, s.hash) for d, s in zip(drafts, shown, strict=True)]
        assert [outcome.state for outcome in outcomes] == ["approved"] * 10
        assert written(past, world.org)[0] == before[0] + 10
        kept = "select sum(quantity) from crm.stock_reservations where org_id = %(org)s and product_id = %(product)s and released_at is null"
        assert past.do(kept, **world._asdict()) == (20,)
    finally:
        await db.close()
