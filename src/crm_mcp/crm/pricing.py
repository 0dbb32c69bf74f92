"""What an order costs: one calculation, used by the quote of a price and by the order itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from .. import ids
from ..errors import Refusal
from ..money import Money, money, rounded
from ..tool import Args, View

MOST_LINES = 100
HUNDRED = Decimal(100)


class Line(Args):
    product: str = Field(max_length=60, description="prod_…")
    quantity: int = Field(gt=0, le=1_000_000)
    discount_percent: Decimal = Field(Decimal(0), ge=0, le=100, max_digits=6, decimal_places=3)


@dataclass(frozen=True, slots=True)
class Offer:
    """What is known of a product when it is priced: net unit price in `currency`, tax in per cent, units in stock."""

    id: int
    name: str
    unit_price: Decimal
    currency: str
    tax_rate: Decimal
    discontinued: bool
    stock: int

    @classmethod
    def read(cls, row: Sequence[Any]) -> "Offer":
        """Make an offer of a JSON row: id, name, unit price, currency, tax rate, discontinued, stock."""
        number, name, unit_price, currency, tax_rate, discontinued, stock = row
        return cls(number, name, Decimal(unit_price), currency, Decimal(tax_rate), discontinued, stock)


@dataclass(frozen=True, slots=True)
class Priced:
    offer: Offer
    quantity: int
    discount_percent: Decimal
    net: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True)
class Total:
    """Lines with their amounts, all in one currency; gross = net + tax, each line rounded half up."""

    lines: tuple[Priced, ...]
    currency: str
    net: Decimal
    tax: Decimal

    @property
    def gross(self) -> Decimal:
        return self.net + self.tax


class LineView(View):
    noun: ClassVar[str] = "line"
    nouns: ClassVar[str] = "lines"

    product: str
    description: str
    quantity: int
    unitPrice: Money
    discountPercent: str
    net: Money


def price(lines: Sequence[Line], offers: dict[int, Offer]) -> Total:
    """Price lines: net = quantity × unit price × (1 − discount), tax on net, each rounded to minor units.

    Raises:
        Refusal: PRODUCT_NOT_FOUND, PRODUCT_DISCONTINUED, MIXED_CURRENCIES, OUT_OF_RANGE.
    """
    priced: list[Priced] = []
    for line in lines:
        offer = offers.get(ids.parse("products", line.product))
        if offer is None:
            raise Refusal("PRODUCT_NOT_FOUND", "Find the id with search_products.", searchedId=line.product)
        if offer.discontinued:
            hint = f"{offer.name} is no longer sold. Find another with search_products."
            raise Refusal("PRODUCT_DISCONTINUED", hint, product=line.product)
        net = rounded(offer.unit_price * line.quantity * (HUNDRED - line.discount_percent) / HUNDRED, offer.currency)
        priced.append(
            Priced(
                offer,
                line.quantity,
                line.discount_percent,
                net,
                rounded(net * offer.tax_rate / HUNDRED, offer.currency),
            )
        )
    currencies = sorted({p.offer.currency for p in priced})
    if len(currencies) > 1:
        hint = f"One order has one currency; these products are priced in {', '.join(currencies)}. Make one each."
        raise Refusal("MIXED_CURRENCIES", hint, currencies=currencies)
    net, tax = sum((p.net for p in priced), Decimal(0)), sum((p.tax for p in priced), Decimal(0))
    if net + tax >= Decimal(10) ** 15:
        raise Refusal("OUT_OF_RANGE", "The total is larger than can be stored. Check the quantities.")
    return Total(tuple(priced), currencies[0], net, tax)


def line_view(line: Priced) -> LineView:
    """Return a priced line as tools show it."""
    currency = line.offer.currency
    return LineView(
        product=ids.show("products", line.offer.id),
        description=line.offer.name,
        quantity=line.quantity,
        unitPrice=money(line.offer.unit_price, currency),
        discountPercent=f"{line.discount_percent.normalize():f}",
        net=money(line.net, currency),
    )
