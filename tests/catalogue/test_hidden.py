"""What a principal may not see does not exist for them: tools, other orgs' records, drafts, resources."""

import json
import re

import psycopg
import pytest
from arguments import id_arguments, leaves, valid, valid_with
from asking import ADMIN, CANARY, OTTO, answer
from listed import NAMES, PEOPLE, ROWS, WIRE
from mcp import MCPError
from mcp.types import ResourceTemplateReference

from crm_mcp import ids
from crm_mcp.crm.entities import ENTITIES
from crm_mcp.principal import Agent

IDS = [(name, where) for name in NAMES for where in id_arguments(WIRE[name]["inputSchema"])]
WHO = [(email, None) for email in PEOPLE.values()] + [(PEOPLE["sales"], agent) for agent in Agent]
A_TEXT = re.compile(r"\b[a-z]{2,5}_[1-9]\d*\b")
SEARCHES = ("zqxcanary mobel", "canary.example", "+49999111222", "harbour")
"""Which find the canary, and are written otherwise than it is."""
RECORDS = frozenset(ids.PREFIX[table] for table in ENTITIES)
"""What the generic tools know."""
SUBJECTS = RECORDS - {"note", "doc"} | {"quo", "ord", "inv", "pay"}
"""What a note, a task or an activity may be about."""
NOUNS = {prefix: ids.NOUN[kind] for kind, prefix in ids.PREFIX.items()}


def named(case):
    name, where = case
    return f"{name}-{'.'.join(map(str, where.path))}-{where.prefix}"


def without(told, given):
    """Return an answer as text, what was given in it replaced."""
    return re.sub(rf"\b{re.escape(given)}\b", "GIVEN", json.dumps(told, sort_keys=True, ensure_ascii=False))


@pytest.mark.parametrize(
    ("email", "agent", "mode"), [(*who, "auto") for who in WHO] + [(*who, "legacy") for who in WHO[3:6]], ids=str
)
async def test_a_hidden_tool_answers_exactly_as_an_unknown_one(connect, world, email, agent, mode):
    async with connect(email, agent=agent, mode=mode) as client:
        listed = [tool.name for tool in (await client.list_tools()).tools]
        role = next(role for role, mail in PEOPLE.items() if mail == email)
        may = [
            r["wire"]["name"]
            for r in ROWS
            if role in r["roles"] and (agent in r["agents"] if agent else r.get("persons", True))
        ]
        assert listed == may
        unknown = without(await answer(client, "no_such_tool", {"customer": world.ours["cust"]}), "no_such_tool")
        assert '"code": -32602' in unknown
        for name in set(NAMES) - set(listed):
            asked = valid(WIRE[name]["inputSchema"], world.ours)
            assert without(await answer(client, name, asked), name) == unknown
            assert without(await answer(client, name, {"nonsense": 1}), name) == unknown


@pytest.mark.parametrize("case", IDS, ids=named)
async def test_a_foreign_id_answers_exactly_as_a_missing_one(connect, world, case):
    name, where = case
    schema = WIRE[name]["inputSchema"]
    foreign, missing = world.theirs[where.prefix], world.nobodys[where.prefix]
    async with connect(ADMIN) as client:
        told = [
            without(await answer(client, name, valid_with(schema, world.ours, where.path, given)), given)
            for given in (foreign, missing)
        ]
        assert told[0] == told[1]
        assert CANARY not in told[0]


@pytest.mark.parametrize("case", IDS, ids=named)
async def test_an_id_of_another_kind_is_refused_by_its_kind(connect, world, case):
    name, where = case
    schema = WIRE[name]["inputSchema"]
    async with connect(ADMIN) as client:
        for prefix, noun in NOUNS.items():
            if prefix in where.kinds or (where.any and prefix in (RECORDS if name == "get_record" else SUBJECTS)):
                continue
            told = await answer(client, name, valid_with(schema, world.ours, where.path, f"{prefix}_1"))
            assert told["error"] is True
            assert told["body"]["error"] == "INVALID_ID"
            assert f"({noun})" in told["body"]["context"]["hint"]
            assert f"{where.prefix}_" in told["body"]["context"]["hint"]


@pytest.fixture
def asked_of_postgres(monkeypatch):
    """Write down every statement that is sent: its text, its parameters, and the cursor that knows how many rows came."""
    sent, execute = [], psycopg.AsyncCursor.execute

    async def written(cursor, query, params=None, **options):
        sent.append((query, params, cursor))
        return await execute(cursor, query, params, **options)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", written)
    return sent


def work(plan):
    """Return what the nodes of an executed plan did: each one's rows, loops, and rows that it found and left out."""
    did = {key: count for key, count in plan.items() if key.startswith(("Actual", "Rows Removed"))}
    return plan["Node Type"], did, [work(part) for part in plan.get("Plans", [])]


