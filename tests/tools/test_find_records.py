"""Records found by what their fields hold: every kind by every name, every field by every condition."""

import json
import re
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from lab import LEA, LOU, LUX, ago, today
from records import DAY, NOW, full, value_of

from crm_mcp import ids as typed
from crm_mcp.crm import one_pass
from crm_mcp.crm.custom_fields import KEY
from crm_mcp.crm.entities import _NAMES, ENTITIES
from crm_mcp.crm.entity import Kind
from crm_mcp.crm.models import CustomField, Deal, Job, Note, Task

SHARED = Path(__file__).parents[3] / "shared" / "data" / "sql_injection"
KEPT: dict[str, int] = {}


@pytest.fixture
async def filled(lab):
    """The numbers by table of one record of every kind, each field filled; made once."""
    if not KEPT:
        async with lab.connect(LOU) as client:
            person = (await client.app.principal()).user
        KEPT.update({"person": person, **await full(lab, person)})
    return KEPT


@asynccontextmanager
async def asking(lab, email=LEA):
    """Ask as one person: a function of entity, filters and more, which returns what is told."""
    async with lab.connect(email) as client:

        async def ask(entity, filters=None, **more):
            asked = {"entity": entity, "filters": filters or {}, **more}
            return (await client.call_tool("find_records", asked)).structured_content

        yield ask


def ids(told):
    assert "records" in told, told
    return [record["id"] for record in told["records"]]


async def test_a_kind_of_record_is_found_by_every_name_it_has_in_any_case(lab, filled):
    async with asking(lab) as ask:
        for name, entity in _NAMES.items():
            for written in (name, name.upper(), name.removesuffix("s").capitalize() + "s"):
                told = await ask(written, limit=1)
                assert told["_meta"]["entity"] == entity.table
                assert ids(told) or name[:4] in ("oppo", "part"), written
        (lead,) = ids(await ask("Job", {"id": typed.show("leads", filled["leads"])}))
        assert ids(await ask("Opportunity", {"id": lead})) == []


def conditions(field, filled, value):
    """Yield conditions that the filled record meets."""
    match field.kind:
        case Kind.RECORD:
            value = typed.show(field.table, filled[field.table])
        case Kind.PERSON:
            yield "Lou Lind"
            value = "LOU@lab.example"
        case Kind.INSTANT:
            value = NOW.isoformat()
            yield {"from": "2026-05-04", "to": "2026-05-05"}
        case Kind.DATE:
            value = DAY.isoformat()
            yield {"from": "2026-01-01", "to": value}
        case Kind.NUMBER:
            yield {"from": float(value) - 1, "to": float(value)}
            value = str(value)
        case Kind.LIST:
            yield {"contains": "ONE"}
            value = value[0].upper()
        case Kind.TEXT:
            yield {"contains": value[1:-1].upper()}
            value = value.upper()
        case _:
            pass
    yield [value, value]
    yield {"not": {"not": value}}


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=list(ENTITIES))
async def test_every_field_of_every_kind_filters_and_shows(lab, filled, entity):
    mine = {"id": typed.show(entity.table, filled[entity.table])}
    async with asking(lab) as ask:
        for name, field in entity.fields().items():
            if field.part not in (None, Job) or field.column == "base_amount":
                continue  # the filled lead is a job
            value = None if field.kind in (Kind.RECORD, Kind.PERSON) else value_of(entity, field, "filled1")
            (shown,) = (await ask(entity.table, mine, fields=[name]))["records"]
            if field.kind is Kind.RECORD:
                assert shown[name]["id"] == typed.show(field.table, filled[field.table]) and shown[name]["name"]
            else:
                assert shown[name]
            for condition in conditions(field, filled, value):
                assert ids(await ask(entity.table, {**mine, name: condition})) == [mine["id"]], (name, condition)
            assert ids(await ask(entity.table, {**mine, name: None})) == []
            assert ids(await ask(entity.table, {**mine, "has": name, name: {"not": None}})) == [mine["id"]]
        for name in ("created_by", "updated_by", "via_agent", "created_at", "updated_at"):
            await ask(entity.table, {"lacks": [name]}, fields=[name])


async def deals(lab, *rows):
    made = await lab.add(Deal, *({"name": name, **row} for name, row in rows))
    return [f"deal_{number}" for number in made]


