"""Every result is what its schema says, in both eras, says the same as text, and costs no more than agreed."""

import json

import jsonschema
import pytest
from arguments import leaves, valid
from asking import ADMIN, answer
from listed import PEOPLE

BUDGET = 2000
"""Tokens a result may cost (S0 §9)."""


def size(body):
    return len(json.dumps(body, ensure_ascii=False, separators=(",", ":"))) / 4


def left_out(body):
    return body["_meta"].get("leftOut") or body["_meta"].get("nextCursor") or body["_meta"].get("hasMore")


@pytest.mark.parametrize(
    ("email", "mode"),
    [*((email, "auto") for email in PEOPLE.values()), (PEOPLE["sales"], "legacy"), (PEOPLE["support"], "legacy")],
)
async def test_a_result_is_what_its_schema_says_in_structure_and_in_text(connect, world, email, mode):
    async with connect(email, mode=mode) as client:
        for tool in (await client.list_tools()).tools:
            ours = {**world.ours}
            if "draft" in tool.input_schema["properties"]:
                order = (
                    valid((await wire(client, "create_order_draft"))["inputSchema"], world.ours)
                    if email in (PEOPLE["admin"], PEOPLE["sales"])
                    else None
                )
                if order is None:
                    continue
                ours["draft"] = (await client.call_tool("create_order_draft", order)).structured_content["draft"][
                    "id"
                ]
            if "preference" in tool.input_schema["properties"]:
                wish = {"text": f"A wish in {mode}.", "reason": "a test asks"}
                ours["pref"] = (await client.call_tool("save_preference", wish)).structured_content["preference"][
                    "id"
                ]
            asked = valid(tool.input_schema, ours)
            if tool.name == "undo_change":
                note = await client.call_tool(
                    "add_note", valid((await wire(client, "add_note"))["inputSchema"], ours)
                )
                asked["change"] = note.structured_content["_meta"]["change"]
            if tool.name == "suggest_next_action":
                asked = {"record": ours["deal"]}
            if tool.name == "add_to_pipeline":
                asked["records"] = [ours["cust"]]
            if tool.name == "execute_crm_query":
                asked = {
                    "query": "select id, name, created_at from customers order by id",
                    "reasoning": "a test asks",
                }
            if tool.name == "save_memory":
                asked["about"] = ours["cust"]
            if tool.name == "revise_draft":
                asked["arguments"] = {"comment": f"revised by {email} in {mode}"}
            if "report" in asked:
                reports = (await client.call_tool("list_reports", {})).structured_content["reports"]
                if not reports:
                    continue
                asked["report"] = reports[0]["name"]
            told = await answer(client, tool.name, asked)
            assert told["error"] is False, (tool.name, told["body"])
            body = told["body"]
            jsonschema.validate(body, tool.output_schema, jsonschema.Draft202012Validator)
            noun = next(
                (
                    key
                    for key in tool.output_schema["properties"]
                    if key in body and key not in ("type", "_meta", "_display")
                ),
                "",
            )
            assert noun, "a record under its noun, or a draft"
            assert size(body) <= BUDGET or left_out(body)
            for leaf in leaves(body[noun]):
                assert str(leaf) in told["text"] or json.dumps(leaf, ensure_ascii=False) in told["text"]


async def wire(client, name):
    tool = next(tool for tool in (await client.list_tools()).tools if tool.name == name)
    return {"inputSchema": tool.input_schema}


@pytest.mark.parametrize("email", PEOPLE.values())
async def test_a_broad_question_stays_within_the_budget_and_says_what_it_left_out(connect, world, email):
    async with connect(email) as client:
        for tool in (await client.list_tools()).tools:
            if not tool.annotations.read_only_hint or "draft" in tool.input_schema["properties"]:
                continue
            asked = valid(tool.input_schema, world.ours)
            if "report" in asked:
                asked["report"] = next(
                    iter((await client.call_tool("list_reports", {})).structured_content["reports"]), {"name": ""}
                )["name"]
            body = (await answer(client, tool.name, asked))["body"]
            if "error" in body:
                continue
            assert size(body) <= BUDGET * 1.05
            total, limit = body["_meta"].get("total"), asked.get("limit")
            records = next((value for key, value in body.items() if isinstance(value, list)), [])
            if isinstance(total, int) and limit and len(records) < min(total, limit):
                assert body["_meta"]["leftOut"] and body["_meta"]["leftOutHint"]


@pytest.mark.parametrize("name", ["get_orders", "get_invoices"])
async def test_a_list_cut_short_goes_on_behind_the_last_row_shown(connect, name):
    async with connect(ADMIN) as client:
        seen, cursor, cut = [], None, False
        while True:
            asked = {"limit": 100, **({"cursor": cursor} if cursor else {})}
            body = (await client.call_tool(name, asked)).structured_content
            seen += [row["id"] for row in next(value for value in body.values() if isinstance(value, list))]
            cut = cut or "leftOut" in body["_meta"]
            total, cursor = body["_meta"]["total"], body["_meta"].get("nextCursor")
            if cursor is None or len(seen) > 400:
                break
    assert cut
    assert len(seen) == len(set(seen))
    assert len(seen) == total or (cursor and len(seen) < total)


async def test_long_notes_stay_within_the_budget(connect, world):
    async with connect(ADMIN) as client:
        for number in range(3):
            await client.call_tool(
                "add_note",
                {"about": world.ours["cust"], "body": f"{number} " + "long " * 1990, "reason": "a test asks"},
            )
        body = (
            await client.call_tool("get_customer", {"customer": world.ours["cust"], "include": ["notes"]})
        ).structured_content
        assert size(body) <= BUDGET * 1.05
        assert body["_meta"]["leftOut"]
