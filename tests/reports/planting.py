"""Rows at the edges, planted into the demo: days at the ends of a quarter, no rate, part payments, cancelled twins."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from crm_mcp import auth
from crm_mcp.crm import models
from crm_mcp.db import Database
from crm_mcp.importing.batch import batch
from crm_mcp.importing.rows import add

Row = dict[str, Any]
FIRST, LAST = date(2024, 1, 1), date(2024, 3, 31)
"""A quarter with a 29th of February and a night in which an hour is missing."""
DAYS = (date(2023, 12, 31), FIRST, date(2024, 2, 29), LAST, date(2024, 4, 1))


async def plant(approver: Database) -> None:
    who = await approver.sign_in(auth.by_email("ada@demo.example"))
    zone = ZoneInfo(who.timezone)
    today = datetime.now(zone).date()
    moments = [
        at.astimezone(UTC)
        for at in (
            datetime(2023, 12, 31, 23, 59, 59, tzinfo=zone),
            datetime(2024, 1, 1, tzinfo=zone),
            datetime(2024, 2, 29, tzinfo=zone),
            datetime(2024, 3, 31, 0, 59, 59, tzinfo=UTC),
            datetime(2024, 3, 31, 1, tzinfo=UTC),
            datetime(2024, 3, 31, 23, 59, 59, tzinfo=zone),
            datetime(2024, 4, 1, tzinfo=zone),
        )
    ]
    async with batch(approver, who, "edges", {}, "Plant rows at the edges.") as session:

        async def put(model: Any, *rows: Row) -> list[int]:
            names = dict.fromkeys(name for row in rows for name in row)
            return await add(session, model, who.org, [{**names, **row} for row in rows])

        conn = await session.connection()
        opened = "update crm.org_settings set books_closed_through = null where org_id = %s"
        await conn.exec_driver_sql(opened, (who.org,))
        gone = moments[-1]
        live, archived = await put(
            models.Customer,
            {"name": "Edge", "kind": "organization", "country": " "},
            {"name": "Edge of old", "kind": "organization", "segment": "Edge", "archived_at": gone},
        )
        (good,) = await put(
            models.Product,
            {
                "sku": "EDGE-1",
                "name": "Edge",
                "unit_price": Decimal("3.3333"),
                "currency": "EUR",
                "tax_rate": Decimal(0),
                "reorder_level": 5,
                "discontinued": False,
                "tax_class": "standard",
                "warranty_months": 0,
            },
        )
        quotes = [
            {"quoted_at": at - timedelta(days=10 * n), "decided_at": at, "status": ("accepted", "declined")[n % 2]}
            for n, at in enumerate(moments)
        ]
        quotes += [
            {"quoted_at": moments[2], "status": "open", "valid_until": today},
            {"quoted_at": moments[2], "status": "open", "valid_until": today - timedelta(days=1)},
            {"quoted_at": moments[2], "decided_at": moments[2], "status": "accepted", "archived_at": gone},
            {"quoted_at": moments[2], "status": "open", "currency": "USD", "base_total": None},
        ]
        quoted = await put(
            models.Quote,
            *(
                {
                    "customer_id": live,
                    "discount_percent": Decimal(0),
                    "valid_until": date(2024, 5, 1),
                    "lost_reason": "Too dear" if row["status"] == "declined" else None,
                    **worth(f"{n + 1}1.11", n),
                    **row,
                }
                for n, row in enumerate(quotes)
            ),
        )
        orders: list[Row] = [{"placed_at": at, "status": "completed"} for at in moments]
        orders += [
            {"placed_at": moments[2], "status": "cancelled"},
            {"placed_at": moments[2], "status": "completed", "currency": "USD", "base_total": None},
            {"placed_at": moments[3], "status": "shipped", "currency": "USD", "base_total": Decimal("13.37")},
            {"placed_at": moments[4], "status": "completed", "customer_id": archived},
            {"placed_at": moments[2], "status": "completed", "quote_id": quoted[1]},
            {"placed_at": moments[4], "status": "cancelled", "quote_id": quoted[1]},
            {"placed_at": moments[5], "status": "completed", "quote_id": quoted[2]},
            {"placed_at": moments[6], "status": "completed", "quote_id": quoted[3]},
        ]
        placed = await put(
            models.Order,
            *(
                {
                    "customer_id": live,
                    "discount_percent": Decimal(0),
                    "salesperson": ("Edge", " ", None)[n % 3],
                    **worth(f"{n + 1}0.01", n),
                    **row,
                }
                for n, row in enumerate(orders)
            ),
        )
        await put(
            models.OrderLine,
            *(
                {
                    "order_id": order,
                    "product_id": good,
                    "position": 1,
                    "description": "x",
                    "quantity": 3 + n,
                    "unit_price": Decimal("7.77"),
                    "discount_percent": Decimal(0),
                    "tax_rate": Decimal(0),
                    "net_amount": Decimal("20.01"),
                    "tax_amount": Decimal("3.80"),
                }
                for n, order in enumerate(placed)
            ),
        )
        invoices: list[Row] = [{"issued_on": day} for day in DAYS]
        invoices += [
            {"issued_on": DAYS[2], "currency": "USD", "base_total": None},
            {"issued_on": DAYS[2], "currency": "USD", "base_total": Decimal("13.37")},
            {"issued_on": DAYS[2], "archived_at": gone},
        ]
        invoices += [
            {"issued_on": DAYS[0], "due_on": today - timedelta(days=n)} for n in (-1, 0, 1, 30, 31, 60, 61, 90, 91)
        ]
        # without a rate: two paid since the quarter, one paid in it, one paid in it and credited since
        invoices += [{"issued_on": DAYS[0], "currency": "USD", "base_total": None} for _ in range(4)]
        # the first three are paid in part and credited in part, the fourth in full and said to be paid in part before
        taken = {0: ("50", 7), 1: ("50", 7), 2: ("50", 7), 3: ("125", 0)}
        taken |= {17: ("100.01", 0), 18: ("100.01", 0), 19: ("100.01", 0), 20: ("100.01", 7)}
        issued = await put(
            models.Invoice,
            *(
                {
                    "customer_id": live,
                    **worth("100.01" if n != 3 else "105.04", 0),
                    "paid_total": Decimal(taken.get(n, ("0", 0))[0]),
                    "credited_total": Decimal(taken.get(n, ("0", 0))[1]),
                    "due_on": date(2024, 2, 1),
                    **row,
                }
                for n, row in enumerate(invoices)
            ),
        )
        received = await put(
            models.Payment,
            *(
                {
                    "customer_id": live,
                    "currency": "EUR",
                    "amount": Decimal(60),
                    "base_amount": Decimal(60),
                    "allocated_total": Decimal(50 if n < 3 else 20),
                    "received_on": day,
                    "method": "transfer",
                }
                for n, day in enumerate(DAYS)
            ),
            {
                "customer_id": live,
                "currency": "USD",
                "amount": Decimal(9),
                "allocated_total": Decimal(0),
                "received_on": LAST,
                "method": "cash",
            },
            {
                "customer_id": live,
                "currency": "EUR",
                "amount": Decimal(9),
                "base_amount": Decimal(9),
                "allocated_total": Decimal(0),
                "received_on": LAST,
                "method": "cash",
                "archived_at": gone,
            },
            *(
                {
                    "customer_id": live,
                    "currency": "USD",
                    "amount": Decimal("100.01"),
                    "allocated_total": Decimal("100.01"),
                    "received_on": day,
                    "method": "transfer",
                }
                for day in (DAYS[-1], DAYS[-1], LAST, LAST)
            ),
        )
        # one before its invoice, one on the last day, one the day after
        pairs = [(0, 2, "30"), (1, 0, "50"), (2, 1, "50"), (0, 1, "20"), (3, 3, "20"), (4, 2, "20")]
        pairs += [(7 + n, 17 + n, "100.01") for n in range(4)]
        await put(
            models.PaymentAllocation,
            *(
                {"payment_id": received[p], "invoice_id": issued[i], "amount": Decimal(amount)}
                for p, i, amount in pairs
            ),
        )
        await put(
            models.CreditNote,
            *(
                {
                    "invoice_id": issued[n],
                    "customer_id": live,
                    "currency": currency,
                    "net_total": Decimal(6),
                    "tax_total": Decimal(1),
                    "gross_total": Decimal(7),
                    "base_total": Decimal(7),
                    "issued_on": day,
                    "explanation": "x",
                }
                for n, day, currency in (
                    (0, LAST, "EUR"),
                    (1, DAYS[-1], "EUR"),
                    (2, DAYS[2], "EUR"),
                    (20, DAYS[-1], "USD"),
                )
            ),
        )
        await put(
            models.Issue,
            *(
                {
                    "customer_id": live,
                    "title": "Edge",
                    "type": "problem",
                    "status": "resolved",
                    "priority": "urgent",
                    "opened_at": at - timedelta(hours=5 * n),
                    "responded_at": at - timedelta(hours=4 * n, minutes=1) if n % 2 else None,
                    "respond_by": at - timedelta(hours=3),
                    "resolve_by": at,
                    "resolved_at": at,
                    "waited_seconds": 3601 * n,
                }
                for n, at in enumerate(moments)
            ),
            *(
                {
                    "customer_id": live,
                    "title": "Edge",
                    "type": "problem",
                    "status": "open",
                    "priority": "high",
                    "opened_at": at,
                    "resolve_by": at,
                    "waited_seconds": 0,
                }
                for at in (
                    *moments,
                    *(datetime.now(UTC) - timedelta(days=days, hours=1) for days in (1, 2, 7, 8, 30, 31)),
                )
            ),
        )
        await put(
            models.Task,
            *(
                {
                    "title": "Edge",
                    "status": "open",
                    "priority": "urgent",
                    "due_on": None if n is None else today + timedelta(days=n),
                }
                for n in (None, -1, 0, 1, 7, 8)
            ),
        )
        await put(
            models.StockMovement,
            {"product_id": good, "quantity": 7, "kind": "opening"},
            {"product_id": good, "quantity": -1, "kind": "opening", "archived_at": gone},
        )
        await put(
            models.StockReservation,
            {"product_id": good, "order_id": placed[0], "quantity": 3},
            {"product_id": good, "order_id": placed[1], "quantity": 4, "released_at": gone},
        )


def worth(net: str, n: int) -> Row:
    """Return totals in euros; the tax differs by n."""
    gross = Decimal(net) + n
    return {
        "currency": "EUR",
        "net_total": Decimal(net),
        "tax_total": Decimal(n),
        "gross_total": gross,
        "base_total": gross,
    }
