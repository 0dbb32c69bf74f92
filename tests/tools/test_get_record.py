"""One record whole: every field, what belongs to it, where its values came from, how it changed."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from lab import LEA, LOU, LUX
from psycopg.types.json import Jsonb
from records import full

from crm_mcp import ids as typed
from crm_mcp.crm.entities import ENTITIES
from crm_mcp.crm.entity import Kind
from crm_mcp.crm.models import (
    CustomField,
    Job,
    Note,
    Organization,
    Pipeline,
    PipelinePosition,
    PipelineStage,
    Provenance,
)

KEPT: dict[str, int] = {}
ALL = ["contacts", "deals", "leads", "projects", "tasks", "notes", "documents", "activities", "issues", "orders", "parties",
       "positions", "provenance", "history"]  # fmt: skip


@pytest.fixture
async def filled(lab):
    if not KEPT:
        async with lab.connect(LOU) as client:
            person = (await client.app.principal()).user
        KEPT.update({"person": person, **await full(lab, person, "whole")})
    return KEPT


async def test_every_filled_field_of_every_kind_shows_and_references_by_id_and_name(lab, filled):
    async with lab.connect(LEA) as client:
        for entity in ENTITIES.values():
            number = typed.show(entity.table, filled[entity.table])
            body = (await client.call_tool("get_record", {"id": number})).structured_content
            record = body["record"]
            assert (record["id"], body["_meta"]["entity"], record["created_by"]) == (number, entity.table, "Lea Lang")
            for name, field in entity.fields().items():
                if field.part not in (None, Job) or field.column == "base_amount":
                    continue
                assert name in record, (entity.table, name)
                if field.kind is Kind.RECORD:
                    assert record[name]["id"] == typed.show(field.table, filled[field.table]) and record[name]["name"]
                elif field.kind is Kind.PERSON:
                    assert record[name] == "Lou Lind"
                elif field.kind is Kind.NUMBER:
                    assert not isinstance(record[name], float)
            bare = {"entity": entity.noun.upper(), "id": number.partition("_")[2]}
            assert (await client.call_tool("get_record", bare)).structured_content["record"] == record


async def test_what_belongs_to_a_record_comes_by_name(lab, filled):
    customer = typed.show("customers", filled["customers"])
    (pipeline,) = await lab.add(Pipeline, {"name": "Whole way"})
    (stage,) = await lab.add(PipelineStage, {"pipeline_id": pipeline, "name": "Talking", "position": 1})
    standing = {
        "pipeline_id": pipeline,
        "stage_id": stage,
        "subject_type": "customers",
        "subject_id": filled["customers"],
    }

    await lab.add(
        PipelinePosition,
        {
            **standing,
            "entered_at": datetime.now(UTC),
            "score": Decimal(40),
            "manual_score": Decimal(75),
            "override_reason": "known",
        },
    )
    async with lab.connect(LEA) as client:
        record = (await client.call_tool("get_record", {"id": customer, "include": ALL[:-2]})).structured_content[
            "record"
        ]
        for name in ("contacts", "deals", "leads", "projects", "issues", "tasks", "notes", "documents"):
            assert [one["id"] for one in record[name]] == [typed.show(name, filled[name])], name
        assert [one["id"] for one in record["orders"]] == [typed.show("orders", filled["orders"])]
        (position,) = record["positions"]
        assert (position["pipeline"]["name"], position["stage"]["name"]) == ("Whole way", "Talking")
        assert (position["score"], position["score_is_manual"]) == ("75", True)
        assert record["parties"] == record["activities"] == []


async def test_more_than_are_shown_is_said(lab, filled):
    about = {"subject_type": "projects", "subject_id": filled["projects"]}
    await lab.add(Note, *({"body": f"note {turn}", **about} for turn in range(12)))
    asked = {"id": typed.show("projects", filled["projects"]), "include": ["notes"]}
    told = await lab.ask("get_record", asked)
    assert len(told["record"]["notes"]) == 10
    assert told["_meta"]["more"] == ["notes"] and "find_records" in told["_meta"]["hint"]


async def test_provenance_tells_what_was_stated_and_else_which_change_it_was(lab):
    (number,) = await lab.add(Organization, {"name": "Sourced", "city": "Sète", "industry": "Tin"})
    organization = f"org_{number}"
    stated = {"entity": "organizations", "record_id": number, "source": "its web site", "confidence": "0.9"}

    await lab.add(
        Provenance, *({**stated, "field": field, "confidence": Decimal("0.9")} for field in ("city", "industry"))
    )
    await lab.set("organizations", organization, "industry", "Zinc")
    told = await lab.ask("get_record", {"id": organization, "include": ["provenance", "history"]})
    found = {one["field"]: one for one in told["record"]["provenance"]}
    assert set(found) == {"name", "city", "industry"}
    assert (found["city"]["source"], found["city"]["confidence"]) == ("its web site", "0.9")
    assert found["city"]["by"] == found["industry"]["by"] == "Lea Lang"
    assert "source" not in found["industry"] and "source" not in found["name"], "changed since it was stated"
    assert len({one["call"] for one in found.values()}) == 3
    changed, created = told["record"]["history"]
    assert changed["fields"] == [{"field": "industry", "old": "Tin", "new": "Zinc"}]
    assert (changed["did"], created["did"], changed["by"]) == ("changed", "created", "Lea Lang")
    assert changed["call"] == found["industry"]["call"] and changed["draft"].startswith("draft_")
    assert changed["change"].startswith("chg_") and changed["approved_by"] == "Lea Lang"
    assert {"field": "city", "new": "Sète"} in created["fields"]


async def test_a_change_by_an_agent_names_the_agent_and_the_tool(lab):
    from crm_mcp.principal import Agent

    (number,) = await lab.add(Organization, {"name": "Noted"})
    note = {"about": f"org_{number}", "body": "seen", "reason": "a test asks"}
    told = await lab.ask("add_note", note, LOU, agent=Agent.CUSTOMER)
    told = await lab.ask("get_record", {"id": told["note"]["id"], "include": ["history", "provenance"]})
    (created,) = told["record"]["history"]
    assert (created["via_agent"], created["tool"], created["by"]) == ("customer", "add_note", "Lou Lind")
    assert told["record"]["provenance"][0]["via_agent"] == "customer"


async def test_the_history_of_a_lead_tells_of_its_part_too(lab, filled):
    lead = typed.show("leads", filled["leads"])
    told = await lab.ask("get_record", {"id": lead, "include": ["history", "provenance"]})
    fields = {one["field"]: one for change in told["record"]["history"] for one in change["fields"]}
    assert fields["salary_min"]["new"] == "1234.5000" and fields["owner"]["new"] == "Lou Lind"
    assert fields["organization"]["new"] == typed.show("organizations", filled["organizations"])
    assert "salary_min" in {one["field"] for one in told["record"]["provenance"]}


async def test_own_fields_come_with_their_labels(lab):
    row = {"entity": "organizations", "label": "Since when", "kind": "date"}
    await lab.add(
        CustomField,
        {**row, "key": "whole_since", "archived_at": None},
        {**row, "key": "whole_gone", "archived_at": datetime.now(UTC)},
    )
    values = {"whole_since": "2026-01-02", "whole_gone": "2026-01-02", "brought_along": 5}
    (number,) = await lab.add(Organization, {"name": "Labelled", "custom_fields": Jsonb(values)})
    told = await lab.ask("get_record", {"id": f"org_{number}", "include": ["provenance"]})
    assert told["record"]["custom"] == {
        "whole_since": {"label": "Since when", "value": "2026-01-02"},
        "brought_along": {"label": "brought_along", "value": 5},
    }
    assert "custom.whole_since" in {one["field"] for one in told["record"]["provenance"]}


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"id": "org_999999999"}, "ORGANIZATION_NOT_FOUND"),
        ({"id": "ord_1"}, "INVALID_ID"),
        ({"id": "12"}, "INVALID_ID"),
        ({"id": "12", "entity": "Order"}, "UNKNOWN_ENTITY"),
        ({"id": "org_1", "entity": "deals"}, "INVALID_ID"),
        ({"id": "note_1", "include": ["orders"]}, "UNKNOWN_FIELD"),
        ({"id": "org_1", "include": ["nonsense"]}, "INVALID_ARGUMENT"),
    ],
    ids=str,
)
async def test_what_is_not_there_is_said(lab, asked, error):
    assert (await lab.ask("get_record", asked))["error"] == error


async def test_what_the_role_may_not_see_answers_as_what_is_not_there(lab, filled):
    (note,) = await lab.add(Note, {"body": "on a deal", "subject_type": "deals", "subject_id": filled["deals"]})
    async with lab.connect(LUX) as client:

        async def ask(number, *include):
            return (await client.call_tool("get_record", {"id": number, "include": include})).structured_content

        hidden, missing = await ask(f"note_{note}"), await ask("note_99999999")
        assert hidden["error"] == missing["error"] == "NOTE_NOT_FOUND"
        deal = await ask(typed.show("deals", filled["deals"]))
        assert deal["error"] == "INVALID_ID" and "deal_…" not in deal["context"]["hint"]
        told = await ask(typed.show("projects", filled["projects"]), "history", "provenance")
        assert "deal" not in told["record"]
        told = await ask(typed.show("customers", filled["customers"]), "deals", "leads", "contacts", "history")
        assert told["record"]["contacts"] and not {"deals", "leads"} & set(told["record"])


async def test_another_orgs_record_is_not_there(lab, filled):
    for entity in ENTITIES.values():
        told = await lab.ask(
            "get_record",
            {"id": typed.show(entity.table, filled[entity.table]), "include": ["history"]},
            "ada@demo.example",
        )
        assert told["error"] == f"{entity.noun.upper()}_NOT_FOUND"
