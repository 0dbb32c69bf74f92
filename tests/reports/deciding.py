"""What people of a generated org then do through the product's own tools, approved as on the page."""

from collections.abc import Callable
from typing import Any

import psycopg

from crm_mcp import auth
from crm_mcp.approvals.executor import Executor
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.principal import Principal

CHOSEN = """with o as (select id, base_currency as base from crm.orgs where slug = %s),
 live as (select c.id from crm.customers c, o where org_id = o.id and archived_at is null order by c.id)
select (select array_agg('cust_' || id) from (select id from live limit 4) x),
 (select array_agg('ord_' || r.id order by r.id) from crm.orders r, o where org_id = o.id and status = 'confirmed'
   and currency = base and gross_total > 1 and customer_id in (select id from live offset 4)),
 (select array_agg('inv_' || r.id order by r.id) from crm.invoices r, o where org_id = o.id and archived_at is null
   and currency = base and open_total > 5 and customer_id in (select id from live offset 4))"""
"""Four customers, and open orders and bills of others."""


async def decide_some(
    home: Home, approver: Database, connect: Callable[..., Any], emails: tuple[str, str], slug: str
) -> None:
    """Merge and archive customers, ship and cancel orders, bill, pay, credit and take a payment back: one drafts, one approves."""
    who = await approver.sign_in(auth.by_email(emails[1]))
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        parties, orders, bills = conn.execute(CHOSEN, (slug,)).fetchone() or ([], [], [])
    first, twin, third, left = parties
    async with connect(emails[0]) as client:

        async def do(tool: str, **asked: Any) -> dict[str, Any]:
            return await _done(client, Executor(approver), who, tool, asked)

        for change in (
            {"proposed_action": "merge", "entity_type": "customers", "id": first, "duplicates": [twin, third]},
            {"proposed_action": "delete", "entity_type": "customers", "id": left},
        ):
            await do("propose_changes", changes=[change])
        await do("update_order", order=orders[0], status="shipped")
        await do("update_order", order=orders[1], status="cancelled", cancel_reason="They changed their mind.")
        await do("create_invoice", order=orders[2])
        await do("record_payment", amount="1", invoices=[{"invoice": bills[0], "amount": "1"}])
        taken = await do("record_payment", amount="3", invoices=[{"invoice": bills[1], "amount": "1"}])
        await do("undo_change", change=taken["draft"])
        await do("create_credit_note", invoice=bills[2], gross="1", explanation="One was broken.")


async def _done(client: Any, executor: Executor, who: Principal, tool: str, asked: dict[str, Any]) -> dict[str, Any]:
    told = (await client.call_tool(tool, {"reason": "a test asks", **asked})).structured_content
    assert told.get("type") == "approval_required", told
    draft = int(told["draft"]["id"][6:])
    shown = await executor.show(who, draft)
    assert shown
    outcome = await executor.approve(who, draft, shown.hash or "")
    assert outcome.state == "approved", outcome
    return {"draft": told["draft"]["id"]}