async def test_conditions_narrow_as_they_say(lab):
    amounts = {"currency": "EUR"}
    low, high, none = await deals(
        lab,
        ("Narrow Ångström low", {**amounts, "amount": "10", "expected_close_on": today() - timedelta(days=14)}),
        ("Narrow 100% high", {**amounts, "amount": "20.5", "expected_close_on": today()}),
        ("Narrow o'none", {"currency": None, "amount": None, "expected_close_on": None}),
    )
    async with asking(lab) as ask:
        for filters, found in (
            ({}, {low, high, none}),
            ({"amount": {"from": 10, "to": 20.5}}, {low, high}),
            ({"amount": {"to": "10"}}, {low}),
            ({"amount": [10, None]}, {low, none}),
            ({"amount": {"not": 10}}, {high, none}),
            ({"expected_close_on": "today"}, {high}),
            ({"expected_close_on": {"from": "-14d", "to": "-1d"}}, {low}),
            ({"expected_close_on": None}, {none}),
            ({"name": {"contains": "angstrom"}}, {low}),
            ({"name": {"contains": "%"}}, {high}),
            ({"name": {"contains": "_"}}, set()),
            ({"name": "narrow O'NONE"}, {none}),
            ({"lacks": ["amount", "tasks"]}, {none}),
            ({"has": "tasks"}, set()),
            ({"status": ["won", "lost"]}, set()),
            ({"updated_since": "today"}, {low, high, none}),
            ({"not_updated_for_days": 14}, set()),
            ({"not_updated_for_days": 0}, {low, high, none}),
            ({"created_at": {"from": ago(1).isoformat()}, "created_by": "me"}, {low, high, none}),
            ({"updated_at": {"to": "-1d"}}, set()),
        ):
            told = await ask("deals", filters, query="narrow", limit=50)
            assert set(ids(told)) == found, filters
            assert told["_meta"]["total"] == len(found)
        for query, found in (("NÁRROW ang", {low}), ("narrow 100%", {high}), ("O'None", {none}), ("%", set())):
            assert set(ids(await ask("deals", {"name": {"contains": "narrow"}}, query=query))) == found, query


async def test_what_is_archived_is_found_where_it_is_asked_for(lab):
    live, gone = await deals(lab, ("Archive a", {"archived_at": None}), ("Archive b", {"archived_at": ago(1)}))
    async with asking(lab) as ask:
        for filters, found in (
            ({}, [live]),
            ({"archived": True}, [gone]),
            ({"archived": [True, False]}, [live, gone]),
        ):
            told = await ask("deals", filters, query="archive", sort="name")
            assert ids(told) == found
            assert ["archived_at" in record for record in told["records"]] == [one == gone for one in found]


