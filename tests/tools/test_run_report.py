from decimal import Decimal

import pytest
from lab import LUX

ADA = "ada@demo.example"


async def test_revenue_is_what_sql_adds_up(connect, owner_asks):
    async with connect(ADA) as client:
        told = (await client.call_tool("run_report", {"report": "revenue_by_month"})).structured_content["report"]
    exact = owner_asks(
        """select round(sum(case when o.currency = g.base_currency then l.net when o.gross_total > 0 then l.net * o.base_total / o.gross_total else 0 end), 2)
        from crm.orders o join crm.orgs g on g.id = o.org_id and g.slug = 'demo' join lateral (select sum(net_amount) as net from crm.order_lines x
        where x.org_id = o.org_id and x.order_id = o.id) l on true where o.status <> 'cancelled'"""
    )
    assert Decimal(told["totals"]["revenue"]) == exact
    count = "select count(*) from crm.orders o join crm.orgs g on g.id = o.org_id where g.slug = 'demo' and o.status <> 'cancelled'"
    assert told["totals"]["orders"] == owner_asks(count)


async def test_a_report_shows_its_statement_and_its_time(connect):
    async with connect(ADA) as client:
        told = (
            await client.call_tool("run_report", {"report": "top_customers", "parameters": {"days": 0, "most": 3}})
        ).structured_content
    report = told["report"]
    assert len(report["rows"]) == 3 and report["parameters"] == {"days": 0, "most": 3}
    assert report["sql"].startswith("select") and report["asOf"].endswith("+00:00")
    revenue = [Decimal(row["revenue"]) for row in report["rows"]]
    assert revenue == sorted(revenue, reverse=True)


async def test_a_report_of_other_roles_is_unknown(lab):
    told = await lab.ask("run_report", {"report": "top_customers"}, LUX)
    unknown = await lab.ask("run_report", {"report": "no_such_report"}, LUX)
    assert told["error"] == unknown["error"] == "REPORT_NOT_FOUND"
    assert told["context"]["suggestions"] == unknown["context"]["suggestions"]


@pytest.mark.parametrize(
    "parameters",
    [{"days": "many"}, {"dayz": 3}, {"days": 2_000_000_000}, {"days": -2_000_000_000}, {"\0": 1}, {"days": 1.5}],
)
async def test_a_wrong_parameter_is_named(lab, parameters):
    told = await lab.ask("run_report", {"report": "top_customers", "parameters": parameters})
    assert told["error"] in ("INVALID_ARGUMENT", "OUT_OF_RANGE")
