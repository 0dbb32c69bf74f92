"""The reports a role may run."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.envelope import BUDGET, plain
from crm_mcp.principal import Agent
from crm_mcp.reports import definition, period, running
from crm_mcp.reports.report import TIME_GROUPS, Report
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, View, tool


class ListReports(Args):
    pass


class ReportRow(View):
    noun: ClassVar[str] = "report"
    nouns: ClassVar[str] = "reports"

    name: str
    description: str | None = None
    period: str | None = None
    parameters: list[dict[str, Any]] | None = None
    groupBy: str | None = None
    filters: str | None = None
    own: bool | None = None


PARAMETERS = {
    "compare": "previous (as long, just before; whole months by months) or last_year, of reports with a period: rows and totals "
    "get before, change, percent; only: in one of the two.",
    "group_by": "One of groupBy; time: " + ", ".join(TIME_GROUPS) + ".",
    "row": 'One row by its key, as {"month": "2026-03"}, with more of its ids; ids: how many to pass over.',
}
"""What `parameters` may hold besides a report's own."""
ROOM = (BUDGET - 300) * 4
"""Characters that the list may take, so that none of it is left out."""


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
    own = await running.every_own(ctx)
    reports = [
        *own.values(),
        *(report for report in definition.every().values() if ctx.principal.role in report.roles),
    ]
    told = {
        "period": "The default; parameters name another one by period, month, year, days, or from and to.",
        **period.MEANING,
    }
    sets = _sets(reports)
    meta = {
        "periods": told,
        "parameters": PARAMETERS,
        "filters": {**{mark: names for names, mark in sets.items()}, **_forms(reports)},
    }
    full = [_row(report, sets) for report in reports]
    brief = [row if row.own else ReportRow(name=row.name, description=row.description) for row in full]
    names = [row if row.own else ReportRow(name=row.name) for row in full]
    fitting = next((rows for rows in (full, brief, names) if _size(rows, meta) <= ROOM), names)
    return Answer(fitting, Display(title=f"{len(full)} reports"), meta)


def _row(report: Report, sets: Mapping[str, str]) -> ReportRow:
    filters = _names(report)
    return ReportRow(
        name=report.name,
        description=report.description,
        period=report.period.default if report.period else None,
        parameters=[
            {"name": p.name, "type": p.type, "default": p.default, "meaning": p.meaning} for p in report.params
        ]
        or None,
        groupBy=_groups(report) or None,
        filters=sets.get(filters, filters) or None,
        own=report.own or None,
    )


def _size(rows: list[ReportRow], meta: Mapping[str, Any]) -> int:
    return len(json.dumps(plain({"reports": rows, "_meta": meta}), ensure_ascii=False, separators=(",", ":")))


def _groups(report: Report) -> str:
    """Return what a report can be grouped by, times in one word."""
    named = [group.name for group in report.groups if not group.is_time]
    return ", ".join([*(["time"] if len(named) < len(report.groups) else []), *named])


def _names(report: Report) -> str:
    return ", ".join(one.name for one in report.filters)


def _sets(reports: Iterable[Report]) -> dict[str, str]:
    """Return marks for lists of filters that several reports have: those are told once."""
    often = [names for names, count in Counter(map(_names, reports)).items() if count > 2 and "," in names]
    return {names: f"set {number}" for number, names in enumerate(often, 1)}


def _forms(reports: Iterable[Report]) -> dict[str, str]:
    """Return what filters take that rows do not show as it is: ids, codes, words."""
    told: dict[str, str] = {}
    for one in (one for report in reports for one in report.filters):
        kind, _, of = one.type.partition(" ")
        form = {"id": f"{ids.PREFIX.get(of)}_…", "word": of, "currency": "ISO 4217", "date": "YYYY-MM-DD"}.get(kind)
        if form:
            told.setdefault(one.name, form)
    return told