@pytest.mark.parametrize("case", [c for c in IDS if WIRE[c[0]]["annotations"]["readOnlyHint"]], ids=named)
async def test_a_foreign_id_is_no_more_work_than_a_missing_one(connect, world, home, asked_of_postgres, case):
    """So that no time tells them apart: the same statements, and Postgres touches as many rows in each step of them."""
    name, where = case
    done = []
    async with connect(ADMIN) as client:
        await client.list_tools()
        for given in (world.theirs[where.prefix], world.nobodys[where.prefix]):
            asked = valid_with(WIRE[name]["inputSchema"], world.ours, where.path, given)
            await answer(client, name, asked)  # the first call of a tool may have more to do
            asked_of_postgres.clear()
            await answer(client, name, asked)
            done.append(list(asked_of_postgres))
    foreign, missing = ([(text, cursor.rowcount) for text, _, cursor in sent] for sent in done)
    assert foreign == missing
    reads = [[(text, params) for text, params, _ in sent if re.match(r"\s*(select|with)\b", text)] for sent in done]
    with psycopg.connect(home.conninfo("crm_agent")) as conn:
        conn.execute(next(text for text, _, _ in done[0] if text.startswith("set local crm.org_id")))
        explain = "explain (analyze, timing off, costs off, buffers off, summary off, format json) "
        plans = [[conn.execute(explain + text, params).fetchone()[0][0]["Plan"] for text, params in r] for r in reads]
    assert reads[0] or not done[0]
    assert [work(plan) for plan in plans[0]] == [work(plan) for plan in plans[1]]


@pytest.mark.parametrize(("email", "agent"), WHO, ids=str)
async def test_nothing_of_the_neighbour_shows_in_any_tool(connect, world, email, agent):
    async with connect(email, agent=agent) as client:
        for tool in (await client.list_tools()).tools:
            asked = valid(tool.input_schema, world.ours)
            variants = [asked]
            if tool.name == "execute_crm_query":
                tables = (await client.call_tool("get_schema", {})).structured_content["schema"]["tables"]
                variants = [
                    {"query": f"select * from {one['table']}", "reasoning": "a test", "limit": 1000} for one in tables
                ]
            elif "query" in tool.input_schema["properties"]:
                variants += [{**asked, "query": query} for query in SEARCHES]
            for argument in id_arguments(tool.input_schema):
                theirs = world.theirs[argument.prefix]
                variants.append(valid_with(tool.input_schema, world.ours, argument.path, theirs))
            if "report" in tool.input_schema["properties"]:
                reports = (await client.call_tool("list_reports", {})).structured_content["reports"]
                variants += [{"report": report["name"]} for report in reports]
            for given in variants:
                told = await answer(client, tool.name, given)
                text = json.dumps(told, ensure_ascii=False)
                echoed = {leaf for leaf in leaves(given) if isinstance(leaf, str)}
                assert CANARY not in text
                assert "Harbour Supplies" not in text
                assert "@other.example" not in text
                assert not (set(A_TEXT.findall(text)) & world.all_theirs) - echoed
                if given.get("query") in SEARCHES[:3]:
                    assert next(part for part in told["body"].values() if isinstance(part, list)) == []


async def test_the_neighbour_does_see_the_canary(connect, world):
    """Else the test above could not fail."""
    async with connect(OTTO) as client:
        for tool, noun, asked in (
            ("search_customers", "customers", {"query": SEARCHES[0]}),
            ("search_products", "products", {"query": CANARY}),
        ):
            assert CANARY in json.dumps((await client.call_tool(tool, asked)).structured_content[noun])
        found = (await client.call_tool("search_customers", {"query": CANARY})).structured_content["customers"][0]
        for tool in ("get_invoices", "get_payments"):
            owed = (await client.call_tool(tool, {"customer": found["id"]})).structured_content
            assert json.dumps(owed).count(CANARY) >= 2
        include = ["notes", "openIssues", "activity", "contacts"]
        seen = (
            await client.call_tool("get_customer", {"customer": found["id"], "include": include})
        ).structured_content
        assert json.dumps(seen["customer"]).count(CANARY) >= 5


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_foreign_draft_is_no_resource(connect, world, mode):
    async with connect(ADMIN, mode=mode) as client:
        told = []
        for given in (world.theirs["draft"], world.nobodys["draft"]):
            with pytest.raises(MCPError) as refused:
                await client.read_resource(f"crm://drafts/{given}")
            error = refused.value.error
            told.append(without([error.code, error.message, error.data], given))
        assert told[0] == told[1]
        assert "DRAFT_NOT_FOUND" in told[0]
        with pytest.raises(MCPError, match="INVALID_ID"):
            await client.read_resource("crm://drafts/cust_1")
        assert (
            world.ours["draft"]
            in (await client.read_resource(f"crm://drafts/{world.ours['draft']}")).contents[0].text
        )


async def test_completion_and_resources_know_nothing_of_the_neighbour(connect, world):
    for email in PEOPLE.values():
        async with connect(email) as client:
            reference = ResourceTemplateReference(uri="crm://drafts/{id}")
            offered = (await client.complete(reference, {"name": "id", "value": ""})).completion.values
            assert (world.ours["draft"] in offered) is (email == ADMIN)
            assert not set(offered) & world.all_theirs
            for given in (world.theirs["draft"], "%", "_", "draft\\_"):
                assert (
                    not set((await client.complete(reference, {"name": "id", "value": given})).completion.values)
                    & world.all_theirs
                )
            for resource in (await client.list_resources()).resources:
                text = (await client.read_resource(str(resource.uri))).contents[0].text
                assert CANARY not in text and "Harbour" not in text
                assert not set(A_TEXT.findall(text)) & world.all_theirs


async def test_a_person_sees_no_draft_of_a_colleague(connect, world):
    async with connect(PEOPLE["sales"]) as client:
        told = [
            without(await answer(client, "get_draft", {"draft": given}), given)
            for given in (world.ours["draft"], world.nobodys["draft"])
        ]
        assert told[0] == told[1]
