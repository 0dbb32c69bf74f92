"""An administrator defines own fields; the other tools and the registry know of them, and values are held to them."""

import json

import pytest
from lab import LEA, LOU

from crm_mcp.crm import custom_fields
from crm_mcp.crm.custom_fields import Definition
from crm_mcp.errors import Refusal

TOOL = "define_custom_field"


async def defined(posting, **asked):
    return await posting.approve(await posting.held(TOOL, **asked))


async def registry(lab, table, email=LEA):
    async with lab.connect(email) as client:
        found = json.loads((await client.read_resource(f"crm://schema/crm/{table}")).contents[0].text)
    return {one["key"]: one for one in found.get("customFields", [])}


async def test_it_is_made_changed_and_archived_with_a_person_each_time(lab, posting):
    about = {"entity": "Account", "key": "contract_until"}
    told = await lab.ask(TOOL, {**about, "kind": "date", "reason": "we renew", "confidence": 1})
    assert told["type"] == "approval_required"
    assert "add the field 'Contract until' (date) of customers" in told["summary"]
    assert "contract_until" not in await registry(lab, "customers")
    await posting.approve(int(told["draft"]["id"][6:]))
    assert (await registry(lab, "Account", LOU))["contract_until"] == {
        "key": "contract_until", "label": "Contract until", "kind": "date",
    }  # fmt: skip
    await defined(posting, **about, action="update", label="Contract ends", required=True)
    assert (await registry(lab, "customers"))["contract_until"]["label"] == "Contract ends"
    assert (await registry(lab, "customers"))["contract_until"]["required"] is True
    assert "contract_until" not in await registry(lab, "contacts")
    await defined(posting, **about, action="archive")
    assert "contract_until" not in await registry(lab, "customers")
    await defined(posting, **about, kind="date", label="Again")
    assert (await registry(lab, "customers"))["contract_until"]["label"] == "Again"
    await defined(posting, **about, action="archive")


async def test_what_was_defined_is_taken_back(lab, posting):
    about = {"entity": "organizations", "key": "taken_back"}
    draft = await posting.held(TOOL, **about)
    await posting.approve(draft)
    assert "taken_back" in await registry(lab, "organizations")
    await posting.approve(await posting.held("undo_change", change=f"draft_{draft}"))
    assert "taken_back" not in await registry(lab, "organizations")


async def test_a_choice_that_is_in_use_is_warned_of(lab, posting):
    from psycopg.types.json import Jsonb

    about = {"entity": "organizations", "key": "tier"}
    await defined(posting, **about, choices=["Gold", "Silver"])
    from crm_mcp.crm.models import Organization

    await lab.add(Organization, {"name": "Tiered", "custom_fields": Jsonb({"tier": "Silver"})})
    told = await lab.ask(TOOL, {**about, "action": "update", "choices": ["Gold"], "reason": "fewer"})
    assert told["warnings"] == ["1 records hold a choice that is no longer offered; they keep it."]


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"key": "Bad Key"}, "INVALID_ARGUMENT"),
        ({"key": "name"}, "CUSTOM_FIELD_EXISTS"),
        ({"key": "a", "kind": "choice"}, "INVALID_ARGUMENT"),
        ({"key": "a", "kind": "text", "choices": ["x"]}, "INVALID_ARGUMENT"),
        ({"key": "a", "choices": ["x", "X"]}, "INVALID_ARGUMENT"),
        ({"key": "a", "kind": "colour"}, "INVALID_ARGUMENT"),
        ({"key": "absent", "action": "update", "label": "x"}, "UNKNOWN_CUSTOM_FIELD"),
        ({"key": "absent", "action": "archive"}, "UNKNOWN_CUSTOM_FIELD"),
        ({"key": "a", "entity": "orders"}, "UNKNOWN_ENTITY"),
    ],
    ids=str,
)
async def test_what_cannot_be_defined_is_said(posting, asked, error):
    assert (await posting.refused(TOOL, **{"entity": "organizations", **asked}))["error"] == error


async def test_what_there_is_keeps_its_kind(posting):
    about = {"entity": "projects", "key": "risk"}
    await defined(posting, **about, kind="number")
    assert (await posting.refused(TOOL, **about))["error"] == "CUSTOM_FIELD_EXISTS"
    assert (await posting.refused(TOOL, **about, action="update", kind="text"))["error"] == "CUSTOM_FIELD_KIND_FIXED"
    assert (await posting.refused(TOOL, **about, action="update", label="Risk"))["error"] == "NOTHING_TO_CHANGE"


DEFINED = [
    Definition("since", "Since", "date"),
    Definition("size", "Size", "number", required=True),
    Definition("tier", "Tier", "choice", ("Gold", "Silver")),
    Definition("vip", "VIP", "boolean"),
    Definition("site", "Site", "url"),
    Definition("memo", "Memo", "text"),
]


async def ask(sql, **params):
    return ([{**d._asdict(), "choices": list(d.choices)} for d in DEFINED],)


async def test_values_are_held_to_their_definitions():
    given = {
        "since": "2026-01-31",
        "size": 3.5,
        "tier": "gold",
        "vip": False,
        "site": "https://x.example",
        "memo": "m",
    }
    assert await custom_fields.check(ask, "deals", given, creating=True) == {**given, "tier": "Gold"}
    assert await custom_fields.check(ask, "deals", {"since": None}) == {"since": None}


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"sise": 1}, "UNKNOWN_CUSTOM_FIELD", "'size'"),
        ({"tier": "Glod"}, "INVALID_CUSTOM_FIELD", "'Gold'"),
        ({"since": "2026-02-30"}, "INVALID_CUSTOM_FIELD", "a date"),
        ({"since": 5}, "INVALID_CUSTOM_FIELD", "a date"),
        ({"size": "3"}, "INVALID_CUSTOM_FIELD", "a number"),
        ({"size": True}, "INVALID_CUSTOM_FIELD", "a number"),
        ({"size": float("nan")}, "INVALID_CUSTOM_FIELD", "a number"),
        ({"size": 10**400}, "INVALID_CUSTOM_FIELD", "a number"),
        ({"vip": "yes"}, "INVALID_CUSTOM_FIELD", "true or false"),
        ({"site": "javascript:alert(1)"}, "INVALID_CUSTOM_FIELD", "https://"),
        ({"memo": "x" * 10_001}, "INVALID_CUSTOM_FIELD", "10000"),
        ({"size": None}, "CUSTOM_FIELD_REQUIRED", "Size"),
    ],
    ids=lambda v: str(v)[:40],
)
async def test_a_value_that_does_not_fit_says_what_is_due(given, error, said):
    with pytest.raises(Refusal) as refused:
        await custom_fields.check(ask, "deals", given)
    assert refused.value.error == error and said in refused.value.hint


async def test_a_record_is_not_made_without_what_is_required():
    with pytest.raises(Refusal, match="CUSTOM_FIELD_REQUIRED"):
        await custom_fields.check(ask, "deals", {"memo": "m"}, creating=True)
