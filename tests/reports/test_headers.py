"""What a report's header says is what its statement gives, and what the page of reports says."""

from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg

from crm_mcp.embedded import Home
from crm_mcp.reports import definition
from crm_mcp.reports.report import Report

PAGE = Path(__file__).parents[2] / "docs" / "reports.md"
TYPES = {"text": {25}, "integer": {20, 21, 23}, "date": {1082}, "money": {1700}, "amount": {1700}, "percent": {1700}}
"""Of a declared type, the types of Postgres that it may be."""
BESIDE = {"ids", "id_count"}


SOUGHT = {"id": 1, "integer": 1, "date": "2024-01-01"}
"""What a filter of a type is given; all else is given a text."""


def _statements(report: Report) -> list[tuple[Report, str]]:
    """Return the report as it is, with every filter, and grouped by whatever it can be, with their statements."""
    every = [(report, report.sql), (report, report.statement(None, report.filters))]
    return every + [(report.grouped(group), report.statement(group, report.filters)) for group in report.groups]


def _wrong(conn: psycopg.Connection[Any], report: Report) -> list[str]:
    """Say what the header and the statements have not in common."""
    return [what for shape, sql in _statements(report) for what in _wrong_in(conn, shape, sql)]


def _wrong_in(conn: psycopg.Connection[Any], report: Report, sql: str) -> list[str]:
    asked: dict[str, Any] = {param.name: param.default for param in report.params}
    asked |= {one.name: SOUGHT.get(one.type.split()[0], "a") for one in report.filters}
    asked |= {
        "org": 0,
        "zone": "UTC",
        "currency": "EUR",
        "now": "2024-01-01T00:00Z",
        "today": "2024-01-01",
        "fiscal": 0,
    }
    asked |= {"from": "2024-01-01", "to": "2024-01-31"}
    given = conn.execute(cast("LiteralString", sql), asked).description or []
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


PERIODS = """## What every report takes

All of it goes into `parameters`.

- A period, where the report has one: `period` in words or ISO 8601 (last quarter, 2026-W31, 2026-01/2026-03), `month`,
  `year`, `days` back from today, or `from` and `to`. Days are those of the org's zone.
- A fiscal period: last fiscal quarter, fiscal year to date, FY2026, FQ3, FY2026-Q3. The fiscal year begins in the month that
  `crm-mcp init --fiscal-year-start` or `crm-mcp fiscal-year` set (January, if none) and is named by the calendar year in
  which it ends, as is the custom of the field (GAO-05-734SP, "Fiscal Year"). A result says which year it went by.
- `compare`: `previous` or `last_year`, where the report has a period. Each row is beside its counterpart by the report's key,
  months by their place in the period, with `before`, `change` (a difference; of per cents in points) and `percent` (of the
  earlier figure; none of nothing); `only` says that a row is in one of the two periods. Totals are compared too, amounts by
  currency. Whole calendar months are compared with as many months before, all else with as many days before; last_year is the
  same days a year before. Of the first so many rows (`most`) those of either period are shown, with their true figures.
- `group_by` and filters, where the report has them. A filter of text takes what rows show, capitals or not.
- `row` (one row by its key, as the result shows it) gives up to 250 of the ids behind it, `ids` passes over so many."""


def _page() -> str:
    """Write the page of reports from the headers."""
    parts = [
        "# Reports",
        "One entry a report, from the headers in `src/crm_mcp/reports`. `list_reports` shows those of your role;"
        " `run_report` runs one.",
        PERIODS,
    ]
    for report in definition.every().values():
        about = f"Roles: {', '.join(sorted(report.roles))}."
        if report.period:
            about += f" Period: {report.period.meaning} Default: {report.period.default}."
        if report.groups:
            names = ", ".join(f"`{group.name}`" for group in report.groups)
            about += (
                f" Grouped by `{report.usual.name if report.usual else ''}`, or with `group_by` by one of {names}."
            )
        listed = [f"- parameter `{p.name}` ({p.type}, {p.default}): {p.meaning}" for p in report.params]
        listed += [f"- filter `{one.name}` ({one.type.replace('/', ', ')}): {one.meaning}" for one in report.filters]
        for column in report.columns:
            unit = f", {column.unit}" if column.unit else ""
            listed.append(f"- `{column.name}` ({column.type}{unit}): {column.meaning}")
        parts += [f"## {report.name}", report.description, about, "\n".join(listed), "\n".join(report.notes)]
    return "\n\n".join(part for part in parts if part) + "\n"


def test_the_page_of_reports_says_what_the_headers_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == _page()
