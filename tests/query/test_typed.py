"""The tables of finance and analytics say what the reports say, and what the records add up to."""

from decimal import Decimal

import pytest

ADMIN = "ada@demo.example"


@pytest.fixture
def ask(connect):
    async def asked(query, email=ADMIN):
        given = {"query": query, "reasoning": "Does it add up?", "limit": 1000}
        async with connect(email, toolsets=frozenset({"query"})) as client:
            told = (await client.call_tool("execute_crm_query", given)).structured_content
        assert "error" not in told and not told["result"]["truncated"], told
        return [tuple(row) for row in told["result"]["rows"]]

    return asked


@pytest.fixture
def report(connect):
    async def run(name, **more):
        async with connect(ADMIN, toolsets=frozenset({"reports"})) as client:
            told = (await client.call_tool("run_report", {"report": name, "parameters": more})).structured_content
        assert "error" not in told, told
        return told["report"]["rows"]

    return run


def money(value):
    return Decimal(value["amount"] if isinstance(value, dict) else value)


async def test_monthly_revenue_is_that_of_the_report(ask, report):
    rows = await ask(
        "select to_char(month, 'YYYY-MM'), orders, revenue, unconverted from analytics.monthly_revenue order by month"
    )
    told = {row["month"]: row for row in await report("revenue_by_month", period="all time")}
    assert len(rows) > 6 and {row[0] for row in rows} >= told.keys()
    for month, orders, revenue, unconverted in rows:
        if month in told:
            assert (orders, unconverted) == (told[month]["orders"], told[month]["unconverted"])
            assert round(Decimal(revenue), 2) == money(told[month]["revenue"]), month


async def test_what_is_open_is_what_the_ageing_says(ask, report):
    rows = await ask(
        "select 'cust_' || customer_id, currency, sum(open_amount), max(days_overdue) from finance.invoices where open_amount > 0 group by 1, 2"
    )
    parts = ("not_due", "days_1_30", "days_31_60", "days_61_90", "over_90")
    told = {
        (row["id"], row["currency"]): (sum(money(row[part]) for part in parts), row["oldest"])
        for row in await report("receivables_ageing")
    }
    found = {(id, currency): (Decimal(owed), days) for id, currency, owed, days in rows}
    assert told and all(found[one] == told[one] for one in told)


async def test_the_ledger_adds_up_to_what_is_open_less_what_is_on_account(ask, owner_asks):
    booked = await ask("select customer_id, currency, sum(amount) from finance.ledger group by 1, 2 order by 1, 2")
    made_of = await ask(
        "select customer_id, currency, sum(x) from (select customer_id, currency, open_amount as x from finance.invoices union all "
        "select customer_id, currency, -on_account from finance.payments) p group by 1, 2 order by 1, 2"
    )
    balances = await ask(
        "select customer_id, currency, balance, invoiced - credited - paid from finance.balances order by 1, 2"
    )
    assert booked == made_of and len(booked) > 10
    assert [row[:3] for row in balances] == booked and all(row[2] == row[3] for row in balances)
    whole = owner_asks(
        "select (select sum(gross_total) from crm.invoices where org_id = 1 and archived_at is null) "
        "- (select coalesce(sum(gross_total), 0) from crm.credit_notes where org_id = 1 and archived_at is null) "
        "- (select sum(amount) from crm.payments where org_id = 1 and archived_at is null)"
    )
    assert sum(Decimal(row[2]) for row in booked) == whole


async def test_overdue_in_the_balances_is_that_of_the_invoices(ask):
    overdue = await ask(
        "select customer_id, currency, overdue, overdue_since from finance.balances where overdue > 0 order by 1, 2"
    )
    summed = await ask(
        "select customer_id, currency, sum(open_amount), min(due_on) from finance.invoices where status = 'overdue' group by 1, 2 order by 1, 2"
    )
    assert overdue == summed and overdue


async def test_each_payment_names_the_invoices_that_it_settles(ask, owner_asks):
    rows = await ask("select id, invoices, amount, allocated_total + on_account from finance.payments")
    assert rows and all(row[2] == row[3] for row in rows)
    for id, numbers, *_ in rows[:20]:
        assert numbers == owner_asks(
            "select string_agg(i.number, ', ' order by i.number) from crm.payment_allocations a join crm.invoices i "
            "on i.org_id = a.org_id and i.id = a.invoice_id where a.org_id = 1 and a.payment_id = %s and a.archived_at is null",
            id,
        )


async def test_value_of_customers_and_sales_of_products_add_up_to_all_orders(ask, owner_asks):
    ((orders, revenue),) = await ask("select sum(orders), sum(revenue) from analytics.monthly_revenue")
    ((by_customer, value),) = await ask("select sum(orders), sum(revenue) from analytics.customer_value")
    assert by_customer <= orders and Decimal(value) <= Decimal(revenue)
    ((everybody,),) = await ask("select count(*) from analytics.customer_value")
    assert everybody == owner_asks(
        "select count(*) from crm.customers where org_id = 1 and archived_at is null and merged_into is null"
    )
    ((net, units),) = await ask("select sum(net), sum(units) from analytics.product_sales")
    asked = "select sum({}) from crm.order_lines l join crm.orders o on o.org_id = l.org_id and o.id = l.order_id where o.org_id = 1 and o.status <> 'cancelled'"
    assert Decimal(net) == owner_asks(asked.format("l.net_amount"))
    assert int(units) == owner_asks(asked.format("l.quantity"))


async def test_outcomes_of_quotes_are_those_of_the_report(ask, report):
    rows = await ask("select outcome, sum(quotes), sum(value) from analytics.quote_outcomes group by outcome")
    told = {}
    for row in await report("quotes_won_lost", period="all time"):
        quotes, value = told.get(row["outcome"], (0, Decimal(0)))
        told[row["outcome"]] = (quotes + row["quotes"], value + money(row["value"]))
    assert {outcome: int(quotes) for outcome, quotes, _ in rows} == {outcome: one[0] for outcome, one in told.items()}
    for outcome, _, value in rows:
        assert abs(Decimal(value) - told[outcome][1]) < Decimal("0.05")  # the report rounds each of its lines


async def test_events_are_all_that_happened(ask, owner_asks):
    counted = dict(await ask("select record_type, count(*) from analytics.events group by 1"))
    there = " and archived_at is null"
    for table, more in (
        ("orders", ""),
        ("quotes", there),
        ("invoices", there),
        ("credit_notes", there),
        ("payments", there),
        ("activities", there + " and customer_id is not null"),
    ):
        assert counted.get(table, 0) == owner_asks(f"select count(*) from crm.{table} where org_id = 1{more}"), table


async def test_stages_and_issues_are_counted(ask, owner_asks):
    ((standing,),) = await ask("select sum(standing) from analytics.stage_flow")
    assert int(standing) == owner_asks(
        "select count(*) from crm.pipeline_positions where org_id = 1 and archived_at is null and closed_at is null"
    )
    ((resolved,),) = await ask("select coalesce(sum(issues), 0) from analytics.issue_times")
    assert int(resolved) == owner_asks(
        "select count(*) from crm.issues where org_id = 1 and archived_at is null and resolved_at is not null"
    )


async def test_columns_are_written_with_their_type_or_without(ask):
    rows = await ask(
        "select finance.invoices.number, invoices.status from finance.invoices where finance.invoices.open_amount > 0 limit 1"
    )
    assert len(rows) == 1
    both = (
        "select count(*) from invoices i join finance.invoices f on f.id = i.id where f.gross_total = i.gross_total"
    )
    assert (await ask(both))[0][0] > 0
