"""What an order costs: one calculation, used by the price that is asked, the quote and the order itself."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Protocol

from pydantic import Field

from .. import ids
from ..errors import Refusal
from ..money import Money, Percent, money, rounded
from ..tool import Args, View

MOST_LINES = 100
HUNDRED = Decimal(100)
OFFERS = """(select coalesce(jsonb_agg(jsonb_build_array(p.id, p.name, p.unit_price::text, p.currency,
   (coalesce((select t.rate from crm.tax_rates t where t.org_id = p.org_id and t.tax_class = p.tax_class
       and t.zone = coalesce({zone}, 'domestic') and t.valid_from <= %(today)s::date order by t.valid_from desc limit 1),
     case when coalesce({zone}, 'domestic') = 'domestic' then p.tax_rate end))::text, p.discontinued,
   (select coalesce(sum(m.quantity), 0) from crm.stock_movements m where m.org_id = p.org_id and m.product_id = p.id)
   - (select coalesce(sum(r.quantity), 0) from crm.stock_reservations r where r.org_id = p.org_id and r.product_id = p.id
       and r.released_at is null))), '[]')
 from crm.products p where p.org_id = %(org)s and p.id = any(%(products)s) and p.archived_at is null)"""
"""Products as offers for one tax zone, an SQL expression; needs %(org)s, %(products)s and %(today)s."""


class Line(Args):
    product: str = Field(max_length=60, description="prod_…")
    quantity: int = Field(gt=0, le=1_000_000)
    discount_percent: Percent = Decimal(0)


@dataclass(frozen=True, slots=True)
class Offer:
    """What is known of a product when it is priced: net unit price in `currency`, tax in per cent, units available.

    `tax_rate` is None where no rate is stated for the customer's tax zone. Available is stock less reservations.
    """

    id: int
    name: str
    unit_price: Decimal
    currency: str
    tax_rate: Decimal | None
    discontinued: bool
    available: int

    @classmethod
    def read(cls, row: Sequence[Any]) -> "Offer":
        """Make an offer of a JSON row of OFFERS."""
        number, name, unit_price, currency, tax_rate, discontinued, available = row
        rate = None if tax_rate is None else Decimal(tax_rate)
        return cls(number, name, Decimal(unit_price), currency, rate, discontinued, available)


@dataclass(frozen=True, slots=True)
class Priced:
    """A line with its amounts: net unit price, both discounts taken off `net`, tax on it."""

    product: int
    name: str
    quantity: int
    unit_price: Decimal
    discount_percent: Decimal
    tax_rate: Decimal
    net: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True)
class Total:
    """Lines with their amounts, all in one currency; gross = net + tax, each line rounded half up.

    `discount_percent` is the discount on the whole, taken off each line after its own.
    """

    lines: tuple[Priced, ...]
    currency: str
    discount_percent: Decimal
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
    taxPercent: str
    net: Money


def price(lines: Sequence[Line], offers: Mapping[int, Offer], discount_percent: Decimal = Decimal(0)) -> Total:
    """Price lines: net = quantity × unit price × (1 − discount) × (1 − discount on the whole), tax on net, each rounded
    to minor units.

    Raises:
        Refusal: PRODUCT_NOT_FOUND, PRODUCT_DISCONTINUED, TAX_RATE_UNKNOWN, MIXED_CURRENCIES, OUT_OF_RANGE.
    """
    priced: list[Priced] = []
    for line in lines:
        offer = offers.get(ids.parse("products", line.product))
        if offer is None:
            raise Refusal("PRODUCT_NOT_FOUND", "Find the id with search_products.", searchedId=line.product)
        if offer.discontinued:
            hint = f"{offer.name} is no longer sold. Find another with search_products."
            raise Refusal("PRODUCT_DISCONTINUED", hint, product=line.product)
        priced.append(of_offer(offer, line.quantity, line.discount_percent, discount_percent))
    return total(priced, [offers[p.product].currency for p in priced], discount_percent)


def of_offer(offer: Offer, quantity: int, discount_percent: Decimal, on_the_whole: Decimal) -> Priced:
    """Price one line of today's offer.

    Raises:
        Refusal: TAX_RATE_UNKNOWN.
    """
    if offer.tax_rate is None:
        hint = (
            f"No tax rate is stated for {offer.name} in the customer's tax zone. An administrator imports tax rates."
        )
        raise Refusal("TAX_RATE_UNKNOWN", hint, product=ids.show("products", offer.id))
    return line(
        offer.id,
        offer.name,
        quantity,
        offer.unit_price,
        discount_percent,
        on_the_whole,
        offer.tax_rate,
        offer.currency,
    )


def line(
    product: int,
    name: str,
    quantity: int,
    unit_price: Decimal,
    discount_percent: Decimal,
    on_the_whole: Decimal,
    tax_rate: Decimal,
    currency: str,
) -> Priced:
    """Return a line with its amounts in `currency`, of a price that is agreed."""
    kept = (HUNDRED - discount_percent) / HUNDRED * (HUNDRED - on_the_whole) / HUNDRED
    net = rounded(unit_price * quantity * kept, currency)
    tax = rounded(net * tax_rate / HUNDRED, currency)
    return Priced(product, name, quantity, unit_price, discount_percent, tax_rate, net, tax)


def total(lines: Sequence[Priced], currencies: Iterable[str], discount_percent: Decimal) -> Total:
    """Add lines up.

    Raises:
        Refusal: MIXED_CURRENCIES, OUT_OF_RANGE.
    """
    known = sorted(set(currencies))
    if len(known) > 1:
        hint = f"One document has one currency; these products are priced in {', '.join(known)}. Make one each."
        raise Refusal("MIXED_CURRENCIES", hint, currencies=known)
    net, tax = sum((p.net for p in lines), Decimal(0)), sum((p.tax for p in lines), Decimal(0))
    if net + tax >= Decimal(10) ** 15:
        raise Refusal("OUT_OF_RANGE", "The total is larger than can be stored. Check the quantities.")
    return Total(tuple(lines), known[0], discount_percent, net, tax)


class Agreed(Protocol):
    """A line as a document keeps it."""

    product_id: Any
    description: Any
    quantity: Any
    unit_price: Any
    discount_percent: Any
    tax_rate: Any
    net_amount: Any
    tax_amount: Any


def agreed(line: Agreed) -> Priced:
    """Return a document's line with the amounts that were agreed."""
    return Priced(
        line.product_id,
        line.description,
        line.quantity,
        line.unit_price,
        line.discount_percent,
        line.tax_rate,
        line.net_amount,
        line.tax_amount,
    )


