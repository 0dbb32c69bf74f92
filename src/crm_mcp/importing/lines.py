"""What a line of an order or an invoice comes to."""

from collections.abc import Callable
from decimal import Decimal

from ..money import minor_units
from .rows import Row
from .sheet import Entry
from .values import HUNDRED

LINE = (
    "product_id",
    "description",
    "quantity",
    "unit_price",
    "discount_percent",
    "tax_rate",
    "net_amount",
    "tax_amount",
)


def unit(currency: str) -> Decimal:
    """Return the smallest amount of a currency."""
    return Decimal(1).scaleb(-minor_units(currency))


def priced(position: int, line: Entry, discount: Decimal, currency: str, exact: Callable[[Decimal], Decimal]) -> Row:
    """Return a line with its amounts, those of the file where it states them; `discount` is on the whole document.

    A stated amount that is off by more than the smallest unit of the currency marks the line.
    """
    given = line.values
    off = given.get("discount") or Decimal(0)
    rate = given.get("tax_rate") or Decimal(0)
    net = exact(given["unit_price"] * given["quantity"] * (HUNDRED - off) * (HUNDRED - discount) / HUNDRED / HUNDRED)
    net = _stated(line, "net_amount", net, "quantity × price less discounts", currency)
    tax = _stated(line, "tax_amount", exact(net * rate / HUNDRED), f"{rate.normalize():f} per cent of it", currency)
    return {
        "position": position,
        "product_id": given.get("product_id"),
        "description": given["description"],
        "quantity": given["quantity"],
        "unit_price": given["unit_price"],
        "discount_percent": off,
        "tax_rate": rate,
        "net_amount": net,
        "tax_amount": tax,
    }


def _stated(line: Entry, name: str, computed: Decimal, how: str, currency: str) -> Decimal:
    stated = line.values.get(name)
    if stated is None:
        return computed
    if abs(stated - computed) > unit(currency):
        line.wrong.append(f"{name} is {stated}, but {how} is {computed}")
    return stated
