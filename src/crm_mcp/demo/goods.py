"""What the demo org sells."""

from decimal import Decimal
from random import Random
from typing import NamedTuple

TAX = Decimal(19)


class Good(NamedTuple):
    """A product with its net price and its stock today; below `reorder`, operations orders more; `warranty` in months."""

    sku: str
    name: str
    category: str
    unit: str
    price: Decimal
    currency: str
    reorder: int
    discontinued: bool
    stock: int
    warranty: int = 0


_MODELS = {
    "Desks": ("Desk", "Standing desk", "Corner desk", "Writing desk", "Bench desk"),
    "Chairs": ("Office chair", "Visitor chair", "Bar stool", "Armchair", "Dining chair", "Stacking chair"),
    "Tables": ("Conference table", "Dining table", "Side table", "Bistro table"),
    "Storage": ("Filing cabinet", "Bookcase", "Sideboard", "Locker", "Wardrobe", "Wall shelf"),
    "Lighting": ("Desk lamp", "Floor lamp", "Pendant lamp"),
}
_FINISHES = ("oak", "walnut", "white", "Björk", "anthracite")
_WARRANTY = {"Desks": 60, "Chairs": 36, "Lighting": 24}
_FROM = {"Desks": 320, "Chairs": 85, "Tables": 210, "Storage": 140, "Lighting": 49}
_IMPORTED = {"Eames-style lounge chair": "1490.00", "Acoustic booth, two seats": "5250.00"}


def goods(chance: Random) -> list[Good]:
    """Return 60 products: 58 priced in EUR, two imported ones in USD, one of them all no longer sold."""
    made: list[Good] = []
    for category, models in _MODELS.items():
        for model in models:
            for finish in _FINISHES:
                low = _FROM[category]
                cents = Decimal(chance.choice(("0.00", "0.50", "0.90", "0.95")))
                price = Decimal(chance.randrange(low, low * 5 // 2)) + cents
                made.append(Good("", f"{model}, {finish}", category, "piece", price, "EUR", 0, False, 0))
    kept = sorted(chance.sample(range(len(made)), 58))
    chosen = [made[i] for i in kept]
    chosen += [
        Good("", name, "Imports", "piece", Decimal(price), "USD", 0, False, 0) for name, price in _IMPORTED.items()
    ]
    sold = [_stocked(chance, position, good) for position, good in enumerate(chosen, 1)]
    sold[0] = sold[0]._replace(discontinued=True, stock=3)
    return sold


def _stocked(chance: Random, position: int, good: Good) -> Good:
    reorder = chance.choice((5, 10, 10, 20))
    scarce = position % 9 == 0
    stock = chance.randrange(1, reorder) if scarce else chance.randrange(reorder + 1, reorder * 12)
    sku, warranty = f"NL-{good.category[:2].upper()}-{position:03}", _WARRANTY.get(good.category, 0)
    return good._replace(sku=sku, reorder=reorder, stock=stock, warranty=warranty)
