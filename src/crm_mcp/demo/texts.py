"""The demo org's knowledge base: what everybody is told, what sales alone is, what administrators keep to themselves."""

from typing import Any

from psycopg.types.json import Jsonb

_ARTICLES: tuple[dict[str, Any], ...] = (
    {
        "title": "Delivery and returns",
        "source": "delivery-and-returns.md",
        "tags": ["service", "returns"],
        "body": """# Delivery and returns

## Delivery times
What is on stock leaves within two working days. Made to order takes four to six weeks; say so before the order is placed.

## Damaged on arrival
Ask for a photograph of the box and of the damage within seven days. We send the part anew and collect the damaged one at our
expense. Do not ask the customer to pack it again.

## Returns
Standard goods may come back within 30 days, unused and in their box. Made to order may not. Open an issue of type return, name
the order, and credit it once the goods are here.
""",
    },
    {
        "title": "Warranty",
        "source": "warranty.md",
        "tags": ["service", "warranty"],
        "body": """# Warranty

Furniture has 24 months, office chairs 60 months on the gas spring and the base. It begins with delivery.

## Not covered
Scratches after acceptance, upholstery that has faded in the sun, and assembly by others against our instructions.

## Goodwill
Within three months after the end, support may offer the part for free and charge the technician alone.
""",
    },
    {
        "title": "Discounts we give",
        "source": "discounts.md",
        "tags": ["pricing"],
        "access": "roles",
        "roles": ["sales"],
        "body": """# Discounts we give

Up to 5 % for payment in advance, up to 10 % from 20 workplaces on. Above that, ask the sales manager first: a quote with 15 %
has never been approved without a second order behind it.
""",
    },
    {
        "title": "Suppliers in trouble",
        "source": "suppliers.md",
        "tags": ["purchasing"],
        "access": "admin",
        "body": "# Suppliers in trouble\n\nThe veneer works near Lyon pays its own suppliers late. Do not prepay there before March.\n",
    },
)


def articles() -> list[dict[str, Any]]:
    """Return the articles as rows, all with the same columns."""
    whole: dict[str, Any] = {"access": "org", "roles": []}
    rows = [{**whole, **one} for one in _ARTICLES]
    return [{**row, "tags": Jsonb(row["tags"]), "roles": Jsonb(row["roles"])} for row in rows]
