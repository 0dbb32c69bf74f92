"""Money: a decimal with its currency, in the currency's minor units, rounded half up as invoices are."""

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from typing import Annotated

from pydantic import BaseModel, Field, WithJsonSchema

ZERO_DECIMALS = frozenset(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ]
)
THREE_DECIMALS = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])
"""ISO 4217, minor units other than two."""

Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO 4217 code.")]


Percent = Annotated[
    Decimal,
    Field(ge=0, le=100, max_digits=6, decimal_places=3),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100}),
]
"""A share in per cent; text is taken too, and exact."""
Sum = Annotated[Decimal, Field(gt=0, max_digits=19, decimal_places=4), WithJsonSchema({"type": "string"})]
"""An amount above zero as an argument: told to clients as text, so that none of them sends a float."""


class Money(BaseModel):
    """An amount as tools show it: never a float."""

    amount: str = Field(description='Decimal as text, such as "12.50".')
    currency: str


def minor_units(currency: str) -> int:
    """Return how many decimals a currency has (ISO 4217)."""
    return 0 if currency in ZERO_DECIMALS else 3 if currency in THREE_DECIMALS else 2


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Round half up to the currency's minor units."""
    return amount.quantize(Decimal(1).scaleb(-minor_units(currency)), ROUND_HALF_UP)


def summed(amount: Decimal) -> Decimal:
    """Return a sum of quotients as it would be of fractions, to nine decimals.

    Postgres gives a quotient below 10^8 at least twelve decimals, so that three times five sixths of a cent lack a
    little of the half that is rounded up. Fewer decimals here would round up what is truly below a half.
    """
    return amount.quantize(Decimal("1e-9"), ROUND_HALF_EVEN, Context(prec=60))


def money(amount: Decimal, currency: str) -> Money:
    """Return the wire form of an amount, rounded to the currency's minor units."""
    return Money(amount=str(rounded(amount, currency)), currency=currency)


def said(amount: Decimal, currency: str) -> str:
    """Return an amount as a sentence says it: EUR 1,240.00."""
    return f"{currency} {rounded(amount, currency):,}"


def money_sql(amount: str, currency: str) -> str:
    """Return the SQL expression of an amount's wire form, for reads; both arguments are SQL expressions."""
    return f"crm.money({amount}, {currency})"
