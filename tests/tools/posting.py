"""Writes of money, approved as the page approves them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
from lab import NIA, Lab

from crm_mcp.approvals.executor import Executor
from crm_mcp.crm.models import Order, OrderLine

WHY = {"reason": "a test asks"}


class Posting:
    """Drafts as one administrator of the lab and approves as another: nobody approves alone what has no rate."""

    def __init__(self, lab: Lab, executor: Executor, person: Any, home: Any) -> None:
        self.lab, self._executor, self._person, self._home = lab, executor, person, home

    async def held(self, tool: str, **asked: Any) -> int:
        told = await self.lab.ask(tool, {**WHY, **asked})
        assert told.get("type") == "approval_required", told
        return int(told["draft"]["id"][6:])

    async def refused(self, tool: str, **asked: Any) -> dict[str, Any]:
        """Call what is to be refused; return its context with the code."""
        told = await self.lab.ask(tool, {**WHY, **asked})
        assert "error" in told, told
        return {"error": told["error"], **told["context"]}

    async def show(self, draft: int) -> Any:
        return await self._executor.show(await self._person(NIA), draft)

    async def approve(self, draft: int, seen: str | None = None) -> Any:
        seen = seen or (await self.show(draft)).hash
        return await self._executor.approve(await self._person(NIA), draft, seen)

    async def reject(self, draft: int) -> Any:
        return await self._executor.reject(await self._person(NIA), draft, "no")

    async def done(self, tool: str, **asked: Any) -> dict[str, Any]:
        """Draft and approve; return the record."""
        outcome = await self.approve(await self.held(tool, **asked))
        assert outcome.state == "approved", outcome
        return outcome.result["record"]

    async def order(self, customer: str, *lines: tuple[int, str, str], currency: str = "EUR", **more: Any) -> str:
        """Make an order of lines: quantity, net, tax of each."""
        net = sum((Decimal(line[1]) for line in lines), Decimal(0))
        tax = sum((Decimal(line[2]) for line in lines), Decimal(0))
        totals = {"net_total": net, "tax_total": tax, "gross_total": net + tax, "base_total": net + tax}
        about = {"customer_id": int(customer[5:]), "currency": currency, "placed_at": datetime.now(UTC)}
        (number,) = await self.lab.add(Order, {"status": "confirmed", **about, **totals, **more})
        product = int((await self.lab.product("1"))[5:])
        for position, (quantity, net_amount, tax_amount) in enumerate(lines, 1):
            line = {"order_id": number, "product_id": product, "position": position, "quantity": quantity}
            amounts = {"unit_price": 1, "net_amount": Decimal(net_amount), "tax_amount": Decimal(tax_amount)}
            await self.lab.add(OrderLine, {**line, "description": f"Thing {position}", **amounts})
        return f"ord_{number}"

    async def invoice(self, customer: str, gross: str, **more: Any) -> str:
        """Make an approved invoice over one line without tax; return its id."""
        order = await self.order(customer, (1, gross, "0"), currency=more.pop("currency", "EUR"))
        return (await self.done("create_invoice", order=order, **more))["id"]

    def one(self, sql: str, *params: object) -> Any:
        """Ask one row as the owner."""
        with psycopg.connect(self._home.conninfo("crm_owner")) as conn:
            return conn.execute(sql, params).fetchone()

    def totals(self, invoice: str) -> tuple[Any, ...]:
        """Return what is paid, credited and open of an invoice, and the sum of its allocations."""
        return self.one(
            """select paid_total, credited_total, open_total,
             (select coalesce(sum(amount), 0) from crm.payment_allocations a where a.org_id = i.org_id and a.invoice_id = i.id)
             from crm.invoices i where id = %s""",
            int(invoice[4:]),
        )
