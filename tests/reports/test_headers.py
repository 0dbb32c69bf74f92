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
    asked |= {
        "from": "2024-01-01",
        "to": "2024-01-31",
        "since": "2024-01-01 00:00+00",
        "until": "2024-02-01 00:00+00",
    }
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


OWN = """## Reports of your own

A report is a file `name.sql`: a header of comment lines and one SELECT. `crm-mcp reports check FILE --org SLUG` says whether it
could be added, `add` keeps it for the org (recorded and audited, by an administrator), `list` and `remove` see to the rest. Files
in the folder `reports` of the home, or in `CRM_REPORTS`, are own reports too; each says whose with `-- org: slug`, and one whose
header is wrong ends `serve` with its file and line.

```sql
-- title: Large orders
-- description: Orders above an amount, by the person who sold them.
-- roles: admin, sales
-- period: 90_days | When orders were placed.
-- param: above integer = 1000 | Net, in base currency.
-- column: person text | Salesperson as written on the order.
-- column: orders integer total | How many.
-- column: revenue money total | Net of discount and without tax.
-- key: person
-- when: o.placed_at
-- group: person | coalesce(o.salesperson, '(not stated)') | Salesperson as written on the order.
-- filter: customer id customers | o.customer_id = %(customer)s | Of this customer.
-- ids: orders
-- chart: bar person revenue
-- note: Orders in base currency alone.
select {group} as {by}, count(*) as orders, sum(o.net_total) as revenue,
  (array_agg(o.id order by o.id desc))[1:20] as ids, count(*) as id_count
from orders o
where o.currency = %(currency)s and o.net_total > %(above)s::int and o.status <> 'cancelled'
  and o.placed_at >= %(since)s::timestamptz
  and o.placed_at < %(until)s::timestamptz{filters}
group by 1 order by revenue desc
```

- Header lines, where there are any: `param: name integer|text|date = default [up to most] | meaning`, `period: all|this_month|last_month|N_days | of what`,
  `column: name text|integer|money|amount|date|percent [total] [in unit] | meaning` (money is in base currency, an amount in that of
  the row's column `currency`), `key: column [in time], …` (what names a row: for `compare` and `row`), `when: moment` or
  `when: day as day` (grouping by week to fiscal year), `group: name | expression | meaning` with {group} and {by} in the statement,
  `filter: name text|integer|date|currency|id table|word a/b | condition | meaning` with {filters} in it, `ids: table` with the
  columns `ids` (taken as `[1:20]`) and `id_count`, `chart: bar|line|pie x y`, `note`, `also: former_name`.
- The statement may name %(zone)s, %(currency)s, %(now)s, %(today)s, %(from)s, %(to)s, %(since)s, %(until)s, %(fiscal)s and its own parameters. They are
  bound, never pasted, and stand outside of quotes.
- It runs as `execute_crm_query` does and under the same guards: over the tables that get_schema describes, as the role of whoever
  asks, 5 seconds, 1,000 rows. A role that may not see a table of it cannot be in its header. Nobody of another org sees it, runs
  it, or learns its name. Up to 50 an org."""


def _page() -> str:
    """Write the page of reports from the headers."""
    parts = [
        "# Reports",
        "One entry a report, from the headers in `src/crm_mcp/reports`. `list_reports` shows those of your role;"
        " `run_report` runs one.",
        PERIODS,
        OWN,
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
