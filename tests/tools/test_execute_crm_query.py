import json
from decimal import Decimal

import psycopg
import pytest

ADMIN, FINANCE = "ada@demo.example", "fin@demo.example"


@pytest.fixture
def ask(connect):
    async def asked(query, *parameters, email=ADMIN, **more):
        given = {"query": query, "reasoning": "Which ones are there?", "parameters": list(parameters), **more}
        async with connect(email, toolsets=frozenset({"query"})) as client:
            return (await client.call_tool("execute_crm_query", given)).structured_content

    return asked


async def test_a_query_gives_columns_with_types_rows_the_statement_as_run_and_the_moment(ask, owner_asks):
    told = await ask("select id, name, created_at from customers where id <= $1 order by id", 2)
    result = told["result"]
    assert [(one["name"], one["type"]) for one in result["columns"]] == [
        ("id", "bigint"),
        ("name", "text"),
        ("created_at", "timestamptz"),
    ]
    assert [row[0] for row in result["rows"]] == [1, 2]
    assert result["rows"][0][1] == owner_asks("select name from crm.customers where org_id = 1 and id = 1")
    assert (
        result["truncated"] is False
        and "query_admin.customers" in result["sql"]
        and result["asOf"].endswith("+00:00")
    )
    assert told["_meta"]["tables"] == ["customers"]


async def test_numbers_stay_exact_and_times_bear_their_zone(ask):
    told = await ask(
        "select 0.1::numeric + $1, timestamptz '2026-03-29 00:30:00Z', date '2026-03-29', interval '36 hours', "
        "array[1, 2], '{\"a\": [1]}'::jsonb, true, null, 'NaN'::float8, array[1.5, 'Infinity']::float8[]",
        0.2,
    )
    (row,) = told["result"]["rows"]
    assert Decimal(row[0]) == Decimal("0.3")
    assert row[1:] == [
        "2026-03-29T01:30:00+01:00",
        "2026-03-29",
        "PT36H",
        [1, 2],
        {"a": [1]},
        True,
        None,
        "NaN",
        [1.5, "inf"],
    ]


async def test_more_rows_than_asked_for_are_said(ask):
    told = await ask("select id from customers order by id", limit=3)
    assert (len(told["result"]["rows"]), told["result"]["truncated"]) == (3, True)
    assert "OFFSET" in told["_meta"]["hint"]
    assert (await ask("select * from generate_series(1, 3)", limit=3))["result"]["truncated"] is False


async def test_a_row_too_large_to_hand_on_is_refused(ask):
    told = await ask("select string_agg(repeat(name, 100), '') from customers, generate_series(1, 50)")
    assert told["error"] == "QUERY_TOO_LARGE"


async def test_each_role_queries_what_it_sees(ask):
    assert (await ask("select count(*) from issues"))["result"]["rows"][0][0] > 0
    told = await ask("select count(*) from issues", email=FINANCE)
    assert told["error"] == "UNKNOWN_TABLE" and "issues" not in told["context"]["suggestions"]


async def test_rows_about_what_a_role_does_not_see_are_not_there(ask, connect):
    async with connect("sue@demo.example") as client:
        issue = (await client.call_tool("get_issues", {"limit": 1})).structured_content["issues"][0]["id"]
        note = {"about": issue, "body": "Only who sees issues sees this.", "reason": "a test"}
        assert (await client.call_tool("add_note", note)).structured_content["type"] == "result"
    seen = "select count(*) from notes where body = 'Only who sees issues sees this.'"
    assert (await ask(seen))["result"]["rows"] == [[1]]
    assert (await ask(seen, email=FINANCE))["result"]["rows"] == [[0]]


@pytest.mark.parametrize(
    ("query", "parameters", "error"),
    [
        ("select $1::int", [], "INVALID_ARGUMENT"),
        ("select 1", [1], "INVALID_ARGUMENT"),
        ("select $1::int", ["x"], "INVALID_SQL"),
        ("select $60", [1], "INVALID_SQL"),
    ],
)
async def test_parameters_are_held_to_the_query(ask, query, parameters, error):
    told = await ask(query, *parameters)
    assert told["error"] == error and told["context"]["hint"]


async def test_what_postgres_says_is_told_as_the_query_was_written(ask):
    told = await ask("select c.id from customers c join orders o on o.customer_id = c.id where c.name = 3")
    assert told["error"] == "INVALID_SQL"
    assert "query_admin" not in json.dumps(told)


async def test_a_query_is_audited_with_its_reasoning(ask, home):
    query = "select 'audited with its reasoning'"
    await ask(query)
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        rows = conn.execute(
            "select phase, payload from crm.audit_log where tool = 'execute_crm_query' and call_id in (select call_id "
            "from crm.audit_log where payload like %s) order by id",
            (f"%{query[8:-1]}%",),
        ).fetchall()
    assert [phase for phase, _ in rows] == ["begun", "ended"]
    assert "Which ones are there?" in rows[0][1]


async def test_nothing_can_be_changed_even_where_the_judge_is_passed(home, queries_of, person):
    who = await person(ADMIN)
    queries = queries_of(home)
    for statement in (
        "delete from query_admin.customers returning id",
        "update query_admin.orders set status = 'x' returning 1",
    ):
        with pytest.raises(psycopg.Error):
            await queries.run(who, f"with gone as ({statement}) select * from gone", (), 10)
    assert (await queries.run(who, "select count(*) from query_admin.customers", (), 1)).rows[0][0] > 0
