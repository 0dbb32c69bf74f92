"""Hints say what stands in the live catalog, and to each role only what it sees."""

import json
import re
from contextlib import contextmanager

import psycopg
import pytest

from crm_mcp.principal import Role
from crm_mcp.query import examples, hints, values
from crm_mcp.query import views as query_views
from crm_mcp.query.hints import Sight
from crm_mcp.tools.query.get_schema import ONE

FINANCE = "fin@demo.example"
CHECKED = """select c.relname, a.attname, pg_get_constraintdef(k.oid) from pg_constraint k join pg_class c on c.oid = k.conrelid
 join pg_attribute a on a.attrelid = c.oid and a.attnum = k.conkey[1]
 join crm.reasoning r on r.type = 'crm' and r.table_name = case c.relname when 'memberships' then 'people' else c.relname end
 where k.contype = 'c' and c.relnamespace = 'crm'::regnamespace and cardinality(k.conkey) = 1
 and r.schema_hint -> 'columns' ? a.attname and pg_get_constraintdef(k.oid) like '%= ANY (ARRAY[%'"""
"""The columns of registered tables that hold one of a list; people are members."""
VIEWED = """select c.relname, array_agg(a.attname::text) from pg_class c join pg_attribute a on a.attrelid = c.oid
 where c.relnamespace = 'query_admin'::regnamespace and a.attnum > 0 and not a.attisdropped group by 1"""


@pytest.fixture
def owner(home):
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        yield conn
        conn.rollback()


@pytest.fixture
def viewed(owner):
    """Return table → the columns of its view."""
    return dict(owner.execute(VIEWED).fetchall())


@pytest.fixture
def seen(owner):
    """Return role → the tables that it sees."""
    found = dict.fromkeys([role.value for role in Role], ())
    for role in found:
        found[role] = owner.execute(f"select {hints.SEEN}", {"role": role, "org": 1}).fetchone()[0]
    return found


def test_every_value_that_a_column_may_hold_is_explained_and_no_other(owner, viewed, seen):
    there = {}
    for table, column, check in owner.execute(CHECKED).fetchall():
        listed = re.search(r"= ANY \(ARRAY\[(.*?)\]", check)
        there["people" if table == "memberships" else table, column] = set(re.findall(r"'([^']*)'::", listed[1]))
    told = {
        (table, column): set(meant)
        for table in hints.HINTS
        for column, meant in hints.shown(table, viewed[table], Sight(seen["admin"])).get("values", {}).items()
    }
    assert len(there) >= 25
    assert told == there
    assert values.VALUES.keys() <= hints.HINTS.keys()
    assert all(
        meaning for columns in values.VALUES.values() for meant in columns.values() for meaning in meant.values()
    )


def test_what_a_typed_table_is_said_to_hold_is_what_it_holds(owner):
    """Its view has the columns that are described, each role that it names sees all that it is made of, and no other may."""
    views = {
        (schema, name): columns
        for schema, name, columns in owner.execute(
            "select n.nspname::text, c.relname::text, array_agg(a.attname::text order by a.attnum) from pg_class c join pg_namespace n "
            "on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 where n.nspname ~ '^query_.*_(finance|analytics)$' "
            "group by 1, 2"
        ).fetchall()
    }
    roles = dict(owner.execute("select table_name, roles from crm.reasoning where type = 'crm'").fetchall())
    kept = {
        (type, name): (description, hint, roles, aliases)
        for type, name, description, hint, roles, aliases in owner.execute(
            "select type, table_name, description, schema_hint, roles, aliases from crm.reasoning where type <> 'crm'"
        )
    }
    assert kept.keys() == hints.TYPED.keys() and len(kept) >= 10
    for (type, name), one in hints.TYPED.items():
        assert kept[type, name] == (one.description, one.hint(), list(one.roles), list(one.aliases))
        assert set(one.roles) <= set.intersection(*(set(roles[table]) for table in one.reads)), (type, name)
        for role in Role:
            expected = list(one.columns) if role.value in one.roles else None
            assert views.pop((f"query_{role.value}_{type}", name), None) == expected, (role, type, name)
        assert all(one.columns.values()) and one.description.endswith(".")
        named = {*one.key, *one.searchable, *one.embedding, *one.relationships, *one.values}
        assert one.key and named <= one.columns.keys() and set(one.relationships.values()) <= hints.HINTS.keys()
        assert 1 <= len(one.examples) <= 2
    assert views == {}


