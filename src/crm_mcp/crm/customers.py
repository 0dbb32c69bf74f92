"""Customers: finding one for a write, and saying helpfully that there is none."""

from collections.abc import Awaitable, Callable
from typing import Any

from ..errors import Refusal
from .models import Customer

SUGGEST = """select coalesce(jsonb_agg(jsonb_build_object('id', 'cust_' || c.id, 'name', c.name, 'matchReason', f.reason)
  order by f.score desc, c.id), '[]') from crm.find_customers(%(query)s, 3) f
 join crm.customers c on c.org_id = %(org)s and c.id = f.customer_id"""


def able_to_order(found: Customer | None, customer: str) -> Customer:
    """Return the customer found under an id, if it may order.

    Raises:
        Refusal: CUSTOMER_NOT_FOUND (another org's answers the same), CUSTOMER_ARCHIVED.
    """
    if found is None:
        raise not_found(customer)
    if found.archived_at is not None:
        raise Refusal("CUSTOMER_ARCHIVED", f"{customer} is archived; choose another with search_customers.")
    return found


def not_found(customer: str, suggestions: list[Any] | None = None) -> Refusal:
    return Refusal(
        "CUSTOMER_NOT_FOUND",
        "Find the id with search_customers: by name, e-mail, phone or domain.",
        searchedId=customer[:60],
        suggestions=suggestions or [],
    )


Ask = Callable[..., Awaitable[tuple[Any, ...] | None]]


async def suggestions(ask: Ask, query: str) -> list[Any]:
    """Return up to three customers of the org whose names resemble a query."""
    row = await ask(SUGGEST, query=query)
    return list(row[0]) if row else []
