"""Customers: saying helpfully that there is none."""

from collections.abc import Awaitable, Callable
from typing import Any

SUGGEST = """select coalesce(jsonb_agg(jsonb_build_object('id', 'cust_' || c.id, 'name', c.name, 'matchReason', f.reason)
  order by f.score desc, c.id), '[]') from crm.find_customers(%(query)s, 3) f
 join crm.customers c on c.org_id = %(org)s and c.id = f.customer_id"""
Ask = Callable[..., Awaitable[tuple[Any, ...] | None]]


async def suggestions(ask: Ask, query: str) -> list[Any]:
    """Return up to three customers of the org whose names resemble a query."""
    row = await ask(SUGGEST, query=query)
    return list(row[0]) if row else []
