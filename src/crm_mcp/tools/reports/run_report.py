"""A report's exact figures, with the statement they came from."""

import difflib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.envelope import BUDGET
from crm_mcp.errors import Refusal
from crm_mcp.money import money
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
PLACE = '"#"'
"""The column of a row's place, whose name no report's column has."""


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
        _asked(report),
        zone=zone,
        currency=currency,
        now=now,
        today=today,
        from_row=args.skip,
        rows_read=BESIDE if "sql" in args.include else _fitting(report),
        **asked.bound,
    )
    await ctx.progress(1, 2, "adding up")
    assert row is not None
    rows, totals, count = _exact(row[0]), _exact(row[1]), row[2]
    shown = min(20, max(2, IDS // max(1, count)))
    view = ReportView(
        name=report.name,
        title=report.title,
        columns=[_described(column) for column in report.columns],
        rows=[_row(report, r, currency, shown) for r in rows],
        totals=_totals(report, totals, currency),
        parameters=dict(asked.shown),
        currency=currency,
        asOf=now.isoformat(timespec="seconds"),
        notes=list(report.notes),
        chart=dict(report.chart) if report.chart else None,
        sql=report.sql.strip() if "sql" in args.include else None,
    )
    unread = 0 if "sql" in args.include else max(0, count - args.skip - len(rows))
    return Answer(
        view,
        Display(title=report.title, subtitle=_subtitle(asked, count)),
        {"rows": count},
        unread={"rows": unread} if unread else {},
    )


def _asked(report: Report) -> str:
    """Return the statement of the rows from %(from_row)s on, at most %(rows_read)s, of the sums over all of them, of their number."""
    sums = ", ".join(f"'{c.name}', {_sum(c)}" for c in report.columns if c.total)
    return f"""with told as materialized (select row_number() over () as {PLACE}, r.* from ({report.sql}) r)
 select (select coalesce(jsonb_agg(to_jsonb(t) order by t.{PLACE}), '[]')::text from (select * from told
   where {PLACE} > %(from_row)s::int order by {PLACE} limit %(rows_read)s::int) t),
  (jsonb_build_object({sums}))::text, (select count(*) from told)"""


def _sum(column: Column) -> str:
    """Return the SQL of a column's sum over `told`; of amounts by currency, as they are never added across currencies."""
    if column.type != "amount":
        return f"(select coalesce(sum({column.name}), 0) from told)"
    return f"""(select coalesce(jsonb_object_agg(s.currency, s.sum), '{{}}') from (select currency, sum(coalesce({column.name}, 0)) as sum
   from told group by currency) s)"""


def _fitting(report: Report) -> int:
    """Return how many rows a result could have room for, were they empty."""
    least = len('{"ids":[],"idCount":0}') + sum(len(f'"{column.name}":0,') for column in report.columns)
    return BUDGET * 4 // least + 1


def _exact(text: str) -> Any:
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
            return money(Decimal(value), base).amount
        case "amount" if value is not None:
            return money(Decimal(value), currency).amount
        case "percent" if value is not None:
            return f"{Decimal(value):.1f}"
        case _:
            return value


def _totals(report: Report, sums: dict[str, Any], base: str) -> dict[str, Any]:
    """Round the sums of exact rows, so that a total is exact and not the sum of rounded rows."""
    totals: dict[str, Any] = {}
    for column in report.columns:
        if not column.total:
            continue
        added = sums[column.name]
        if column.type == "amount":
            totals[column.name] = {unit: money(Decimal(added[unit]), unit).amount for unit in sorted(added)}
        else:
            totals[column.name] = money(Decimal(added), base).amount if column.type == "money" else int(added)
    return totals
