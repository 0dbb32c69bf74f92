"""A report's exact figures, with the statement they came from."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.principal import Agent
from crm_mcp.reports import running
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, Values, View, tool


class RunReport(Args):
    report: Text = Field(max_length=60)
    parameters: Values = Field(default_factory=dict[str, Any])
    include: tuple[Literal["sql"], ...] = Field((), max_length=1)
    skip: int = Field(0, ge=0, le=100_000, description="Rows to pass over.")


class ReportView(View):
    noun: ClassVar[str] = "report"
    nouns: ClassVar[str] = "reports"

    name: str
    title: str
    columns: list[dict[str, str]]
    rows: list[dict[str, Any]] = Field(
        description="Money in `currency`, amounts in the row's. `ids`: some of the `idCount` records behind a row."
    )
    totals: dict[str, Any] = Field(description="Over all rows; amounts by currency, never added across currencies.")
    parameters: dict[str, Any]
    currency: str
    asOf: str
    notes: list[str]
    chart: dict[str, str] | None = None
    sql: str | None = None


IDS = 250
"""Ids that a result has room for; with many rows each shows fewer."""


BESIDE = 10
"""Rows that a statement leaves room for."""


@tool(
    title="Run report",
    toolset="reports",
    roles=EVERYONE,
    effect=Effect.READ,
    agents={Agent.ANALYTICS},
)
async def run_report(ctx: Read, args: RunReport) -> Answer[ReportView]:
    """Run a report: exact figures with totals and the ids behind each row. Use for sums and rankings over many
    records; list_reports names them, include ["sql"] adds the statement. For single orders use get_orders."""
    await ctx.progress(0, 2, "running the report")
    ran = await running.run(ctx, args.report, args.parameters)
    await ctx.progress(1, 2, "adding up")
    report, most_ids = ran.report, min(20, max(2, IDS // max(1, len(ran.rows))))
    view = ReportView(
        name=report.name,
        title=report.title,
        columns=ran.columns,
        rows=[ran.shown(row, most_ids) for row in ran.rows[args.skip :][: BESIDE if "sql" in args.include else None]],
        totals=ran.totals(),
        parameters=dict(ran.asked.shown),
        currency=ran.currency,
        asOf=ran.as_of.isoformat(timespec="seconds"),
        notes=list(report.notes),
        chart=dict(report.chart) if report.chart else None,
        sql=report.sql.strip() if "sql" in args.include else None,
    )
    subtitle = ", ".join(part for part in (ran.span, f"{len(ran.rows)} rows") if part)
    return Answer(view, Display(title=report.title, subtitle=subtitle), {"rows": len(ran.rows)})