def test_every_table_is_in_a_group_and_its_hints_name_columns_that_it_has(viewed):
    assert hints.HINTS.keys() == viewed.keys()
    assert {hint.group for hint in hints.HINTS.values()} == {"crm", "finance", "analytics"}
    for table, hint in hints.HINTS.items():
        assert hint.key and {*hint.key, *hint.searchable} <= set(viewed[table]), table
        assert bool(hint.subjects) == ("subject_type" in viewed[table]), table


def test_an_example_names_only_tables_that_all_see_who_may_query_its_table(viewed, seen):
    assert examples.EXAMPLES.keys() <= hints.HINTS.keys()
    for table, asked in examples.EXAMPLES.items():
        assert 1 <= len(asked) <= 2
        for role in ("admin", "finance"):
            if table in seen[role]:
                assert len(hints.shown(table, viewed[table], Sight(seen[role]))["examples"]) == len(asked), (
                    table,
                    role,
                )


@pytest.mark.parametrize(("email", "role"), [("ada@demo.example", "admin"), (FINANCE, "finance")])
async def test_every_example_that_a_role_is_told_runs_for_it(connect, seen, email, role):
    ran = 0
    async with connect(email, toolsets=frozenset({"query"})) as client:
        for table in seen[role]:
            told = (await client.call_tool("get_schema", {"table": table})).structured_content["schema"]["table"]
            for one in told.get("examples", []):
                given = {"query": one["query"], "reasoning": one["question"]}
                answer = (await client.call_tool("execute_crm_query", given)).structured_content
                assert "error" not in answer, (one, answer)
                assert answer["result"]["columns"]
                ran += 1
    typed = {f"{type}.{name}": one.examples for (type, name), one in hints.TYPED.items()}
    assert ran == sum(len({**examples.EXAMPLES, **typed}.get(table, ())) for table in seen[role]) > 30


def test_values_and_examples_do_not_name_what_a_role_does_not_see():
    columns, seen = ["subject_type", "subject_id", "kind"], ["activities", "customers"]
    told = hints.shown("activities", columns, Sight(seen))
    assert set(told["values"]["subject_type"]) == {"customers"}
    assert len(told["examples"]) == 1 and "deals" not in told["examples"][0]["query"]
    assert "examples" not in hints.shown("activities", columns, Sight(seen, ["happened_at"]))
    assert "keyFields" not in told and "searchable" not in told


async def test_the_tool_tells_values_beside_their_column_and_the_group_with_each_table(connect):
    async with connect("ada@demo.example", toolsets=frozenset({"query"})) as client:
        tables = (await client.call_tool("get_schema", {})).structured_content["schema"]["tables"]
        orders = (await client.call_tool("get_schema", {"table": "orders"})).structured_content["schema"]["table"]
    groups = {name: hint.group for name, hint in hints.HINTS.items()}
    groups |= {f"{type}.{name}": type for type, name in hints.TYPED}
    assert {one["table"]: one["group"] for one in tables} == groups
    status = next(one for one in orders["columns"] if one["name"] == "status")
    assert status["values"]["cancelled"] == "does not count as revenue"
    assert (orders["group"], orders["keyFields"]) == ("crm", ["number"])
    assert "masked" not in orders and "values" not in orders


@contextmanager
def masked(home, table, columns):
    """Mask columns of a table for roles while it lasts."""
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as conn:
        conn.execute(
            "update crm.reasoning set schema_hint = schema_hint || jsonb_build_object('masked', %s::jsonb) "
            "where type = 'crm' and table_name = %s",
            (json.dumps(columns), table),
        )
        try:
            yield
        finally:
            conn.execute(
                "update crm.reasoning set schema_hint = schema_hint - 'masked' where type = 'crm' and table_name = %s",
                (table,),
            )


