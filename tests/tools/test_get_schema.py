import pytest

from crm_mcp.tools.query.get_schema import KNOWN

ADMIN, FINANCE = "ada@demo.example", "fin@demo.example"


async def ask(connect, email, **arguments):
    async with connect(email, toolsets=frozenset({"query"})) as client:
        return (await client.call_tool("get_schema", arguments)).structured_content


async def test_each_role_is_told_the_tables_that_it_sees(connect):
    admin = {one["table"] for one in (await ask(connect, ADMIN))["schema"]["tables"]}
    finance = {one["table"] for one in (await ask(connect, FINANCE))["schema"]["tables"]}
    assert {"customers", "orders", "invoices", "issues", "people"} <= admin
    assert finance < admin and "issues" not in finance and "invoices" in finance


async def test_every_column_of_every_table_is_described_with_its_type(connect):
    for table in (await ask(connect, ADMIN))["schema"]["tables"]:
        told = (await ask(connect, ADMIN, table=table["table"]))["schema"]["table"]
        assert "leftOut" not in told
        for column in told["columns"]:
            assert column["type"] and column.get("meaning"), (table["table"], column)
            assert column["name"] not in ("org_id", "search_key", "email_norm")


async def test_a_table_is_found_by_its_name_an_alias_or_with_its_type(connect):
    for name in ("customers", "Customer", "crm.customers", " CUSTOMERS "):
        told = await ask(connect, ADMIN, table=name)
        assert told["schema"]["table"]["table"] == "customers"
    orders = (await ask(connect, ADMIN, table="orders"))["schema"]["table"]
    assert orders["relationships"]["customer_id"] == "customers.id"
    assert orders["id"] == "ord_<number>"


@pytest.mark.parametrize(("email", "table"), [(ADMIN, "custommers"), (FINANCE, "issues"), (ADMIN, "pg_authid")])
async def test_what_a_role_does_not_see_is_answered_as_what_there_is_not(connect, email, table):
    told = await ask(connect, email, table=table)
    assert told["error"] == "UNKNOWN_TABLE"
    assert table not in told["context"]["suggestions"]
    if table == "custommers":
        assert told["context"]["suggestions"][0] == "customers"


async def test_tables_are_searched_by_name_and_description(connect):
    found = (await ask(connect, ADMIN, search="invoice"))["schema"]["tables"]
    assert 0 < len(found) < 10
    assert all("invoice" in f"{one['table']} {one['description']}".lower() for one in found)
    assert (await ask(connect, ADMIN, search="no such thing"))["_meta"]["hint"]


def test_what_every_table_has_is_described():
    assert all(KNOWN.values())
