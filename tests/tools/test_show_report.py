"""The page of a report, as a model is told of it; the page itself is tested in a browser."""

import pytest

ADA, SUE = "ada@demo.example", "sue@demo.example"


@pytest.mark.parametrize("parameters", [{}, {"period": "last 12 months"}])
async def test_it_says_what_the_data_tool_says(connect, parameters):
    asked = {"report": "revenue_by_country", "parameters": parameters}
    async with connect(ADA) as client:
        shown = (await client.call_tool("show_report", asked)).structured_content
        known = (await client.call_tool("run_report", asked)).structured_content
    same = ("name", "title", "columns", "totals", "parameters", "currency", "notes", "chart")
    assert {name: shown["report"][name] for name in same} == {name: known["report"][name] for name in same}
    figures = [{key: value for key, value in row.items() if key != "ids"} for row in known["report"]["rows"]]
    assert [{key: value for key, value in row.items() if key != "ids"} for row in shown["report"]["rows"]] == figures
    assert shown["report"]["period"] == "When orders were placed."
    assert shown["_meta"]["rows"] == known["_meta"]["rows"]


async def test_a_report_of_how_things_stand_names_no_period(connect):
    async with connect(ADA) as client:
        told = (await client.call_tool("show_report", {"report": "stock_on_hand"})).structured_content
    assert "period" not in told["report"]


async def test_a_report_that_is_another_roles_is_not_there(connect):
    async with connect(SUE) as client:
        told = (await client.call_tool("show_report", {"report": "revenue_by_month"})).structured_content
    assert told["error"] == "REPORT_NOT_FOUND"


async def test_a_parameter_that_it_has_not_is_named(connect):
    async with connect(ADA) as client:
        asked = {"report": "revenue_by_month", "parameters": {"colour": "red"}}
        told = (await client.call_tool("show_report", asked)).structured_content
    assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", "parameters.colour")