async def test_own_fields_filter_show_and_sort_by_their_definition(lab):
    kinds = {"fit_n": "number", "fit_d": "date", "fit_b": "boolean", "fit_c": "choice", "fit_t": "text"}
    assert all(KEY.fullmatch(key) for key in kinds)
    from psycopg.types.json import Jsonb

    await lab.add(
        CustomField,
        *(
            {
                "entity": "deals",
                "key": key,
                "label": key,
                "kind": kind,
                "choices": Jsonb(["Hot", "Cold"] if kind == "choice" else []),
            }
            for key, kind in kinds.items()
        ),
    )
    one = {"fit_n": 9, "fit_d": "2026-02-03", "fit_b": True, "fit_c": "Hot", "fit_t": "Grüße"}
    two = {"fit_n": 10, "fit_d": "2026-11-03", "fit_b": False, "fit_c": "Cold", "fit_t": "x"}
    first, second, odd = await deals(
        lab,
        ("Fitting 1", {"custom_fields": Jsonb(one)}),
        ("Fitting 2", {"custom_fields": Jsonb(two)}),
        ("Fitting 3", {"custom_fields": Jsonb({"fit_n": "no number", "fit_d": "2026-02-30"})}),
    )
    async with asking(lab) as ask:
        for filters, found in (
            ({"custom.fit_n": {"from": 9, "to": 9.5}}, [first]),
            ({"custom.fit_d": {"to": "2026-02-03"}}, [first]),
            ({"custom.fit_b": False}, [second]),
            ({"custom.fit_c": "hot"}, [first]),
            ({"custom.fit_t": {"contains": "grusse"}}, [first]),
            ({"has": "custom.fit_c"}, [first, second]),
        ):
            assert ids(await ask("deals", filters, query="fitting", sort="name")) == found, filters
        told = await ask("deals", query="fitting", sort="-custom.fit_n", fields=["custom.fit_n", "custom.fit_t"])
        assert ids(told) == [second, first, odd]
        assert [r.get("custom.fit_n") for r in told["records"]] == ["10", "9", None]
        assert (await ask("deals", {"custom.fit_m": 1}))["context"]["hint"].startswith(
            "There is no field 'custom.fit_m'"
        )
        wrong = await ask("deals", {"custom.fit_n": "many"})
        assert (wrong["error"], wrong["context"]["field"]) == ("INVALID_FILTER", "custom.fit_n")
        assert (await ask("deals", {"custom.fit_c": "warm"}))["context"]["known"] == ["Hot", "Cold"]


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"entity": "Organisation"}, "UNKNOWN_ENTITY", "Did you mean 'organizations'?"),
        ({"entity": "invoices"}, "UNKNOWN_ENTITY", "There is no entity"),
        ({"filters": {"emplyees": 1}}, "UNKNOWN_FIELD", "Did you mean 'employees'?"),
        ({"filters": {"not_updated_for": 1}}, "UNKNOWN_FIELD", "Did you mean 'not_updated_for_days'?"),
        ({"filters": {"has": "contcts"}}, "UNKNOWN_FIELD", "Did you mean 'contacts'?"),
        ({"fields": ["websit"]}, "UNKNOWN_FIELD", "Did you mean 'website'?"),
        ({"sort": "-nam"}, "UNKNOWN_FIELD", "Did you mean 'name'?"),
        ({"sort": "owner"}, "INVALID_SORT", "owner"),
        ({"filters": {"employees": "many"}}, "INVALID_FILTER", "employees: give a number"),
        ({"filters": {"employees": True}}, "INVALID_FILTER", "a number"),
        ({"filters": {"employees": {"contains": "1"}}}, "INVALID_FILTER", '"from"'),
        ({"filters": {"name": {"from": "a"}}}, "INVALID_FILTER", '"contains"'),
        ({"filters": {"name": []}}, "INVALID_FILTER", "a list of one"),
        ({"filters": {"updated_at": "yesterday"}}, "INVALID_FILTER", "today"),
        ({"filters": {"archived": "yes"}}, "INVALID_FILTER", "true or false"),
        ({"filters": {"not_updated_for_days": "14"}}, "INVALID_FILTER", "whole number of days"),
        ({"filters": {"id": "cust_1"}}, "INVALID_ID", "(customer)"),
        ({"filters": {"owner": "Nobody Known"}}, "PERSON_NOT_FOUND", "me"),
        ({"entity": "leads", "filters": {"status": "qualifed"}}, "UNKNOWN_CHOICE", "Did you mean 'qualified'?"),
        ({"entity": "job", "filters": {"decision_maker": "x"}}, "UNKNOWN_FIELD", "decision_maker"),
    ],
    ids=str,
)
async def test_what_cannot_be_asked_names_what_can(lab, asked, error, said):
    told = await lab.ask("find_records", {"entity": "organizations", **asked})
    assert told["error"] == error, told
    assert said in told["context"]["hint"] or said in json.dumps(told["context"])


@pytest.mark.parametrize("sort", ["-updated_at", "name", "-amount", "expected_close_on", "id"])
async def test_a_walk_with_cursors_has_no_gap_and_no_repeat_while_records_are_added(lab, sort):
    mark = f"walk{sort.strip('-').replace('_', '')}"
    rows = [
        (f"{mark} {turn % 3}", {"currency": None if turn % 2 else "EUR", "amount": None if turn % 2 else turn % 4,
                                "expected_close_on": None if turn % 3 else today()})
        for turn in range(7)
    ]  # fmt: skip
    made = set(await deals(lab, *rows))
    seen, cursor = [], None
    async with asking(lab) as ask:
        for turn in range(4):
            told = await ask("deals", query=mark, sort=sort, limit=2, **({"cursor": cursor} if cursor else {}))
            seen += ids(told)
            cursor = told["_meta"].get("nextCursor")
            if turn == 1:
                await deals(lab, (f"{mark} 1", {"currency": "EUR", "amount": 1, "expected_close_on": today()}))
            if cursor is None:
                break
        other = await ask(
            "deals", query="else", sort=sort, limit=2, cursor=told["_meta"].get("nextCursor") or "x" * 40
        )
    assert len(seen) == len(set(seen))
    assert made <= set(seen)
    assert other["error"] == "INVALID_CURSOR"


async def test_a_kind_the_role_may_not_see_is_no_kind(lab, filled):
    async with asking(lab, LUX) as ask:
        for entity in ("leads", "deals", "Opportunity"):
            unknown = await ask("nonsense" + entity)
            for filters in ({}, {"nonsense": 1}, {"status": "open"}):
                told = await ask(entity, filters)
                assert told["error"] == "UNKNOWN_ENTITY"
                assert told["context"]["known"] == unknown["context"]["known"]
                assert not {"leads", "deals"} & set(told["context"]["known"])
        told = await ask("projects", {"deal": None})
        assert told["error"] == "UNKNOWN_FIELD" and "deal" not in told["context"]["known"]
        assert (await ask("organizations", {"lacks": "deals"}))["error"] == "UNKNOWN_FIELD"
        (project,) = (await ask("projects", {"id": typed.show("projects", filled["projects"])}))["records"]
        assert "deal" not in project


