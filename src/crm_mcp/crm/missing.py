"""What is said of a record that the org does not have; another org's answers the same."""

from typing import Any

from ..errors import Refusal


def customer(given: str, suggestions: list[Any] | None = None) -> Refusal:
    return Refusal(
        "CUSTOMER_NOT_FOUND",
        "Find the id with search_customers: by name, e-mail, phone or domain.",
        searchedId=given[:60],
        suggestions=suggestions or [],
    )


def order(given: str) -> Refusal:
    return Refusal("ORDER_NOT_FOUND", "Find the id with get_orders.", searchedId=given[:60])


def quote(given: str) -> Refusal:
    return Refusal("QUOTE_NOT_FOUND", "Find the id with get_quotes.", searchedId=given[:60])
