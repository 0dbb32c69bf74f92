"""One record of every kind, each field filled, for tests that go through all of them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from lab import Lab
from psycopg.types.json import Jsonb

from crm_mcp.crm.entities import ENTITIES
from crm_mcp.crm.entity import Entity, Field, Kind
from crm_mcp.crm.models import Blob, Order

NOW = datetime(2026, 5, 4, 12, 30, 15, tzinfo=UTC)
DAY = date(2026, 5, 4)
_number = count(1)
OWN: dict[str, dict[str, Any]] = {
    "customers": {"tax_zone": "domestic"},
    "deals": {"status": "won", "probability": Decimal("60.5")},
    "documents": {"url": "https://x.example/a.pdf"},
    "products": {"currency": "EUR", "tax_class": "reduced", "tax_rate": Decimal("19.5")},
}
"""Values that the checks of a table need."""


def value_of(entity: Entity, field: Field, mark: str) -> Any:
    """Return a value that a field may hold; texts bear a mark."""
    if field.column in OWN.get(entity.table, {}):
        return OWN[entity.table][field.column]
    match field.kind:
        case Kind.TEXT:
            return "EUR" if field.column == "currency" else f"{mark}-{field.column}"
        case Kind.NUMBER:
            return Decimal("1234.5") if "Numeric" in type(_column(entity, field).type).__name__ else 42
        case Kind.DATE:
            return DAY
        case Kind.INSTANT:
            return NOW
        case Kind.FLAG:
            return True
        case Kind.CHOICE:
            return field.choices[0]
        case Kind.LIST:
            return [f"{mark}-one", f"{mark}-two"]
        case Kind.RECORD | Kind.PERSON:
            raise AssertionError(field)


def _column(entity: Entity, field: Field) -> Any:
    return (field.part or entity.model).__table__.columns[field.column]


async def full(lab: Lab, person: int, mark: str = "filled") -> dict[str, int]:
    """Make one record of every kind, each field filled, references to one another; return their numbers by table."""
    numbers: dict[str, int] = {}
    turn = next(_number)
    for table in ("organizations", "individuals", "customers", "contacts", "products", "leads", "deals", "projects"):
        numbers[table] = await one(lab, ENTITIES[table], numbers, person, f"{mark}{turn}")
    amounts = {"net_total": 1, "tax_total": 0, "gross_total": 1, "base_total": 1, "currency": "EUR"}
    (numbers["orders"],) = await lab.add(
        Order, {"customer_id": numbers["customers"], "placed_at": NOW, "status": "confirmed", **amounts}
    )
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    blob = {"name": "a.pdf", "media_type": "application/pdf", "size": 0, "sha256": digest, "content": b""}
    (numbers["blobs"],) = await lab.add(Blob, blob)
    for table in ("issues", "tasks", "notes", "documents"):
        numbers[table] = await one(lab, ENTITIES[table], numbers, person, f"{mark}{turn}")
    return numbers


async def one(lab: Lab, entity: Entity, numbers: dict[str, int], person: int, mark: str, **other: Any) -> int:
    row: dict[str, Any] = {}
    for field in entity.fields().values():
        if field.part is not None or field.column == "base_amount":
            continue
        if field.kind is Kind.RECORD:
            assert field.table is not None
            row[field.column] = numbers[field.table]
        elif field.kind is Kind.PERSON:
            row[field.column] = person
        else:
            value = value_of(entity, field, mark)
            row[field.column] = Jsonb(value) if field.kind is Kind.LIST else value
    if entity.about:
        row |= {"subject_type": "customers", "subject_id": numbers["customers"]}
    (number,) = await lab.add(entity.model, {**row, **other})
    for kind, model in entity.parts.items():
        if kind == row["kind"]:
            fields = [field for field in entity.fields().values() if field.part is model]
            await lab.add(model, {"lead_id": number} | {f.column: value_of(entity, f, mark) for f in fields})
    return number
