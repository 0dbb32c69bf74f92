"""Write the demo orgs: people by the owner, records through a batch like any person's own import."""

from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession

from .. import auth
from ..crm.models import (
    Activity,
    Article,
    CreditNote,
    Customer,
    ExchangeRate,
    Invoice,
    InvoiceLine,
    Issue,
    Note,
    Order,
    OrderLine,
    OrgSettings,
    Payment,
    PaymentAllocation,
    Product,
    Quote,
    QuoteLine,
    StockMovement,
    StockReservation,
    Task,
    TaxRate,
)
from ..db import Database
from ..importing.batch import batch
from ..importing.rows import add
from . import scene, texts
from .ageing import age
from .goods import TAX
from .scene import Row, Scene
from .staff import DEMO, found
from .ways import bring_in_parties, bring_in_sales

LOCK = 726_300_000_002
"""The advisory lock under which one process at a time loads the demo."""


KEPT = ("product_id", "order_id", "quantity")


async def load(owner_conninfo: str, approver: Database, today: date | None = None) -> None:
    """Make the demo orgs `demo` and `other` with records up to the day before `today`; once made, do nothing.

    `owner_conninfo` connects as crm_owner to an embedded database, `approver` as crm_approver. Each org's
    records commit as a whole, so that a load that was cut short is completed by the next.
    """
    day = today or datetime.now(ZoneInfo(DEMO.timezone)).date()
    async with await psycopg.AsyncConnection[tuple[int]].connect(owner_conninfo, autocommit=True) as owner:
        await owner.execute("select pg_advisory_lock(%s)", (LOCK,))
        for make in (scene.demo, scene.other):
            slug = "demo" if make is scene.demo else "other"
            if not await _is_loaded(owner, slug):
                await _bring_in(owner, approver, make(day))
            await age(owner, slug)


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
        await _write(session, who.org, what, people)


async def _write(session: AsyncSession, org: int, what: Scene, people: dict[str, int]) -> None:
    if what.org.slug == DEMO.slug:
        await add(session, Article, org, texts.articles())
    sellers = [people[m.email] for m in what.org.members if m.role == "sales"]
    customers = await add(
        session,
        Customer,
        org,
        [
            {**party.customer, "owner_id": sellers[at % len(sellers)] if sellers else None}
            for at, party in enumerate(what.parties)
        ],
    )
    parties = await bring_in_parties(session, org, what, customers)
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
                "warranty_months": good.warranty,
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
    await add(session, TaxRate, org, what.taxes)
    sold = await _write_sales(session, org, what, customers, products)
    await _write_money(session, org, what, customers, products, sold)
    await _write_work(session, org, what, customers, products, sold, people)
    await bring_in_sales(session, org, what, customers, parties, sellers)
    # last: nothing can be posted into closed books
    await add(session, OrgSettings, org, [what.settings])


class Sold(NamedTuple):
    """The ids of orders in the order of the deals, and of their lines."""

    orders: list[int]
    lines: list[list[int]]


async def _write_sales(
    session: AsyncSession, org: int, what: Scene, customers: list[int], products: list[int]
) -> Sold:
    quotes = await add(
        session, Quote, org, [{**made.quote, "customer_id": customers[made.customer]} for made in what.quotations]
    )
    await add(
        session,
        QuoteLine,
        org,
        [
            {**line, "quote_id": quote, "product_id": products[line["product_id"]]}
            for quote, made in zip(quotes, what.quotations, strict=True)
            for line in made.lines
        ],
    )
    quoted = {made.deal: quote for quote, made in zip(quotes, what.quotations, strict=True)}
    orders = await add(
        session,
        Order,
        org,
        [
            {**deal.order, "customer_id": customers[deal.customer], "quote_id": quoted.get(at)}
            for at, deal in enumerate(what.deals)
        ],
    )
    lines: list[Row] = [
        {**line, "order_id": order, "product_id": products[line["product_id"]]}
        for order, deal in zip(orders, what.deals, strict=True)
        for line in deal.lines
    ]
    numbers = iter(await add(session, OrderLine, org, lines))
    confirmed = {order for order, deal in zip(orders, what.deals, strict=True) if deal.order["status"] == "confirmed"}
    kept = [{name: line[name] for name in KEPT} for line in lines if line["order_id"] in confirmed]
    await add(session, StockReservation, org, kept)
    return Sold(orders, [[next(numbers) for _ in deal.lines] for deal in what.deals])


async def _write_money(
    session: AsyncSession, org: int, what: Scene, customers: list[int], products: list[int], sold: Sold
) -> None:
    billed = [(at, deal) for at, deal in enumerate(what.deals) if deal.invoice]
    made = await add(
        session,
        Invoice,
        org,
        [
            {**(deal.invoice or {}), "order_id": sold.orders[at], "customer_id": customers[deal.customer]}
            for at, deal in billed
        ],
    )
    invoices = {at: invoice for invoice, (at, _) in zip(made, billed, strict=True)}
    await add(
        session,
        InvoiceLine,
        org,
        [
            {**line, "invoice_id": invoices[at], "order_line_id": number, "product_id": products[line["product_id"]]}
            for at, deal in billed
            for line, number in zip(deal.lines, sold.lines[at], strict=True)
        ],
    )
    await add(
        session,
        CreditNote,
        org,
        [
            {
                **credit.note,
                "invoice_id": invoices[credit.deal],
                "customer_id": customers[what.deals[credit.deal].customer],
            }
            for credit in what.credits
        ],
    )
    payments = await add(
        session, Payment, org, [{**row.payment, "customer_id": customers[row.customer]} for row in what.receipts]
    )
    await add(
        session,
        PaymentAllocation,
        org,
        [
            {"payment_id": payment, "invoice_id": invoices[at], "amount": amount}
            for payment, row in zip(payments, what.receipts, strict=True)
            for at, amount in row.allocations
        ],
    )


async def _write_work(
    session: AsyncSession,
    org: int,
    what: Scene,
    customers: list[int],
    products: list[int],
    sold: Sold,
    people: dict[str, int],
) -> None:
    await add(
        session,
        Issue,
        org,
        [
            {
                **case.issue,
                "customer_id": customers[case.customer],
                "order_id": sold.orders[case.deal] if case.deal is not None else None,
                "product_id": products[case.product] if case.product is not None else None,
                "assignee_id": people[case.assignee] if case.assignee else None,
            }
            for case in what.cases
        ],
    )
    await add(
        session,
        Task,
        org,
        [
            {**row, "customer_id": customers[at] if at is not None else None, "assignee_id": people[email]}
            for at, email, row in what.tasks
        ],
    )
    for model, rows in ((Activity, what.activities), (Note, what.notes)):
        await add(session, model, org, [{**row, "customer_id": customers[at]} for at, row in rows])
