"""Records found by what their fields hold."""

import json
from datetime import timedelta

import pytest
from lab import LEA, LOU, LUX, ago, today
from records import DAY, NOW, OWN, full, one, value_of

from crm_mcp.crm.entities import _NAMES, ENTITIES
from crm_mcp.crm.entity import Kind
from crm_mcp.crm.models import Deal, Individual, Job, Lead, Note, Organization, Task

FIELDS = [
    pytest.param(entity, field, id=f"{entity.table}-{field.name}")
    for entity in ENTITIES.values()
    for field in entity.fields().values()
    if field.column != "base_amount"
]
KEPT: dict[str, int] = {}


@pytest.fixture
async def filled(lab):
    """The numbers by table of one record of every kind, each field filled; made once."""
    if not KEPT:
        async with lab.connect(LOU) as client:
            person = (await client.app.principal()).user
        KEPT.update({"person": person, **await full(lab, person)})
    return KEPT


async def find(lab, entity, filters=None, email=LEA, **more):
    told = await lab.ask("find_records", {"entity": entity, "filters": filters or {}, **more}, email)
    assert "records" in told, told
    return told


def ids(told):
    return [record["id"] for record in told["records"]]


async def refused(lab, email=LEA, **asked):
    told = await lab.ask("find_records", asked, email)
    assert "error" in told, told
    return told["error"], told["context"]


@pytest.mark.parametrize("name", sorted(_NAMES))
@pytest.mark.parametrize("written", [str.lower, str.upper, str.capitalize])
async def test_a_kind_of_record_is_found_by_every_name_it_has(lab, filled, name, written):
    told = await find(lab, written(name))
    assert told["_meta"]["entity"] == _NAMES[name].table
    assert told["_meta"]["total"] >= (1 if name not in ("opportunity", "opportunities", "partnership", "partnerships") else 0)


async def shown(lab, entity, filled, field):
    ident = {"organizations": "org", "individuals": "ind"}.get(entity.table)
    from crm_mcp import ids as typed

    ident = typed.show(entity.table, filled[entity.table])
    told = await find(lab, entity.table, {"id": ident}, fields=[field.name])
    assert ids(told) == [ident]
    return told["records"][0][field.name]


def conditions(entity, field, filled, value):
    """Yield conditions that the filled record meets."""
    from crm_mcp import ids as typed

    if field.kind is Kind.RECORD:
        value = typed.show(field.table, filled[field.table])
    elif field.kind is Kind.PERSON:
        yield "Lou Lind"
        yield "lou@lab.example"
        value = "LOU@lab.example"
    elif field.kind is Kind.INSTANT:
        value = NOW.isoformat()
        yield {"from": "2026-05-04", "to": "2026-05-05"}
        yield {"from": value, "to": value}
    elif field.kind is Kind.DATE:
        value = DAY.isoformat()
        yield {"from": value}
        yield {"from": "2026-01-01", "to": value}
    elif field.kind is Kind.NUMBER:
        yield {"from": float(value) - 1, "to": float(value)}
        value = str(value)
    elif field.kind is Kind.LIST:
        yield {"contains": "ONE"}
        value = value[0].upper()
    elif field.kind is Kind.TEXT:
        yield {"contains": value[1:-1].upper()}
        value = value.upper()
    yield value
    yield [value]
    yield {"not": {"not": value}}
    yield {"not": None}


@pytest.mark.parametrize(("entity", "field"), FIELDS)
async def test_every_field_of_every_kind_filters_and_shows(lab, filled, entity, field):
    from crm_mcp import ids as typed

    if field.part is not None and field.part is not Job:
        pytest.skip("the filled lead is a job")
    ident = typed.show(entity.table, filled[entity.table])
    value = None if field.kind in (Kind.RECORD, Kind.PERSON) else value_of(entity, field, "filled1")
    seen = await shown(lab, entity, filled, field)
    if field.kind is Kind.RECORD:
        assert set(seen) == {"id", "name"} and seen["id"] == typed.show(field.table, filled[field.table])
    else:
        assert seen
    for condition in conditions(entity, field, filled, value):
        assert ids(await find(lab, entity.table, {"id": ident, field.name: condition})) == [ident], condition
    for condition in (None, {"not": {"not": None}}):
        assert ids(await find(lab, entity.table, {"id": ident, field.name: condition})) == [], condition
    await find(lab, entity.table, {"lacks": field.name})
    assert ids(await find(lab, entity.table, {"id": ident, "has": [field.name]})) == [ident]
