"""Whatever is invoiced, paid and credited, in whatever order: the totals are what the records sum to."""

from collections.abc import Generator
from decimal import Decimal
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lab import LAB, LEA, Lab
from posting import Posting

from crm_mcp import auth
from crm_mcp.context import Write
from crm_mcp.crm import credit_notes, invoices, payments
from crm_mcp.crm.invoices import Portion
from crm_mcp.crm.payments import Allocation, Received
from crm_mcp.db import Database
from crm_mcp.errors import Refusal
from crm_mcp.importing.batch import batch

CENTS = st.integers(1, 9_000).map(lambda n: Decimal(n).scaleb(-2))
WHICH = st.integers(0, 5)
STEPS = st.one_of(
    st.tuples(st.just("invoice"), WHICH, st.integers(1, 3)),
    st.tuples(st.just("pay"), CENTS),
    st.tuples(st.just("pay these"), CENTS, st.lists(st.tuples(WHICH, st.none() | CENTS), min_size=1, max_size=2)),
    st.tuples(st.just("pay these"), st.just(Decimal(90)), st.tuples(st.tuples(WHICH, CENTS))),
    st.tuples(st.just("allocate"), WHICH),
    st.tuples(st.just("credit"), WHICH, st.none() | CENTS),
    st.tuples(st.just("credit a line"), WHICH, st.integers(1, 3)),
)
REFUSED = frozenset(
    [
        "ORDER_INVOICED",
        "MORE_THAN_LEFT",
        "MORE_THAN_OPEN",
        "MORE_THAN_RECEIVED",
        "NOTHING_OPEN",
        "NOTHING_ON_ACCOUNT",
        "DUPLICATE_INVOICE",
        "INVOICE_CREDITED",
        "NOTHING_TO_INVOICE",
        "NOTHING_TO_CREDIT",
    ]
)
"""What a step may run into; anything else is a mistake."""
BALANCE = """select
 (select count(*) from crm.invoices i where i.customer_id = %(c)s and (paid_total <>
   (select coalesce(sum(amount), 0) from crm.payment_allocations a where a.org_id = i.org_id and a.invoice_id = i.id)
   or credited_total <> (select coalesce(sum(gross_total), 0) from crm.credit_notes n where n.org_id = i.org_id and n.invoice_id = i.id)
   or open_total <> gross_total - paid_total - credited_total or open_total < 0
   or gross_total <> (select sum(net_amount + tax_amount) from crm.invoice_lines l where l.org_id = i.org_id and l.invoice_id = i.id))),
 (select count(*) from crm.payments p where p.customer_id = %(c)s and (allocated_total > amount or allocated_total <>
   (select coalesce(sum(amount), 0) from crm.payment_allocations a where a.org_id = p.org_id and a.payment_id = p.id))),
 (select count(*) from (select o.gross_total, sum(i.gross_total) as billed from crm.orders o join crm.invoices i
   on i.org_id = o.org_id and i.order_id = o.id and i.credited_total < i.gross_total where o.customer_id = %(c)s
   group by o.id, o.gross_total) x where billed > gross_total),
 (select count(*) from (select sum(n.tax_total) as tax, i.tax_total from crm.credit_notes n join crm.invoices i
   on i.org_id = n.org_id and i.id = n.invoice_id where i.customer_id = %(c)s group by i.id, i.tax_total) x where tax > tax_total)"""


@pytest.fixture
def portal() -> Generator[BlockingPortal]:
    with start_blocking_portal() as running:
        yield running


def test_totals_are_what_the_records_sum_to(founded, portal: BlockingPortal, home: Any):
    db = Database(home.conninfo("crm_approver"))

    @settings(
        max_examples=15, deadline=None, database=None, derandomize=True, phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.lists(STEPS, min_size=4, max_size=10))
    def holds(steps: list[Any]) -> None:
        assert portal.call(play, db, home, steps) == (0, 0, 0, 0)

    try:
        holds()
    finally:
        portal.call(db.close)


async def play(db: Database, home: Any, steps: list[Any]) -> Any:
    """Carry the steps out for a new customer with two orders; return how many records do not balance."""
    lab = Lab(db, None)  # type: ignore[arg-type]
    posting = Posting(lab, None, None, home)  # type: ignore[arg-type]
    customer = await lab.customer("Balanced")
    orders = [
        await posting.order(customer, (3, "10.00", "1.90"), (2, "0.99", "0.19")),
        await posting.order(customer, (3, "70.01", "0")),
    ]
    for step in [("invoice", 0, 2), ("invoice", 1, 1), *steps]:
        try:
            await take(db, customer, orders, step)
        except Refusal as no:
            if no.error not in REFUSED:
                raise
    import psycopg

    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        return conn.execute(BALANCE, {"c": int(customer[5:])}).fetchone()


async def take(db: Database, customer: str, orders: list[str], step: Any) -> None:
    from datetime import UTC, datetime

    who = await db.sign_in(auth.by_email(LEA))
    assert who.org_slug == LAB.slug
    async with batch(db, who, "lab", {}, "Play a step.") as session:
        ctx = Write(who, datetime.now(UTC), session)

        async def known(table: str, which: int) -> str | None:
            found = (
                await (await session.connection()).exec_driver_sql(
                    f"select id from crm.{table} where org_id = %s and customer_id = %s order by id",
                    (who.org, int(customer[5:])),
                )
            ).all()
            prefix = {"invoices": "inv", "payments": "pay"}[table]
            return f"{prefix}_{found[which % len(found)][0]}" if found else None

        match step:
            case ("invoice", which, quantity):
                position = 1 + which // 2 % (2 if which % 2 == 0 else 1)
                portion = Portion(position=position, quantity=quantity)
                await invoices.create(ctx, orders[which % 2], [portion], None, None)
            case ("pay", amount):
                await payments.record(ctx, Received(amount, "EUR", None, None, None), customer, None)
            case ("pay these", amount, those):
                named = [(await known("invoices", which), part) for which, part in those]
                chosen = [Allocation(invoice=i, amount=part) for i, part in named if i]
                if chosen:
                    await payments.record(ctx, Received(amount, None, None, None, None), None, chosen)
            case ("allocate", which):
                if payment := await known("payments", which):
                    await payments.allocate_rest(ctx, payment, None)
            case ("credit", which, gross):
                if invoice := await known("invoices", which):
                    await credit_notes.create(ctx, invoice, None, gross, None, "x")
            case ("credit a line", which, quantity):
                if invoice := await known("invoices", which):
                    portion = Portion(position=1, quantity=quantity)
                    await credit_notes.create(ctx, invoice, [portion], None, None, "x")
            case _:
                raise AssertionError(step)
