"""A report as a page in the chat: its rows, totals and chart, as run_report answers them."""

from typing import Any, ClassVar

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.reports import running
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, View, tool

MOST = 500
"""Rows that a page lays out."""
IDS = 5
"""Ids shown of those behind a row."""


class ShowReport(Args):
    report: Text = Field(max_length=60, description="Name, from list_reports.")
    parameters: dict[str, Any] = Field(default_factory=dict, max_length=20)


class ReportPage(View):
    noun: ClassVar[str] = "report"
    nouns: ClassVar[str] = "reports"

    name: str
    title: str
    description: str
    period: str | None = Field(None, description="What the days are of; none: it shows how things stand.")
    columns: list[dict[str, str]]
    rows: list[dict[str, Any]]
    totals: dict[str, Any] = Field(description="Over all rows; amounts by currency.")
    parameters: dict[str, Any]
    currency: str
    asOf: str
    notes: list[str]
    chart: dict[str, str] | None = None


@tool(
    title="Show report",
    toolset="show",
    roles=EVERYONE,
    effect=Effect.READ,
    page="ui://crm/report",
)
async def show_report(ctx: Read, args: ShowReport) -> Answer[ReportPage]:
    """Show a report as chart and table. Use when asked to see one."""
    await ctx.progress(0, 2, "running the report")
    ran = await running.run(ctx, args.report, args.parameters)
    await ctx.progress(1, 2, "adding up")
    report = ran.report
    page = ReportPage(
        name=report.name,
        title=report.title,
        description=report.description,
        period=report.period.meaning if report.period else None,
        columns=ran.columns,
        rows=[ran.shown(row, IDS) for row in ran.rows[:MOST]],
        totals=ran.totals(),
        parameters=dict(ran.asked.shown),
        currency=ran.currency,
        asOf=ran.as_of.isoformat(timespec="seconds"),
        notes=list(report.notes),
        chart=dict(report.chart) if report.chart else None,
    )
    subtitle = ", ".join(part for part in (ran.span, f"{len(ran.rows)} rows") if part)
    return Answer(page, Display(title=report.title, subtitle=subtitle), {"rows": len(ran.rows)}, whole=True)
