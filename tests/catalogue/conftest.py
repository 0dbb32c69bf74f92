"""What the catalogue's tests share: ids that exist, ids of the neighbour, ids of nobody, and a canary next door."""

import asyncio
from collections.abc import Callable
from datetime import date
from typing import Any

import psycopg
import pytest
from asking import ADMIN, CANARY, OTTO, World

from crm_mcp import auth, ids
from crm_mcp.crm.models import (
    Activity,
    Article,
    Contact,
    CreditNote,
    Customer,
    Individual,
    Invoice,
    InvoiceLine,
    Issue,
    Note,
    Order,
    OrderLine,
    Payment,
    PaymentAllocation,
    Product,
)
from crm_mcp.db import Database
from crm_mcp.importing.batch import batch
from crm_mcp.importing.rows import add


async def _plant(home: Any) -> None:
    db = Database(home.conninfo("crm_approver"))
    try:
        who = await db.sign_in(auth.by_email(OTTO))
        async with batch(db, who, "canary", {}, "Plant a canary.") as session:
            (customer,) = await add(
                session,
                Customer,
                who.org,
                [
                    {
                        "name": f"{CANARY} Möbel GmbH",
                        "email": "zqx@canary.example",
                        "domain": "canary.example",
                        "phone": "+49 999 111222",
                    }
                ],
            )
            about = {"customer_id": customer}
            await add(session, Individual, who.org, [{"name": f"{CANARY} Person", "email": "person@canary.example"}])
            await add(
                session, Contact, who.org, [{**about, "name": f"{CANARY} Contact", "email": "contact@canary.example"}]
            )
            money = {"unit_price": "99.0000", "tax_rate": "19.000"}
            (product,) = await add(
                session,
                Product,
                who.org,
                [{"sku": "ZQX-1", "name": f"{CANARY} desk", "category": CANARY, "currency": "EUR", **money}],
            )
            amounts = {
                "net_total": "99000.0000",
                "tax_total": "0",
                "gross_total": "99000.0000",
                "base_total": "99000.0000",
            }
            (order,) = await add(
                session,
                Order,
                who.org,
                [
                    {
                        **about,
                        **amounts,
                        "status": "confirmed",
                        "currency": "EUR",
                        "comment": CANARY,
                        "placed_at": "2026-01-02T03:04:05+00:00",
                    }
                ],
            )
            await add(
                session,
                OrderLine,
                who.org,
                [
                    {
                        "order_id": order,
                        "product_id": product,
                        "position": 1,
                        "description": CANARY,
                        "quantity": 1000,
                        "net_amount": "99000",
                        "tax_amount": "0",
                        **money,
                    }
                ],
            )
            day = date.today()  # an open day: older books are closed
            net = {"net_total": "99.0000", "tax_total": "0", "gross_total": "99.0000"}
            billed = {**about, **net, "currency": "EUR", "issued_on": day}
            (invoice,) = await add(
                session,
                Invoice,
                who.org,
                [
                    {
                        **billed,
                        "number": f"INV-{CANARY}",
                        "due_on": day,
                        "paid_total": "9.0000",
                        "credited_total": "9.0000",
                    }
                ],
            )
            line = {"invoice_id": invoice, "position": 1, "description": CANARY, "quantity": 1, "unit_price": "99"}
            await add(session, InvoiceLine, who.org, [{**line, "net_amount": "99", "tax_amount": "0"}])
            paid = {"currency": "EUR", "amount": "9.0000", "allocated_total": "9.0000", "reference": CANARY}
            (payment,) = await add(session, Payment, who.org, [{**about, **paid, "received_on": day}])
            allocation = {"payment_id": payment, "invoice_id": invoice, "amount": "9.0000"}
            await add(session, PaymentAllocation, who.org, [allocation])
            credited = {"invoice_id": invoice, "net_total": "9.0000", "gross_total": "9.0000", "explanation": CANARY}
            await add(session, CreditNote, who.org, [{**billed, **credited}])
            await add(session, Note, who.org, [{**about, "body": f"{CANARY} note"}])
            await add(session, Article, who.org, [{"title": f"{CANARY} article", "body": CANARY}])
            await add(
                session,
                Issue,
                who.org,
                [
                    {
                        **about,
                        "title": CANARY,
                        "status": "open",
                        "priority": "urgent",
                        "opened_at": "2026-01-02T03:04:05+00:00",
                    }
                ],
            )
            await add(
                session,
                Activity,
                who.org,
                [{**about, "kind": "call", "subject": CANARY, "happened_at": "2026-01-02T03:04:05+00:00"}],
            )
    finally:
        await db.close()


