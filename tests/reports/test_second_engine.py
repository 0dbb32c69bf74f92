"""Figures of reports beside DuckDB's over the same rows of the demo: each meaning written anew, equal to the cent."""

import json
from collections.abc import Callable, Generator
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, LiteralString, cast
from zoneinfo import ZoneInfo

import duckdb
import psycopg
import pytest
from meanings import MACROS, MEANING, UNITS
from planting import FIRST, LAST, plant

from crm_mcp.embedded import Home
from crm_mcp.money import rounded
from crm_mcp.reports import definition
from homes import load_demo, temporary_home

TABLES = [
    "activities",
    "credit_notes",
    "customers",
    "invoices",
    "issues",
    "order_lines",
    "orders",
    "payment_allocations",
    "payments",
    "products",
    "quotes",
    "stock_movements",
    "stock_reservations",
    "tasks",
]
KINDS = {16: "boolean", 20: "bigint", 21: "integer", 23: "integer", 25: "text", 1082: "date", 1184: "timestamp"}
KINDS[1700] = "decimal(19, 4)"
PERIODS = ({"days": 0}, {"from": FIRST.isoformat(), "to": LAST.isoformat()})
MOST = {"revenue_by_product": 100, "top_customers": 100, "customers_without_contact": 500}


@pytest.fixture(scope="module")
def home(loaded: Home | None) -> Generator[Home]:
    """Return a home of the demo for these tests alone, as they plant rows."""
    with temporary_home(loaded) as made:
        if loaded is None:
            load_demo(made)
        yield made


@pytest.fixture
async def second(home: Any, approver: Any, kept_engine: dict[str, Any], tmp_path: Path) -> duckdb.DuckDBPyConnection:
    """Bring the rows over by plain SELECTs, once; moments are put on the org's clock here and not by Postgres."""
    if not kept_engine:
        await plant(approver)
        kept_engine["duckdb"] = _exported(home, tmp_path)
    return kept_engine["duckdb"]


@pytest.fixture(scope="module")
def kept_engine() -> dict[str, Any]:
    return {}


def _exported(home: Any, folder: Path) -> duckdb.DuckDBPyConnection:
    engine = duckdb.connect()
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        org, zone = conn.execute("select id, timezone from crm.orgs where slug = 'demo'").fetchone() or (0, "")
        for table in TABLES:
            asked = cast("LiteralString", f"select * from crm.{table} where org_id = %s")
            _bring(engine, table, conn.execute(asked, (org,)), ZoneInfo(zone), folder)
        _bring(engine, "users", conn.execute("select id, name from crm.users"), ZoneInfo(zone), folder)
    engine.execute(f"set variable zone = '{zone}'")
    engine.execute(MACROS)
    return engine


def _bring(engine: Any, table: str, cursor: Any, zone: ZoneInfo, folder: Path) -> None:
    kinds = [(at, column.name, KINDS.get(column.type_code)) for at, column in enumerate(cursor.description)]
    columns = {name: kind for _, name, kind in kinds if kind}
    columns |= {f"{name}_us": "bigint" for _, name, kind in kinds if kind == "timestamp"}
    file = folder / f"{table}.json"
    with file.open("w", encoding="utf-8") as out:
        for values in cursor:
            row: dict[str, Any] = {}
            for at, name, kind in kinds:
                if kind == "timestamp" and values[at] is not None:
                    row[name] = values[at].astimezone(zone).replace(tzinfo=None).isoformat(sep=" ")
                    row[f"{name}_us"] = _microseconds(values[at])
                elif kind:
                    row[name] = values[at]
            out.write(json.dumps(row, default=str) + "\n")
    told = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    engine.execute(
        f"create table {table} as from read_json('{file}', format = 'newline_delimited', columns = {{{told}}})"
    )


def _microseconds(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def test_every_report_has_a_meaning() -> None:
    assert sorted(MEANING) == sorted(definition.every())


@pytest.mark.parametrize("name", sorted(MEANING))
async def test_a_second_engine_finds_the_same_figures(connect: Callable[..., Any], second: Any, name: str) -> None:
    report = definition.every()[name]
    most = {"most": MOST[name]} if name in MOST else {}
    async with connect("ada@demo.example") as client:
        answers = [await _run(client, name, {**period, **most}) for period in (PERIODS if report.period else ({},))]
    for told in answers:
        found = sorted(tuple(str(row.get(column.name)) for column in report.columns) for row in told["rows"])
        now = datetime.fromisoformat(told["asOf"])
        wanted = _expected(second, report, told, now)
        if wanted != (found, told["totals"]):
            # the report's moment is within the second that it shows
            wanted = _expected(second, report, told, now + timedelta(seconds=1))
        assert found and (found, told["totals"]) == wanted


async def _run(client: Any, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    while True:
        asked = {"report": name, "parameters": parameters, "skip": len(rows)}
        told = (await client.call_tool("run_report", asked)).structured_content
        rows += told["report"]["rows"]
        if len(rows) >= told["_meta"]["rows"]:
            return {**told["report"], "rows": rows}


def _expected(engine: Any, report: Any, told: dict[str, Any], now: datetime) -> tuple[Any, Any]:
    asked = told["parameters"]
    (zone,) = engine.execute("select getvariable('zone')").fetchone()
    variables = {
        "since": date.fromisoformat(asked.get("from") or "0001-01-01"),
        "until": date.fromisoformat(asked.get("to") or "9999-12-31"),
        "today": now.astimezone(ZoneInfo(zone)).date(),
        "now": _microseconds(now),
    }
    for name, value in variables.items():
        engine.execute(f"set variable {name} = {value}" if name == "now" else f"set variable {name} = date '{value}'")
    found = engine.execute(MEANING[report.name])
    names = [column[0] for column in found.description]
    assert sorted(names) == sorted(column.name for column in report.columns)
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return sorted(tuple(_shown(column, row) for column in report.columns) for row in rows), _totals(report, rows)


def _exact(value: Any) -> Decimal:
    return Decimal(value) / UNITS if isinstance(value, int) else Decimal(value or 0)


def _shown(column: Any, row: dict[str, Any]) -> str:
    value = row[column.name]
    if value is None:
        return "None"
    if column.type in ("money", "amount"):
        return _cents(_exact(value), row["currency"] if column.type == "amount" else "EUR")
    return f"{value.quantize(Decimal('0.1'), ROUND_HALF_UP)}" if column.type == "percent" else str(value)


def _cents(value: Decimal, currency: str) -> str:
    return str(rounded(value, currency))


def _totals(report: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
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
            totals[column.name] = _cents(sum((_exact(row[column.name]) for row in rows), Decimal(0)), "EUR")
        else:
            totals[column.name] = sum(row[column.name] or 0 for row in rows)
    return totals
