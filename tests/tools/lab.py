"""An org of a test's own, whose records are made to the value, and asked through its own people."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from crm_mcp import auth, ids
from crm_mcp.crm.models import Customer, Invoice, Order, OrderLine, Product, StockMovement
from crm_mcp.db import Database
from crm_mcp.demo.staff import Member, Org
from crm_mcp.importing.batch import batch
from crm_mcp.importing.rows import add

LAB = Org(
    "lab",
    "Laboratory",
    "EUR",
    "Pacific/Kiritimati",  # where today is another day than in UTC most of the time
    (
        Member("lea@lab.example", "Lea Lang", "admin", Decimal(1_000_000), mails=True),
        Member("lou@lab.example", "Lou Lind", "sales"),
        Member("lux@lab.example", "Lux Lehr", "support"),
        Member("nia@lab.example", "Nia Noor", "admin", Decimal(1_000_000), mails=True),
    ),
)
LEA, LOU, LUX, NIA = (member.email for member in LAB.members)
Row = dict[str, Any]


def today() -> date:
    """Return the lab's day."""
    return datetime.now(ZoneInfo(LAB.timezone)).date()


def ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


class Lab:
    def __init__(self, approver: Database, connect: Callable[..., AbstractAsyncContextManager[Any]]) -> None:
        self._approver, self.connect = approver, connect

    async def add(self, model: Any, *rows: Row) -> list[int]:
        """Insert records; return their numbers."""
        who = await self._approver.sign_in(auth.by_email(LEA))
        async with batch(self._approver, who, "lab", {}, "Set a test up.") as session:
            return await add(session, model, who.org, list(rows))

    async def customer(self, name: str, **more: Any) -> str:
        (number,) = await self.add(Customer, {"name": name, **more})
        return f"cust_{number}"

    async def product(self, price: str, stock: int = 0, currency: str = "EUR", tax: str = "0", **more: Any) -> str:
        made = await self.add(
            Product,
            {
                "sku": f"L-{datetime.now(UTC).timestamp()}",
                "name": "Thing",
                "unit_price": Decimal(price),
                "currency": currency,
                "tax_rate": Decimal(tax),
                **more,
            },
        )
        if stock:
            await self.add(StockMovement, {"product_id": made[0], "quantity": stock, "kind": "opening"})
        return f"prod_{made[0]}"

    async def order(
        self, customer: str, gross: str, placed: datetime, status: str = "completed", product: str | None = None
    ) -> str:
        amount = Decimal(gross)
        money = {"net_total": amount, "tax_total": Decimal(0), "gross_total": amount, "base_total": amount}
        about = {"customer_id": int(customer[5:]), "status": status, "currency": "EUR", "placed_at": placed}
        (number,) = await self.add(Order, {**about, **money})
        if product:
            line = {
                "order_id": number,
                "product_id": int(product[5:]),
                "position": 1,
                "description": "x",
                "quantity": 1,
            }
            await self.add(OrderLine, {**line, "unit_price": amount, "net_amount": amount, "tax_amount": Decimal(0)})
        return f"ord_{number}"

    async def set(self, table: str, record: str, column: str, value: Any) -> None:
        """Change a column of a record, as an approved batch would."""
        who = await self._approver.sign_in(auth.by_email(LEA))
        async with batch(self._approver, who, "lab", {}, "Change a test's record.") as session:
            conn = await session.connection()
            sql = f"update crm.{table} set {column} = %s where org_id = %s and id = %s"
            await conn.exec_driver_sql(sql, (value, who.org, ids.parse(table, record)))

    async def set_price(self, product: str, price: str) -> None:
        await self.set("products", product, "unit_price", Decimal(price))

    async def invoice(
        self, customer: str, due: date, gross: str = "100", paid: str = "0", order: str | None = None
    ) -> None:
        row = {"number": f"I-{datetime.now(UTC).timestamp()}", "customer_id": int(customer[5:]), "currency": "EUR"}
        dates = {"issued_on": due - timedelta(days=30), "due_on": due}
        money = {
            "net_total": Decimal(gross),
            "tax_total": Decimal(0),
            "gross_total": Decimal(gross),
            "base_total": Decimal(gross),
        }
        about = {"order_id": int(order[4:])} if order else {}
        await self.add(Invoice, {**row, **dates, **money, **about, "paid_total": Decimal(paid)})

    async def ask(self, tool: str, arguments: Row, email: str = LEA, **served: Any) -> Row:
        """Call a tool as a person of the lab; return its structured content."""
        async with self.connect(email, **served) as client:
            return (await client.call_tool(tool, arguments)).structured_content