@pytest.fixture(scope="session")
def canary(home: Any) -> None:
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        planted = conn.execute("select from crm.products where sku = 'ZQX-1'").fetchone()
    if planted is None:
        asyncio.run(_plant(home))


@pytest.fixture(scope="session")
def kept() -> list[World]:
    return []


@pytest.fixture
async def world(home: Any, canary: None, connect: Callable[..., Any], kept: list[World]) -> World:
    """Return ids of every kind, a draft of each org among them; made once."""
    if not kept:
        kept.append(await _look(home, connect))
    return kept[0]


TO_BILL_AND_TO_PAY = {
    "ord": """select min(o.id) from crm.orders o join crm.order_lines l on l.org_id = o.org_id and l.order_id = o.id
     where o.org_id = %s and o.status = 'confirmed' and o.currency = 'EUR'
     and not exists (select from crm.invoices i where i.org_id = o.org_id and i.order_id = o.id)""",
    "inv": "select min(id) from crm.invoices where org_id = %s and open_total > 100 and currency = 'EUR'",
}
"""An order that can be invoiced, an invoice that can be paid and credited."""


async def _look(home: Any, connect: Callable[..., Any]) -> World:
    with psycopg.connect(home.conninfo("crm_owner")) as conn:

        def ask(sql: str, *params: object) -> Any:
            return conn.execute(sql, params).fetchone()[0]  # type: ignore[arg-type, index]

        orgs = {slug: ask("select id from crm.orgs where slug = %s", slug) for slug in ("demo", "other")}
        samples: dict[str, dict[str, str]] = {slug: {} for slug in orgs}
        nobodys: dict[str, str] = {}
        for email, slug in ((ADMIN, "demo"), (OTTO, "other")):
            # Whose customers and products are live, so that an order of them is held.
            customer = ask("select min(id) from crm.customers where org_id = %s and archived_at is null", orgs[slug])
            product = ask(
                "select min(id) from crm.products where org_id = %s and not discontinued and currency = 'EUR'",
                orgs[slug],
            )
            order = {
                "customer": f"cust_{customer}",
                "lines": [{"product": f"prod_{product}", "quantity": 1}],
                "reason": "a test asks",
            }
            async with connect(email) as client:
                held = (await client.call_tool("create_order_draft", order)).structured_content
                task = {"title": f"{slug} task", "about": f"cust_{customer}", "reason": "a test asks"}
                given = (await client.call_tool("create_task", task)).structured_content
                wish = {"text": f"{slug} wish", "reason": "a test asks"}
                wished = (await client.call_tool("save_preference", wish)).structured_content
                learnt = {"kind": "lead_interaction", "about": f"cust_{customer}", "text": f"{slug} memory"}
                kept = (await client.call_tool("save_memory", {**learnt, "reason": "a test asks"})).structured_content
            samples[slug] |= {"cust": f"cust_{customer}", "prod": f"prod_{product}", "draft": held["draft"]["id"]}
            samples[slug] |= {"task": given["task"]["id"], "pref": wished["preference"]["id"]}
            samples[slug] |= {"mem": kept["memory"]["id"]}
            # One that is not closed, so that it can be changed.
            issue = ask("select min(id) from crm.issues where org_id = %s and status = 'open'", orgs[slug])
            samples[slug] |= {"iss": f"iss_{issue}"}
            if deal := ask(
                """select min(subject_id) from crm.pipeline_positions
                 where org_id = %s and subject_type = 'deals' and closed_at is null and archived_at is null""",
                orgs[slug],
            ):
                samples[slug] |= {"deal": f"deal_{deal}"}
        for prefix, sample in TO_BILL_AND_TO_PAY.items():
            samples["demo"][prefix] = f"{prefix}_{ask(sample, orgs['demo'])}"
        every: set[str] = set()
        for table, prefix in ids.PREFIX.items():
            for slug, org in orgs.items():
                if sample := ask(f"select min(id) from crm.{table} where org_id = %s", org):
                    samples[slug].setdefault(prefix, f"{prefix}_{sample}")
            known = ask(f"select coalesce(jsonb_agg(id), '[]') from crm.{table} where org_id = %s", orgs["other"])
            every |= {f"{prefix}_{number}" for number in known}
            # Far from what the tests themselves will make.
            nobodys[prefix] = f"{prefix}_{ask(f'select coalesce(max(id), 0) from crm.{table}') + 1_000_000}"
        return World(samples["demo"], samples["other"], nobodys, frozenset(every))
