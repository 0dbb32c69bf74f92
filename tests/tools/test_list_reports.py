import json

import pytest
from lab import LEA, LOU, LUX

from crm_mcp.envelope import BUDGET
from crm_mcp.reports import definition


@pytest.mark.parametrize(("email", "role"), [(LEA, "admin"), (LOU, "sales"), (LUX, "support")])
async def test_each_role_is_shown_its_own_reports(lab, email, role):
    told = await lab.ask("list_reports", {}, email)
    assert {r["name"] for r in told["reports"]} == {name for name, r in definition.every().items() if role in r.roles}


async def test_every_listed_report_runs_as_it_is_listed(lab):
    for report in (await lab.ask("list_reports", {}))["reports"]:
        given = {p["name"]: p["default"] for p in report.get("parameters", ()) if p.get("default") is not None}
        told = await lab.ask("run_report", {"report": report["name"], "parameters": given})
        assert told["report"]["name"] == report["name"]


async def test_parameters_say_what_they_mean(lab):
    told = (await lab.ask("list_reports", {}))["reports"]
    assert all(p["type"] and p["meaning"] for report in told for p in report.get("parameters", ()))


@pytest.mark.parametrize(
    ("name", "role"),
    [("ada", "admin"), ("sam", "sales"), ("olga", "operations"), ("fin", "finance"), ("sue", "support")],
)
async def test_no_role_is_shown_a_list_with_reports_left_out(connect, name, role):
    async with connect(f"{name}@demo.example") as client:
        told = (await client.call_tool("list_reports", {})).structured_content
    assert "leftOut" not in told["_meta"]
    assert {r["name"] for r in told["reports"]} == {name for name, r in definition.every().items() if role in r.roles}
    assert len(json.dumps(told, ensure_ascii=False, separators=(",", ":"))) <= BUDGET * 4