async def test_what_is_about_a_hidden_record_is_hidden(lab, filled):
    about = {"subject_type": "deals", "subject_id": filled["deals"]}
    (note,) = await lab.add(Note, {"body": "hidden matter", **about})
    (task,) = await lab.add(Task, {"title": "hidden matter", **about})
    (below,) = await lab.add(Task, {"title": "hidden matter below", "subject_type": "tasks", "subject_id": task})
    for email, found in ((LEA, 1), (LUX, 0)):
        async with asking(lab, email) as ask:
            assert ids(await ask("notes", query="hidden matter")) == [f"note_{note}"] * found
            assert (
                ids(await ask("tasks", query="hidden matter", sort="id"))
                == [f"task_{task}", f"task_{below}"][: 2 * found]
            )
            told = await ask("notes", {"about": typed.show("deals", filled["deals"])})
            assert (f"note_{note}" in ids(told)) is bool(found)


async def test_another_orgs_records_are_never_found(lab, filled):
    async with asking(lab, "ada@demo.example") as ask:
        for entity in ENTITIES.values():
            told = await ask(entity.table, {"id": typed.show(entity.table, filled[entity.table])})
            assert (ids(told), told["_meta"]["total"]) == ([], 0)
            assert ids(await ask(entity.table, query="filled1")) == []


async def test_hostile_text_in_any_argument_finds_nothing_and_breaks_nothing(lab, filled):
    if not SHARED.exists():
        pytest.skip(f"{SHARED} is not here")
    lines = [
        line
        for file in sorted(SHARED.glob("*.txt"))
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip()
    ]
    places = (
        lambda text: {"filters": {"name": text}},
        lambda text: {"filters": {"name": {"contains": text}}},
        lambda text: {"filters": {"technologies": [text]}},
        lambda text: {"filters": {"email": {"not": {"not": text}}, "phone": {"not": None}}},
        lambda text: {"filters": {"owner": text}},
        lambda text: {"filters": {text: 1}},
        lambda text: {"filters": {f"custom.{text}": text}},
        lambda text: {"filters": {"has": text}},
        lambda text: {"filters": {"id": text}},
        lambda text: {"filters": {"updated_since": text}},
        lambda text: {"sort": text},
        lambda text: {"fields": [text]},
        lambda text: {"entity": text},
        lambda text: {"cursor": text},
        lambda text: {"query": text[:300]},
    )
    async with lab.connect(LEA) as client:
        for at, line in enumerate(lines[:: max(1, len(lines) // 150)]):
            asked = {"entity": "organizations", **places[at % len(places)](line)}
            told = (await client.call_tool("find_records", asked)).structured_content
            assert told.get("error") not in ("INTERNAL", "DATABASE_UNAVAILABLE", "TOO_SLOW"), (asked, told)
            if "records" in told and "query" not in asked:
                assert told["records"] == [], asked


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=list(ENTITIES))
def test_a_free_query_looks_where_the_kind_of_record_says(owner_asks, entity):
    made = owner_asks(
        """select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
        where a.attrelid = %s::regclass and a.attname = 'search_key'""",
        f"crm.{entity.table}",
    )
    assert tuple(re.findall(r"COALESCE\((\w+)", made)) == entity.search


@pytest.mark.parametrize("sort", ["-updated_at", "updated_at", "name", "-amount"])
async def test_many_matches_are_paged_in_the_lists_own_order_as_few_are(lab, monkeypatch, sort):
    mark = f"Way {sort}"
    amounts = (Decimal(5), None, Decimal(7), Decimal(5), Decimal(1))
    rows = [
        {"name": f"D{5 - at}", "lost_reason": mark, "amount": amount, "currency": None if amount is None else "EUR"}
        for at, amount in enumerate(amounts)
    ]
    await lab.add(Deal, *rows)

    async def walked(ask):
        seen, cursor = [], None
        while True:
            told = await ask(
                "deals", {"lost_reason": mark}, sort=sort, limit=2, **({"cursor": cursor} if cursor else {})
            )
            seen += ids(told)
            if (cursor := told["_meta"].get("nextCursor")) is None:
                return seen, told["_meta"]["total"]

    async with asking(lab) as ask:
        few, total = await walked(ask)
        monkeypatch.setattr(one_pass, "COUNTED", 3)
        many, _ = await walked(ask)
    assert (len(few), total) == (5, 5)
    assert many == few
