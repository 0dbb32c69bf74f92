"""An org of one test's own, so that what is added up is exactly what the test made."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from lab import Lab, Row

from crm_mcp import auth
from crm_mcp.crm.models import Customer, Invoice, Order, OrderLine, Product
from crm_mcp.db import Database
from crm_mcp.demo.staff import Member, Org, found
from crm_mcp.importing.batch import batch
from crm_mcp.importing.rows import add

ZONE = ZoneInfo("Pacific/Kiritimati")
_number = count(1)


def local(*when: int) -> datetime:
    """Return a moment of the bureau's clock."""
    return datetime(*when, tzinfo=ZONE).astimezone(UTC)  # type: ignore[arg-type, misc]


def today() -> date:
    return datetime.now(ZONE).date()


class Bureau(Lab):
    def __init__(self, approver: Database, connect: Callable[..., AbstractAsyncContextManager[Any]]) -> None:
        super().__init__(approver, connect)
        slug = f"bureau-{next(_number)}"
        self.boss = f"boss@{slug}.example"
        chief = Member(self.boss, "Bo Boss", "admin", Decimal(1_000_000))
        second = Member(f"ann@{slug}.example", "Ann Agent", "sales")
        self.org = Org(slug, "Bureau", "EUR", ZONE.key, (chief, second))
        self.people: dict[str, int] = {}

    async def open(self, conninfo: str) -> None:
        async with await psycopg.AsyncConnection[tuple[int]].connect(conninfo) as conn:
            self.people = await found(conn, self.org)

    async def add(self, model: Any, *rows: Row) -> list[int]:
        who = await self._approver.sign_in(auth.by_email(self.boss))
        names = {name: None for row in rows for name in row}
        async with batch(self._approver, who, "bureau", {}, "Set a test up.") as session:
            return await add(session, model, who.org, [{**names, **row} for row in rows])

    async def ask(self, tool: str, arguments: Row, email: str | None = None, **served: Any) -> Row:
        return await super().ask(tool, arguments, email or self.boss, **served)

    async def report(self, name: str, **parameters: Any) -> Row:
        told = await self.ask("run_report", {"report": name, "parameters": parameters})
        return told.get("report") or told

    async def buyers(self, *names: str) -> list[int]:
        return await self.add(Customer, *({"name": name} for name in names))

    async def goods(self, *prices: str, currency: str = "EUR") -> list[int]:
        return await self.add(
            Product,
            *(
                {"sku": f"B-{next(_number)}", "name": f"Good {p}", "unit_price": Decimal(p), "currency": currency}
                for p in prices
            ),
        )

    async def orders(self, *rows: Row) -> list[int]:
        """Insert orders of one line each: customer, placed, net; product, status, currency, tax, base, salesperson."""
        made = [
            {
                "customer_id": row["customer"],
                "status": row.get("status", "completed"),
                "currency": row.get("currency", "EUR"),
                "net_total": Decimal(row["net"]),
                "tax_total": Decimal(row.get("tax", "0")),
                "gross_total": gross(row),
                "base_total": row["base"] if "base" in row else gross(row),
                "placed_at": row["placed"],
                "salesperson": row.get("salesperson"),
            }
            for row in rows
        ]
        numbers = await self.add(Order, *made)
        lines = [
            {
                "order_id": number,
                "product_id": row["product"],
                "position": 1,
                "description": "x",
                "quantity": row.get("quantity", 1),
                "unit_price": Decimal(1),
                "net_amount": Decimal(row["net"]),
                "tax_amount": Decimal(row.get("tax", "0")),
            }
            for number, row in zip(numbers, rows, strict=True)
            if "product" in row
        ]
        if lines:
            await self.add(OrderLine, *lines)
        return numbers

    async def invoices(self, *rows: Row) -> list[int]:
        """Insert invoices: customer, issued, gross; due, currency, base, paid, credited."""
        return await self.add(
            Invoice,
            *(
                {
                    "customer_id": row["customer"],
                    "currency": row.get("currency", "EUR"),
                    "net_total": Decimal(row["gross"]),
                    "tax_total": Decimal(0),
                    "gross_total": Decimal(row["gross"]),
                    "base_total": row["base"] if "base" in row else Decimal(row["gross"]),
                    "paid_total": Decimal(row.get("paid", 0)),
                    "credited_total": Decimal(row.get("credited", 0)),
                    "issued_on": row["issued"],
                    "due_on": row.get("due", row["issued"]),
                }
                for row in rows
            ),
        )


def gross(row: Row) -> Decimal:
    return Decimal(row["net"]) + Decimal(row.get("tax", "0"))