def columns(line: Priced) -> dict[str, Any]:
    """Return a priced line as a document keeps it."""
    return {
        "product_id": line.product,
        "description": line.name,
        "quantity": line.quantity,
        "unit_price": line.unit_price,
        "discount_percent": line.discount_percent,
        "tax_rate": line.tax_rate,
        "net_amount": line.net,
        "tax_amount": line.tax,
    }


def line_view(line: Priced, currency: str) -> LineView:
    """Return a priced line as tools show it."""
    return LineView(
        product=ids.show("products", line.product),
        description=line.name,
        quantity=line.quantity,
        unitPrice=money(line.unit_price, currency),
        discountPercent=_percent(line.discount_percent),
        taxPercent=_percent(line.tax_rate),
        net=money(line.net, currency),
    )


def items(lines: Sequence[Priced]) -> str:
    """Return what is bought as a sentence says it: the first three, and how many more."""
    named = ", ".join(f"{line.quantity} × {line.name}" for line in lines[:3])
    return named + (f" and {len(lines) - 3} more" if len(lines) > 3 else "")


def shortages(lines: Sequence[Priced], offers: Mapping[int, Offer]) -> list[tuple[Offer, int]]:
    """Return what is asked beyond what is available: the offer and the units that are missing."""
    asked: dict[int, int] = {}
    for one in lines:
        asked[one.product] = asked.get(one.product, 0) + one.quantity
    return [
        (offers[product], units - max(0, offers[product].available))
        for product, units in asked.items()
        if product in offers and offers[product].available < units
    ]


def _percent(share: Decimal) -> str:
    return f"{share.normalize():f}"
