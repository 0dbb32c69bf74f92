"""What is said of a statement that does not run: where it stops, what to write instead, and nothing of our inside."""

import json
import re
from typing import Any

import pytest
from test_grammar import REFUSED

INSIDE = re.compile(
    r"query_(?:admin|sales|operations|finance|support|org|user|bound|token)|\bquery\.\w|row_fits|pg_column_size|\bdeclare\b|\bcrm_\w+"
    r"|\bcrm\.|pg_catalog|pg_temp|psycopg|sqlstate|cursor \"|SQLSTATE|LINE \d|HINT:|DETAIL:|CONTEXT:|ERROR:|Traceback|asyncio"
    r"|permission denied|does not exist|syntax error|invalid input syntax|must appear|row-level security",
    re.IGNORECASE,
)
"""What only logins, schemas, the statement around the query, the driver and PostgreSQL's own text say."""

WRONG: list[tuple[str, tuple[object, ...], str, str]] = [
    # columns and tables
    ("select nmae from customers", (), "UNKNOWN_COLUMN", "customers.name"),
    ("select o.total from customers c join orders o on o.customer_id = c.id", (), "UNKNOWN_COLUMN", "orders.gross_total"),
    ("select * from customers where customer_id = 1", (), "UNKNOWN_COLUMN", "customers.id"),
    ("select x.name from customers c", (), "UNKNOWN_COLUMN", "c (customers)"),
    ("select customers.name from customers c", (), "UNKNOWN_COLUMN", "write c"),
    ("select * from customers c join (select * from orders o where o.customer_id = c.id) x on true", (), "UNKNOWN_COLUMN", "LATERAL"),
    ("select custom_fields.tier from customers", (), "UNKNOWN_COLUMN", "custom_fields ->> 'key'"),
    ("select (custom_fields).tier from customers", (), "INVALID_SQL", "->> 'key'"),
    ('select * from customers where name = "Acme"', (), "UNKNOWN_COLUMN", "single quotes: 'Acme'"),
    ('select "Name" from customers', (), "UNKNOWN_COLUMN", "write name"),
    ("select sum(base_total) as total from orders having total > 5", (), "UNKNOWN_COLUMN", "alias of SELECT"),
    ("select row_number() over () as n from customers where n < 5", (), "UNKNOWN_COLUMN", "select from a subquery"),
    ("with t as (select name as who from customers) select whom from t", (), "UNKNOWN_COLUMN", '"who"'),
    ("select id from customers c join orders o on o.customer_id = c.id", (), "INVALID_SQL", '"c.id", "o.id"'),
    ("select * from clients", (), "UNKNOWN_TABLE", "customers"),
    ("select * from companies", (), "UNKNOWN_TABLE", "organizations"),
    ("select * from order_items", (), "UNKNOWN_TABLE", "order_lines"),
    ("select * from employees", (), "UNKNOWN_TABLE", "people"),
    ("select * from public.customers", (), "UNKNOWN_TABLE", '["customers"'),
    # groups and windows
    ("select country, name from customers group by country", (), "INVALID_SQL", '"column": "customers.name"'),
    ("select sum(base_total) from orders where sum(base_total) > 5", (), "INVALID_SQL", "HAVING"),
    ("select max(sum(base_total)) from orders", (), "INVALID_SQL", "subquery first"),
    ("select lag(id) from customers", (), "INVALID_SQL", "over (order by"),
    ("select name from customers where row_number() over () = 1", (), "INVALID_SQL", "filter outside"),
    ("select percentile_cont(0.5) from orders", (), "INVALID_SQL", "within group (order by a)"),
    ("select percentile_cont(50) within group (order by id) from orders", (), "INVALID_SQL", "between 0 and 1"),
    ("select distinct on (country) name from customers order by name", (), "INVALID_SQL", "DISTINCT ON comes first"),
    ("select sum(base_total) over (order by placed_at range between 30 preceding and current row) from orders", (), "INVALID_SQL", "RANGE"),
    ("select sum(base_total) over w from orders", (), "INVALID_SQL", "window w as"),
    ("select count(distinct id, name) from customers", (), "INVALID_SQL", "count(distinct (a, b))"),
    # types
    ("select name + 1 from customers", (), "INVALID_SQL", "text + integer"),
    ("select placed_at - 5 from orders", (), "INVALID_SQL", "interval '1 day'"),
    ("select round(1.5::float8, 2)", (), "INVALID_SQL", "round(a::numeric, 2)"),
    ("select '{}'::json = '{}'::json", (), "INVALID_SQL", "::json\""),
    ("select sum(name) from customers", (), "INVALID_SQL", "sum() does not take text"),
    ("select coalesce(name, 0) from customers", (), "INVALID_SQL", "of one type"),
    ("select name from customers union select id from orders", (), "INVALID_SQL", "one by one"),
    ("select * from customers union select * from orders", (), "INVALID_SQL", "in place of *"),
    ("select 1 from customers where name", (), "INVALID_SQL", "boolean"),
    ("select '2026-01-01' - '2025-01-01'", (), "INVALID_SQL", "date '2026-01-31'"),
    ("select * from customers where id = 'cust_1'", (), "INVALID_SQL", "12, not cust_12"),
    ("select * from customers where id = $1", ("cust_1",), "INVALID_SQL", "12, not cust_12"),
    ("select * from customers where id = $1", ("abc",), "INVALID_SQL", "parameter"),
    ("select * from customers where name = $1", (5,), "INVALID_SQL", "$1::text"),
    ("select * from customers where id = any($1)", ("1,2",), "INVALID_SQL", "'{1,2}'"),
    ("select * from orders where placed_at > $1", ("last month",), "INVALID_SQL", "date '2026-01-31'"),
    ("select $1::date + $1::int", ("x",), "INVALID_SQL", "::text"),
    ("select date_trunc('mnth', placed_at) from orders", (), "INVALID_SQL", "'quarter'"),
    ("select now() at time zone 'Nowhere'", (), "INVALID_SQL", "Europe/Berlin"),
    ("select 1::money", (), "SQL_REFUSED", "currency"),
    ("select 'x'::string", (), "SQL_REFUSED", "::text"),
    ("select now()::datetime", (), "SQL_REFUSED", "::timestamptz"),
    # values
    ("select 1 / 0", (), "INVALID_SQL", "nullif"),
    ("select (select id from customers)", (), "INVALID_SQL", "LIMIT 1"),
    ("select (select id, name from customers limit 1)", (), "INVALID_SQL", "one column"),
    ("select ln(0)", (), "INVALID_SQL", "greatest"),
    ("select 1 limit -1", (), "INVALID_SQL", "LIMIT is zero or more"),
    ("select name ~ '(' from customers", (), "INVALID_SQL", "regular expression"),
    ("select '{'::jsonb", (), "INVALID_SQL", "::jsonb"),
    ("select jsonb_path_query(custom_fields, '$.[') from customers", (), "INVALID_SQL", "$.key"),
    ("select * from jsonb_to_recordset('[]'::jsonb)", (), "INVALID_SQL", "as x("),
    ("select jsonb_array_elements('{}'::jsonb)", (), "INVALID_SQL", "jsonb_typeof"),
    # functions
    ("select safe_divide(1, 0)", (), "FUNCTION_REFUSED", "nullif"),
    ("select countif(true)", (), "FUNCTION_REFUSED", "filter (where"),
    ("select last_day(placed_at) from orders", (), "FUNCTION_REFUSED", "interval '1 month - 1 day'"),
    ("select dayofweek(placed_at) from orders", (), "FUNCTION_REFUSED", "isodow"),
    ("select * from crosstab('select 1') as x(a int)", (), "FUNCTION_REFUSED", "filter (where"),
    ("select * from generate_series(1, id) x", (), "SQL_REFUSED", "written out"),
    # the words of other dialects
    ("select top 10 * from customers", (), "INVALID_SQL", "LIMIT 10"),
    ("select `name` from customers", (), "INVALID_SQL", "double quotes"),
    ("select * from customers limit 5, 10", (), "INVALID_SQL", "OFFSET"),
    ("select * from customers limit 10 where id = 1", (), "INVALID_SQL", "The order is WHERE"),
    ("select * from customers where name = :name", ("x",), "INVALID_SQL", "$1, $2"),
    ("select * from customers where name = ?", ("x",), "INVALID_SQL", "$1, $2"),
    ("select * from customers where name = %s", ("x",), "INVALID_SQL", "$1, $2"),
    ("select current_date - interval 30 day", (), "INVALID_SQL", "interval '30 days'"),
    ("select * from customers qualify row_number() over () = 1", (), "INVALID_SQL", "subquery"),
    ("select * exclude (id) from customers", (), "INVALID_SQL", "Name the columns"),
    ("select sum(base_total) filter (status = 'x') from orders", (), "INVALID_SQL", "filter (where"),
    ("select count(*) from customers where name = 'O'Brien'", (), "INVALID_SQL", "O''Brien"),
    ("select * from order", (), "INVALID_SQL", "word of SQL"),
    ("select name, from customers", (), "INVALID_SQL", "comma"),
    ("select * from customers where name in ()", (), "INVALID_SQL", "IN (null)"),
    ("show tables", (), "SQL_REFUSED", "get_schema"),
    ("describe customers", (), "INVALID_SQL", "get_schema"),
    ("select (name from customers", (), "INVALID_SQL", '"near": "from customers"'),
    ("select name from customers where id in (1, 2", (), "INVALID_SQL", "ends too early"),
    # too much
    ("select json_agg(x) from (select * from orders) x", (), "QUERY_TOO_LARGE", "fewer columns"),
]  # fmt: skip


