"""An order that waits."""

from typing import Any

from lab import LEA, Lab


async def held(lab: Lab, email: str = LEA, comment: str = "wait") -> str:
    """Draft an order as a person of the lab; return the draft's id."""
    customer, product = await lab.customer("Waiter"), await lab.product("5", 10)
    asked: dict[str, Any] = {"customer": customer, "lines": [{"product": product, "quantity": 1}], "comment": comment}
    return (await lab.ask("create_order_draft", {**asked, "reason": "they asked"}, email))["draft"]["id"]
