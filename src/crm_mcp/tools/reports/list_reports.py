"""The reports a role may run."""

from typing import Any, ClassVar

from crm_mcp.context import Read
from crm_mcp.principal import Agent
from crm_mcp.reports import definition, period
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, View, tool


class ListReports(Args):
    pass


class ReportRow(View):
    noun: ClassVar[str] = "report"
    nouns: ClassVar[str] = "reports"

    name: str
    title: str
    description: str
    period: str | None = None
    parameters: list[dict[str, Any]]


@tool(
    title="List reports",
    toolset="reports",
    roles=EVERYONE,
    effect=Effect.READ,
    agents={Agent.ANALYTICS},
)
async def list_reports(ctx: Read, args: ListReports) -> Answer[list[ReportRow]]:
    """List the reports you may run, with their parameters. Use when figures over many records are asked for,
    before run_report."""
    rows = [
        ReportRow(
            name=report.name,
            title=report.title,
            description=report.description,
            period=report.period.default if report.period else None,
            parameters=[
                {"name": p.name, "type": p.type, "default": p.default, "meaning": p.meaning} for p in report.params
            ],
        )
        for report in definition.every().values()
        if ctx.principal.role in report.roles
    ]
    told = {
        "period": "The default; parameters name another one by period, month, year, days, or from and to.",
        **period.MEANING,
    }
    return Answer(rows, Display(title=f"{len(rows)} reports"), {"periods": told})
