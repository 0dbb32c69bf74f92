"""Write the demo orgs: people by the owner, records through a batch like any person's own import."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession

from .. import auth
from ..crm.models import (
    Activity,
    Contact,
    Customer,
    ExchangeRate,
    Invoice,
    Issue,
    Note,
    Order,
    OrderLine,
    Product,
    StockMovement,
)
from ..db import Database
from ..importing.batch import batch
from ..importing.rows import add
from . import scene
from .goods import TAX
from .scene import Row, Scene
from .staff import DEMO, found

LOCK = 726_300_000_002
"""The advisory lock under which one process at a time loads the demo."""


async def load(owner_conninfo: str, approver: Database, today: date | None = None) -> None:
    """Make the demo orgs `demo` and `other` with records up to the day before `today`; once made, do nothing.

    `owner_conninfo` connects as crm_owner to an embedded database, `approver` as crm_approver. Each org's
    records commit as a whole, so that a load that was cut short is completed by the next.
    """
    day = today or datetime.now(ZoneInfo(DEMO.timezone)).date()
    async with await psycopg.AsyncConnection[tuple[int]].connect(owner_conninfo, autocommit=True) as owner:
        await owner.execute("select pg_advisory_lock(%s)", (LOCK,))
        for make in (scene.demo, scene.other):
            if not await _is_loaded(owner, "demo" if make is scene.demo else "other"):
                await _bring_in(owner, approver, make(day))


async def _is_loaded(owner: psycopg.AsyncConnection[tuple[int]], slug: str) -> bool:
    found_one = await owner.execute(
        "select 1 from crm.orgs o where o.slug = %s and exists (select from crm.customers c where c.org_id = o.id)",
        (slug,),
    )
    return await found_one.fetchone() is not None


async def _bring_in(owner: psycopg.AsyncConnection[tuple[int]], approver: Database, what: Scene) -> None:
    async with owner.transaction():
        people = await found(owner, what.org)
    who = await approver.sign_in(auth.by_email(what.org.members[0].email, what.org.slug))
    about = {
        "demo": what.org.slug,
        "seed": scene.SEED,
        "customers": len(what.parties),
        "orders": len(what.deals),
    }
    async with batch(approver, who, "demo", about, f"Load the demo records of {what.org.name}.") as session:
        await _write(session, who.org, what, [people[m.email] for m in what.org.members if m.role == "sales"])


async def _write(session: AsyncSession, org: int, what: Scene, sellers: list[int]) -> None:
    customers = await add(
        session,
        Customer,
        org,
        [
            {**party.customer, "owner_id": sellers[at % len(sellers)] if sellers else None}
            for at, party in enumerate(what.parties)
        ],
    )
    await add(
        session,
        Contact,
        org,
        [
            {**contact, "customer_id": customer}
            for customer, party in zip(customers, what.parties, strict=True)
            for contact in party.contacts
        ],
    )
    products = await add(
        session,
        Product,
        org,
        [
            {
                "sku": good.sku,
                "name": good.name,
                "category": good.category,
                "unit": good.unit,
                "unit_price": good.price,
                "currency": good.currency,
                "tax_rate": TAX,
                "reorder_level": good.reorder,
                "discontinued": good.discontinued,
            }
            for good in what.goods
        ],
    )
    await add(
        session,
        StockMovement,
        org,
        [
            {"product_id": product, "quantity": good.stock, "kind": "opening"}
            for product, good in zip(products, what.goods, strict=True)
        ],
    )
    await add(session, ExchangeRate, org, what.rates)
    await _write_trade(session, org, what, customers, products)
    for model, rows in ((Issue, what.issues), (Activity, what.activities), (Note, what.notes)):
        await add(session, model, org, [{**row, "customer_id": customers[at]} for at, row in rows])


async def _write_trade(
    session: AsyncSession, org: int, what: Scene, customers: list[int], products: list[int]
) -> None:
    orders = await add(
        session, Order, org, [{**deal.order, "customer_id": customers[deal.customer]} for deal in what.deals]
    )
    lines: list[Row] = []
    invoices: list[Row] = []
    for order, deal in zip(orders, what.deals, strict=True):
        lines += ({**line, "order_id": order, "product_id": products[line["product_id"]]} for line in deal.lines)
        if deal.invoice:
            invoices.append({**deal.invoice, "order_id": order, "customer_id": customers[deal.customer]})
    await add(session, OrderLine, org, lines)
    await add(session, Invoice, org, invoices)
