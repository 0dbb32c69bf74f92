"""A report's exact figures, with the statement they came from."""

import json
from typing import Any, ClassVar, Literal

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.principal import Agent
from crm_mcp.reports import running
from crm_mcp.reports.paging import Page
from crm_mcp.reports.running import Ran
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
    compared: dict[str, Any] | None = Field(
        None, description="The other period, with its totals; rows have `before`."
    )
    parameters: dict[str, Any]
    currency: str
    asOf: str
    notes: list[str]
    chart: dict[str, str] | None = None
    sql: str | None = None
    own: bool | None = None


IDS = 250
"""Ids that a result has room for; with many rows each shows fewer."""


MOST = 500
"""Rows that are read for one answer, which has room for fewer."""
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
    page = Page(args.skip, BESIDE if "sql" in args.include else MOST)
    ran = await running.run(ctx, args.report, args.parameters, page)
    await ctx.progress(1, 2, "adding up")
    report = ran.report
    wanted = args.parameters.get("row")
    most_ids = (
        running.IDS_OF_A_ROW
        if wanted
        else min(5 if ran.beside or args.include else 20, max(2, IDS // max(1, ran.count)))
    )
    rows = [row for row in ran.all_shown(most_ids) if not wanted or all(row.get(k) == v for k, v in wanted.items())]
    count = len(rows) if ran.whole is None else ran.count
    view = ReportView(
        name=report.name,
        title=report.title,
        columns=ran.columns,
        rows=rows if ran.whole is not None else rows[args.skip :][: page.most],
        totals=ran.totals(),
        compared=ran.compared(),
        parameters=dict(ran.asked.shown),
        currency=ran.currency,
        asOf=ran.as_of.isoformat(timespec="seconds"),
        notes=list(ran.notes),
        chart=dict(report.chart) if report.chart else None,
        sql=ran.sql if "sql" in args.include else None,
        own=report.own or None,
    )
    subtitle = ", ".join(part for part in (ran.span, f"{count} rows") if part)
    return Answer(view, Display(title=report.title, subtitle=subtitle), {"rows": count, **_more_ids(ran, rows, args)})


def _more_ids(ran: Ran, rows: list[dict[str, Any]], args: RunReport) -> dict[str, str]:
    """Say how the ids that a result has no room for are asked for, where there are any."""
    passed = int(args.parameters.get("ids") or 0) if args.parameters.get("row") else 0
    more = next((row for row in rows if row.get("idCount", 0) > passed + len(row.get("ids", ()))), None)
    if more is None or not ran.report.key:
        return {}
    named = {key.column: more[key.column] for key in ran.report.key}
    again = json.dumps({"row": named, "ids": passed + len(more["ids"])}, ensure_ascii=False)
    return {"moreIds": f"A row's next ids, with these parameters besides: {again}"}