ASKED: list[tuple[str, dict[str, Any]]] = []
"""The answers, asked for once."""


@pytest.fixture
async def refusals(connect):
    """Return each statement with its answer, those of the grammar's tests as well."""
    if not ASKED:
        async with connect("ada@demo.example", toolsets=frozenset({"query"})) as client:
            for statement, parameters in [*((s, p) for s, p, *_ in WRONG), *((s, ()) for s, _ in REFUSED)]:
                asked = {"query": statement, "reasoning": "a test", "parameters": list(parameters)}
                ASKED.append((statement, (await client.call_tool("execute_crm_query", asked)).structured_content))
    return ASKED


async def test_each_error_says_what_to_write_instead(refusals):
    unhelpful = []
    for (statement, _, error, helps), (asked, told) in zip(WRONG, refusals, strict=False):
        assert statement == asked
        if told.get("error") != error or helps not in json.dumps(told["context"], ensure_ascii=False):
            unhelpful.append((statement, helps, told))
    assert unhelpful == []


async def test_what_an_error_points_to_stands_in_the_statement_as_it_was_written(refusals):
    def letters(text: str) -> str:
        return re.sub(r"\W+", "", text.lower())

    pointed = 0
    for statement, told in refusals:
        if "error" not in told or "near" not in (context := told["context"]):
            continue
        pointed += 1
        first = letters(context["near"].split()[0])
        assert first[:12] in letters(statement) or first.startswith(("pg_catalog", "1", "left")), (statement, context)
        assert len(context["near"]) <= 60
    assert pointed > 60


