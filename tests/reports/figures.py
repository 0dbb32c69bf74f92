"""Figures of a report as `run_report` tells them, and as a second engine finds them: `compare` holds the two equal."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
from meanings import MEANING, UNITS

from crm_mcp.money import rounded
from crm_mcp.reports import definition
from crm_mcp.reports.report import Column, Report

Engine = duckdb.DuckDBPyConnection
Told = Mapping[str, Any]
Row = tuple[str, ...]
MOST = {"revenue_by_product": 100, "top_customers": 100, "customers_without_contact": 500}
"""Reports that show so many rows at most: all that may be."""


async def compare(client: Any, engine: Engine, name: str, period: Mapping[str, Any]) -> int:
    """Assert that every column of every row, and every total, is the second engine's; return how many rows there are."""
    told = await run(client, name, {**period, **({"most": MOST[name]} if name in MOST else {})})
    report = definition.every()[name]
    found = sorted(tuple(str(row.get(column.name)) for column in report.columns) for row in told["rows"])
    now = datetime.fromisoformat(told["asOf"])
    wanted = expected(engine, report, told, now)
    if wanted != (found, told["totals"]):
        # the report's moment is within the second that it shows
        wanted = expected(engine, report, told, now + timedelta(seconds=1))
    if wanted != (found, told["totals"]):
        raise AssertionError(f"{name} {dict(period)}: {_differing(found, told['totals'], *wanted)}")
    return len(found)


def _differing(found: list[Row], totals: Told, wanted: list[Row], wanted_totals: Told) -> str:
    """Say what a report tells, and what the engine says instead."""
    only, missing = [row for row in found if row not in wanted], [row for row in wanted if row not in found]
    other = {name: (totals[name], wanted_totals[name]) for name in totals if totals[name] != wanted_totals[name]}
    return f"{only[:3]} is told where {missing[:3]} is right; totals {other}"


async def run(client: Any, name: str, parameters: Mapping[str, Any]) -> Told:
    """Run a report as often as it takes to have all of its rows."""
    rows: list[dict[str, Any]] = []
    while True:
        asked = {"report": name, "parameters": parameters, "skip": len(rows)}
        told = (await client.call_tool("run_report", asked)).structured_content
        rows += told["report"]["rows"]
        if len(rows) >= told["_meta"]["rows"]:
            return {**told["report"], "rows": rows}


def expected(engine: Engine, report: Report, told: Told, now: datetime) -> tuple[list[Row], Told]:
    """Return the rows and totals that the engine finds for the parameters that a result tells."""
    asked = told["parameters"]
    zone, base = engine.execute("select getvariable('zone'), getvariable('base')").fetchone() or ("", "")
    days = {
        "since": date.fromisoformat(asked.get("from") or "0001-01-01"),
        "until": date.fromisoformat(asked.get("to") or "9999-12-31"),
        "today": now.astimezone(ZoneInfo(zone)).date(),
    }
    for name, day in days.items():
        engine.execute(f"set variable {name} = date '{day}'")
    engine.execute(f"set variable now = {microseconds(now)}")
    found = engine.execute(MEANING[report.name])
    names = [column[0] for column in found.description or ()]
    assert sorted(names) == sorted(column.name for column in report.columns)
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    shown = sorted(tuple(_shown(column, row, base) for column in report.columns) for row in rows)
    return shown, _totals(report, rows, base)


def microseconds(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _exact(value: Any) -> Decimal:
    """Return a sum as it would be of fractions: each of its quotients lacks less than one of the `UNITS`."""
    return round(Decimal(value) / UNITS, 9) if isinstance(value, int) else Decimal(value or 0)


def _shown(column: Column, row: Mapping[str, Any], base: str) -> str:
    value = row[column.name]
    if value is None:
        return "None"
    if column.type in ("money", "amount"):
        return _cents(_exact(value), row["currency"] if column.type == "amount" else base)
    return f"{value.quantize(Decimal('0.1'), ROUND_HALF_UP)}" if column.type == "percent" else str(value)


def _cents(value: Decimal, currency: str) -> str:
    return str(rounded(value, currency))


def _totals(report: Report, rows: list[dict[str, Any]], base: str) -> Told:
    totals: dict[str, Any] = {}
    for column in report.columns:
        if not column.total:
            continue
        if column.type == "amount":
            by = {row["currency"]: Decimal(0) for row in rows}
            for row in rows:
                by[row["currency"]] += _exact(row[column.name])
            totals[column.name] = {currency: _cents(added, currency) for currency, added in by.items()}
        elif column.type == "money":
            totals[column.name] = _cents(_exact(sum(row[column.name] or 0 for row in rows)), base)
        else:
            totals[column.name] = sum(row[column.name] or 0 for row in rows)
    return totals
