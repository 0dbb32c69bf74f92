"""The rules of every insight, in words: what `crm://schema` tells a role."""

from ..principal import Role
from . import clocks, insights, receivables

OF_ORDERS = {
    "daysOpen": "Of an order: whole days since it was placed, while it is confirmed.",
    "isLate": "Of an order: confirmed for more than 7 days.",
    "shortOfStock": "Of a confirmed order: products of which less is in stock than the order keeps, and how many are missing.",
}
OF_BILLED_ORDERS = {
    "invoiceState": (
        "Of an order: none, partly or wholly invoiced (gross of its invoices less what is credited), paid once nothing "
        "of them is open."
    ),
}


def rules(role: Role) -> dict[str, str]:
    """Return the rules of the insights that a role is told, by name."""
    return {
        **insights.rules(role),
        **OF_ORDERS,
        **(OF_BILLED_ORDERS | receivables.RULES if role in insights.FINANCE else {}),
        **(clocks.RULES if role in insights.SUPPORT else {}),
    }
