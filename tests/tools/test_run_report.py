from decimal import Decimal

import pytest
from lab import LUX

from crm_mcp.reports import definition, running
from crm_mcp.tools.reports import run_report

ADA = "ada@demo.example"
ROLES = {
    "admin": ADA,
    "sales": "sam@demo.example",
    "operations": "olga@demo.example",
    "finance": "fin@demo.example",
    "support": "sue@demo.example",
}


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


async def test_a_report_shows_its_parameters_its_time_and_when_asked_its_statement(connect):
    asked = {"report": "top_customers", "parameters": {"days": 0, "most": 13}}
    async with connect(ADA) as client:
        report = (await client.call_tool("run_report", asked)).structured_content["report"]
        told = (await client.call_tool("run_report", {**asked, "include": ["sql"]})).structured_content
    assert len(report["rows"]) == 13 and report["parameters"] == {"most": 13} and "sql" not in report
    assert report["asOf"].endswith("+00:00") and report["currency"] == "EUR"
    assert report["chart"] == {"kind": "bar", "x": "customer", "y": "revenue"}
    assert told["report"]["sql"] == definition.every()["top_customers"].sql.strip()
    assert len(told["report"]["rows"]) == 10 and told["_meta"]["rows"] == 13
    assert told["report"]["totals"] == report["totals"]


@pytest.mark.parametrize("name", sorted(definition.every()))
async def test_a_statement_is_shown_whole(connect, name):
    async with connect(ADA) as client:
        told = (await client.call_tool("run_report", {"report": name, "include": ["sql"]})).structured_content
    assert told["report"]["sql"] == definition.every()[name].sql.strip()
    assert "leftOut" not in told["_meta"]


@pytest.mark.parametrize("name", sorted(definition.every()))
@pytest.mark.parametrize("role", ROLES)
async def test_a_role_runs_its_own_reports_and_knows_of_no_other(connect, name, role):
    async with connect(ROLES[role]) as client:
        told = (await client.call_tool("run_report", {"report": name})).structured_content
    if role in definition.every()[name].roles:
        assert told["report"]["name"] == name
    else:
        assert told["error"] == "REPORT_NOT_FOUND"
        assert name not in told["context"]["suggestions"]


async def test_a_report_of_other_roles_is_unknown_in_the_same_words(lab):
    told = await lab.ask("run_report", {"report": "month_end"}, LUX)
    unknown = await lab.ask("run_report", {"report": "monthxend"}, LUX)
    assert told["context"].keys() == unknown["context"].keys()
    assert told["context"]["hint"] == unknown["context"]["hint"]
    own = {name for name, report in definition.every().items() if "support" in report.roles}
    assert set(told["context"]["suggestions"] + unknown["context"]["suggestions"]) <= own
    assert told["error"] == unknown["error"] == "REPORT_NOT_FOUND"


async def test_rows_that_were_left_out_come_when_the_others_are_skipped(connect):
    async with connect(ADA) as client:
        first = (await client.call_tool("run_report", {"report": "stock_on_hand"})).structured_content
        seen = len(first["report"]["rows"])
        assert first["_meta"]["leftOut"] == {"report.rows": first["_meta"]["rows"] - seen}
        asked = {"report": "stock_on_hand", "skip": seen}
        rest = (await client.call_tool("run_report", asked)).structured_content
    names = [row["id"] for told in (first, rest) for row in told["report"]["rows"]]
    assert len(set(names)) == len(names) == first["_meta"]["rows"]
    assert rest["report"]["totals"] == first["report"]["totals"]


@pytest.mark.parametrize("name", sorted(definition.every()))
async def test_a_page_has_the_rows_and_totals_that_all_rows_give(connect, monkeypatch, name):
    async with connect(ADA) as client:

        async def asked(**more):
            told = (await client.call_tool("run_report", {"report": name, **more})).structured_content
            kept = {key: told["report"][key] for key in ("totals", "notes", "parameters")}
            return (
                kept,
                [{**row, "ids": row.get("ids", [])[:2]} for row in told["report"]["rows"]],
                told["_meta"]["rows"],
            )

        with monkeypatch.context() as all_read:
            all_read.setattr(running._Asking, "_is_in_order", lambda self: False)
            whole, rows, count = await asked()
        monkeypatch.setattr(run_report, "MOST", 2)
        assert await asked() == (whole, rows[:2], count)
        assert await asked(skip=1) == (whole, rows[1:3], count)


async def test_ids_behind_a_row_are_some_and_all_are_counted(connect, owner_asks):
    async with connect(ADA) as client:
        asked = {"report": "order_pipeline"}
        rows = (await client.call_tool("run_report", asked)).structured_content["report"]["rows"]
    completed = next(row for row in rows if row["status"] == "completed")
    assert len(completed["ids"]) == 20 and completed["idCount"] == completed["orders"] > 700
    status = owner_asks(
        "select status from crm.orders o join crm.orgs g on g.id = o.org_id and g.slug = 'demo' where o.id = %s",
        int(completed["ids"][0][4:]),
    )
    assert status == "completed"


@pytest.mark.parametrize(
    ("parameters", "argument"),
    [
        ({"month": "2025-13"}, "month"),
        ({"month": "May"}, "month"),
        ({"month": "2025-05", "year": 2025}, "year"),
        ({"from": "2025-05-02", "to": "2025-05-01"}, "to"),
        ({"from": "2025-05-02", "to": "soon"}, "to"),
        ({"from": 20250502}, "from"),
        ({"days": -1}, "days"),
        ({"year": 0}, "year"),
        ({"month": "2025-05", "to": "2025-05-31"}, "to"),
    ],
)
async def test_a_period_that_is_none_is_refused_by_name(lab, parameters, argument):
    told = await lab.ask("run_report", {"report": "revenue_by_month", "parameters": parameters})
    assert told["error"] == "INVALID_ARGUMENT"
    assert told["context"]["argument"] == f"parameters.{argument}"


@pytest.mark.parametrize(
    "parameters",
    [{"days": "many"}, {"dayz": 3}, {"days": 2_000_000_000}, {"days": -2_000_000_000}, {"\0": 1}, {"days": 1.5}],
)
async def test_a_wrong_parameter_is_named(lab, parameters):
    told = await lab.ask("run_report", {"report": "top_customers", "parameters": parameters})
    assert told["error"] in ("INVALID_ARGUMENT", "OUT_OF_RANGE")
