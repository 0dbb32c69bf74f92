"""What a report's header says is what its statement gives, and what the page of reports says."""

from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg

from crm_mcp.embedded import Home
from crm_mcp.reports import definition
from crm_mcp.reports.definition import Report

PAGE = Path(__file__).parents[2] / "docs" / "reports.md"
TYPES = {"text": {25}, "integer": {20, 21, 23}, "date": {1082}, "money": {1700}, "amount": {1700}, "percent": {1700}}
"""Of a declared type, the types of Postgres that it may be."""
BESIDE = {"ids", "id_count"}


def _wrong(conn: psycopg.Connection[Any], report: Report) -> list[str]:
    """Say what the header and the statement have not in common."""
    asked: dict[str, Any] = {param.name: param.default for param in report.params}
    asked |= {"org": 0, "zone": "UTC", "currency": "EUR", "now": "2024-01-01T00:00Z", "today": "2024-01-01"}
    asked |= {"from": "2024-01-01", "to": "2024-01-31"}
    given = conn.execute(cast("LiteralString", report.sql), asked).description or []
    types = {column.name: column.type_code for column in given if column.name not in BESIDE}
    wrong = [f"{name} is not declared" for name in types if name not in {column.name for column in report.columns}]
    for column in report.columns:
        if types.get(column.name) not in TYPES[column.type]:
            wrong.append(f"{column.name} is declared as {column.type} and is of type {types.get(column.name)}")
    if BESIDE & {column.name for column in given} != (BESIDE if report.ids else set()):
        wrong.append(f"ids are declared as {report.ids}")
    if any(column.type == "amount" for column in report.columns) and "currency" not in types:
        wrong.append("an amount has no currency beside it")
    return [f"{report.name}: {what}" for what in wrong]


def test_a_statement_gives_the_columns_that_its_header_declares_and_no_other(home: Home) -> None:
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        assert [what for report in definition.every().values() for what in _wrong(conn, report)] == []


def _page() -> str:
    """Write the page of reports from the headers."""
    parts = [
        "# Reports",
        "One entry a report, from the headers in `src/crm_mcp/reports`. `list_reports` shows those of your role;"
        " `run_report` runs one.",
    ]
    for report in definition.every().values():
        about = f"Roles: {', '.join(sorted(report.roles))}."
        if report.period:
            about += f" Period: {report.period.meaning} Default: {report.period.default}."
        listed = [f"- parameter `{p.name}` ({p.type}, {p.default}): {p.meaning}" for p in report.params]
        for column in report.columns:
            unit = f", {column.unit}" if column.unit else ""
            listed.append(f"- `{column.name}` ({column.type}{unit}): {column.meaning}")
        parts += [f"## {report.name}", report.description, about, "\n".join(listed), "\n".join(report.notes)]
    return "\n\n".join(part for part in parts if part) + "\n"


def test_the_page_of_reports_says_what_the_headers_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == _page()