async def test_no_error_holds_a_word_of_the_inside_that_the_statement_did_not_bring(refusals):
    """A name that was asked for is repeated in its own fact and in one sentence of the hint, and nowhere else."""
    asked_for = 0
    for statement, told in refusals:
        if "error" not in told:
            continue
        context = dict(told["context"])
        for fact in ("table", "function"):
            if (name := context.get(fact)) is not None:
                sentence = (
                    f"There is no table {name!r} to query;" if fact == "table" else f"{name}() is not available"
                )
                assert statement.lower().count(name.lower()), (statement, name)
                assert sentence in context["hint"], (statement, context)
                asked_for += bool(INSIDE.search(name))
                context["hint"] = context["hint"].replace(sentence, "", 1)
                del context[fact]
        assert not (found := INSIDE.search(json.dumps(context, ensure_ascii=False))), (statement, found, context)
    assert asked_for >= 3, "some were asked for"


async def test_a_query_too_slow_says_how_to_go_on(connect, monkeypatch):
    monkeypatch.setattr("crm_mcp.queries.SECONDS", 1)
    slow = "select count(*) from customers a, customers b, customers c, customers d, customers e, customers f"
    async with connect("ada@demo.example", toolsets=frozenset({"query"})) as client:
        asked = {"query": slow, "reasoning": "a test"}
        told = (await client.call_tool("execute_crm_query", asked)).structured_content
    assert (
        told["error"] == "QUERY_TOO_SLOW"
        and "ON" in told["context"]["hint"]
        and "list_reports" in told["context"]["hint"]
    )
