"""A report's exact figures, with the statement they came from."""

import difflib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.errors import Refusal
from crm_mcp.money import money
from crm_mcp.principal import Agent
from crm_mcp.reports import definition
from crm_mcp.reports.definition import Column, Report
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, View, tool


class RunReport(Args):
    report: Text = Field(max_length=60, description="Name, from list_reports.")
    parameters: dict[str, Any] = Field(default_factory=dict, max_length=20)


class ReportView(View):
    noun: ClassVar[str] = "report"
    nouns: ClassVar[str] = "reports"

    name: str
    title: str
    columns: list[dict[str, str]]
    rows: list[dict[str, Any]]
    totals: dict[str, Any]
    parameters: dict[str, Any]
    currency: str
    asOf: str
    notes: list[str]
    sql: str


@tool(
    title="Run report",
    toolset="reports",
    roles=EVERYONE,
    effect=Effect.READ,
    agents={Agent.ANALYTICS, Agent.SALES, Agent.RESEARCH},
)
async def run_report(ctx: Read, args: RunReport) -> Answer[ReportView]:
    """Run a report and return exact figures with totals, the SQL and the time they hold for. Use for sums and rankings
    over many records; list_reports names them. For single orders use get_orders."""
    reports = {name: r for name, r in definition.every().items() if ctx.principal.role in r.roles}
    report = reports.get(args.report)
    if report is None:
        near = difflib.get_close_matches(args.report, reports, 3, 0.3)
        raise Refusal(
            "REPORT_NOT_FOUND",
            "list_reports names the reports you may run.",
            searchedId=args.report,
            suggestions=near,
        )
    values, currency = report.values(args.parameters), ctx.principal.currency
    await ctx.progress(0, 2, f"running {report.title}")
    row = await ctx.one(
        f"select coalesce(jsonb_agg(to_jsonb(r)), '[]')::text from ({report.sql}) r",
        zone=ctx.principal.timezone,
        currency=currency,
        **values,
    )
    await ctx.progress(1, 2, "adding up")
    rows = _exact(row[0]) if row else []
    view = ReportView(
        name=report.name,
        title=report.title,
        columns=[{"name": c.name, "type": c.type, "meaning": c.meaning} for c in report.columns],
        rows=[{c.name: _shown(c, r[c.name], currency) for c in report.columns} for r in rows],
        totals=_totals(report, rows, currency),
        parameters=values,
        currency=currency,
        asOf=datetime.now(UTC).isoformat(timespec="seconds"),
        notes=list(report.notes),
        sql=report.sql.strip(),
    )
    return Answer(view, Display(title=report.title, subtitle=f"{len(rows)} rows"), {"rows": len(rows)})


def _exact(text: str) -> list[dict[str, Any]]:
    import json

    return json.loads(text, parse_float=Decimal)


def _shown(column: Column, value: Any, currency: str) -> Any:
    if column.type == "money" and value is not None:
        return money(Decimal(value), currency).amount
    return value


def _totals(report: Report, rows: list[dict[str, Any]], currency: str) -> dict[str, Any]:
    """Add up before rounding, so that the total is exact and not the sum of rounded rows."""
    totals: dict[str, Any] = {}
    for column in report.columns:
        if column.total:
            added = sum((Decimal(row[column.name] or 0) for row in rows), Decimal(0))
            totals[column.name] = _shown(column, added, currency) if column.type == "money" else int(added)
    return totals
