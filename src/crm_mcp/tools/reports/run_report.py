"""A report's exact figures, with the statement they came from."""

import difflib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.errors import Refusal
from crm_mcp.money import money, summed
from crm_mcp.principal import Agent
from crm_mcp.reports import definition
from crm_mcp.reports.definition import Asked, Column, Report
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, View, tool


class RunReport(Args):
    report: Text = Field(max_length=60, description="Name, from list_reports.")
    parameters: dict[str, Any] = Field(default_factory=dict, max_length=20)
    include: tuple[Literal["sql"], ...] = Field((), max_length=1)
    skip: int = Field(0, ge=0, le=100_000, description="Rows to pass over, when some were left out.")


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
    records; list_reports names them, include ["sql"] adds the statement as run. For single orders use get_orders."""
    report = definition.named(args.report, ctx.principal.role)
    if report is None:
        names = [name for name, r in definition.every().items() if ctx.principal.role in r.roles]
        raise Refusal(
            "REPORT_NOT_FOUND",
            "list_reports names the reports you may run.",
            searchedId=args.report,
            suggestions=difflib.get_close_matches(args.report, names, 3, 0.3),
        )
    now, zone, currency = datetime.now(UTC), ctx.principal.timezone, ctx.principal.currency
    today = now.astimezone(ZoneInfo(zone)).date()
    asked = report.values(args.parameters, today)
    await ctx.progress(0, 2, f"running {report.title}")
    row = await ctx.one(
        f"select coalesce(jsonb_agg(to_jsonb(r)), '[]')::text from ({report.sql}) r",
        zone=zone,
        currency=currency,
        now=now,
        today=today,
        **asked.bound,
    )
    await ctx.progress(1, 2, "adding up")
    rows = _exact(row[0]) if row else []
    shown = min(20, max(2, IDS // max(1, len(rows))))
    view = ReportView(
        name=report.name,
        title=report.title,
        columns=[_described(column) for column in report.columns],
        rows=[
            _row(report, r, currency, shown) for r in rows[args.skip :][: BESIDE if "sql" in args.include else None]
        ],
        totals=_totals(report, rows, currency),
        parameters=dict(asked.shown),
        currency=currency,
        asOf=now.isoformat(timespec="seconds"),
        notes=list(report.notes),
        chart=dict(report.chart) if report.chart else None,
        sql=report.sql.strip() if "sql" in args.include else None,
    )
    return Answer(view, Display(title=report.title, subtitle=_subtitle(asked, len(rows))), {"rows": len(rows)})


def _exact(text: str) -> list[dict[str, Any]]:
    import json

    return json.loads(text, parse_float=Decimal)


def _described(column: Column) -> dict[str, str]:
    unit = {"unit": column.unit} if column.unit else {}
    return {"name": column.name, "type": column.type, **unit, "meaning": column.meaning}


def _subtitle(asked: Asked, rows: int) -> str:
    since, until = asked.shown.get("from"), asked.shown.get("to")
    span = f"{since or 'the first'} to {until or 'the last'}, " if since or until else ""
    return f"{span}{rows} rows"


def _row(report: Report, row: dict[str, Any], currency: str, most: int) -> dict[str, Any]:
    shown = {c.name: _shown(c, row[c.name], row.get("currency", currency), currency) for c in report.columns}
    if report.ids is not None:
        numbers: list[int] = row["ids"] or []
        shown["ids"] = [ids.show(report.ids, number) for number in numbers[:most]]
        shown["idCount"] = row["id_count"]
    return shown


def _shown(column: Column, value: Any, currency: str, base: str) -> Any:
    """Return a value in its wire form; an `amount` is in the row's currency, `money` in the base's."""
    match column.type:
        case "money" if value is not None:
            return money(summed(Decimal(value)), base).amount
        case "amount" if value is not None:
            return money(summed(Decimal(value)), currency).amount
        case "percent" if value is not None:
            return f"{Decimal(value):.1f}"
        case _:
            return value


def _totals(report: Report, rows: list[dict[str, Any]], base: str) -> dict[str, Any]:
    """Add up before rounding, so that a total is exact and not the sum of rounded rows; amounts by currency."""
    totals: dict[str, Any] = {}
    for column in report.columns:
        if not column.total:
            continue
        if column.type == "amount":
            by = {currency: Decimal(0) for currency in sorted({row["currency"] for row in rows})}
            for row in rows:
                by[row["currency"]] += Decimal(row[column.name] or 0)
            totals[column.name] = {currency: money(summed(added), currency).amount for currency, added in by.items()}
        else:
            added = sum((Decimal(row[column.name] or 0) for row in rows), Decimal(0))
            totals[column.name] = money(summed(added), base).amount if column.type == "money" else int(added)
    return totals