async def _resource(connect, email, table, type="crm"):
    async with connect(email) as client:
        return json.loads((await client.read_resource(f"crm://schema/{type}/{table}")).contents[0].text)


async def test_a_masked_column_is_not_in_the_resource_of_its_role(connect, home):
    before = await _resource(connect, FINANCE, "orders")
    assert {"status", "salesperson", "quote_id"} <= before["columns"].keys()
    assert before["values"]["status"]["shipped"] and before["examples"] and before["relationships"]["quote_id"]
    with masked(home, "orders", {"status": ["finance"], "salesperson": ["finance"], "quote_id": ["finance"]}):
        told = await _resource(connect, FINANCE, "orders")
        customers = await _resource(connect, FINANCE, "customers")
        sales = await _resource(connect, "sam@demo.example", "orders")
    assert not re.search(r'"masked"|\bstatus\b|salesperson|quote_id', json.dumps(told))
    assert not re.search(r"\bstatus\b", json.dumps(customers))
    assert {"status", "salesperson", "quote_id"} <= sales["columns"].keys() and "masked" not in sales
    assert await _resource(connect, FINANCE, "orders") == before


async def test_the_resource_lists_every_table_with_its_type_and_group(connect):
    async with connect("ada@demo.example") as client:
        tables = json.loads((await client.read_resource("crm://schema")).contents[0].text)["tables"]
        typed = await _resource(connect, "ada@demo.example", "invoices", "finance")
    assert {(one["type"], one["table"]) for one in tables} == {("crm", name) for name in hints.HINTS} | set(
        hints.TYPED
    )
    assert all(one["group"] and one["description"] for one in tables)
    assert (typed["group"], typed["keyFields"], "customFields" in typed) == ("finance", ["number"], False)
    assert typed["columns"]["open_amount"] and typed["values"]["status"]["overdue"] and typed["examples"]


async def test_the_resource_of_a_type_tells_how_its_tables_hang_together(connect, seen):
    async with connect(FINANCE) as client:
        told = json.loads((await client.read_resource("crm://schema/crm")).contents[0].text)
        finance = json.loads((await client.read_resource("crm://schema/finance")).contents[0].text)
        with pytest.raises(Exception, match="RESOURCE_NOT_FOUND"):
            await client.read_resource("crm://schema/acme")
    tables = {one["table"]: one["hints"] for one in told["tables"]}
    assert tables.keys() == {name for name in seen["finance"] if "." not in name}
    assert (
        tables["orders"]["relationships"]["customer_id"] == "customers"
        and "issue_id" not in tables["orders"]["relationships"]
    )
    assert tables["notes"]["polymorphic"] == ["subject_type", "subject_id"]
    assert tables["notes"]["embeddingFields"] == ["body"]
    assert {one["table"] for one in finance["tables"]} == {name for type, name in hints.TYPED if type == "finance"}


async def test_what_a_typed_table_is_made_of_is_masked_with_it(connect, home):
    """Its view cannot be made for a role that does not see a column of it: then there is no such table."""
    with masked(home, "invoices", {"due_on": ["finance"]}):
        _made_anew(home)
        async with connect(FINANCE) as client:
            tables = json.loads((await client.read_resource("crm://schema")).contents[0].text)["tables"]
            asked = {"query": "select * from finance.invoices", "reasoning": "?"}
            told = (await client.call_tool("execute_crm_query", asked)).structured_content
    _made_anew(home)
    there = {(one["type"], one["table"]) for one in tables}
    assert ("finance", "payments") in there and ("finance", "invoices") not in there
    assert told["error"] == "UNKNOWN_TABLE"


def _made_anew(home):
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        query_views.make(conn)


def test_a_relationship_of_a_masked_column_is_not_in_the_schema(owner):
    owner.execute("drop view query_finance.orders cascade")
    owner.execute("create view query_finance.orders as select id, customer_id from crm.orders")
    asked = {"role": "finance", "type": "crm", "table": "orders", "known": "{}", "org": 1}
    told, *_ = owner.execute(ONE, asked).fetchone()
    names = [column["name"] for column in told["columns"]]
    assert hints.relationships(told["hint"], names, Sight(["customers", "quotes"])) == {"customer_id": "customers"}
