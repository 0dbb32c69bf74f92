"""Figures of reports beside DuckDB's over the same rows of the demo: each meaning written anew, equal to the cent."""

import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, LiteralString, cast
from zoneinfo import ZoneInfo

import duckdb
import psycopg
import pytest
from figures import Engine, compare, microseconds
from meanings import MACROS, MEANING
from planting import FIRST, LAST, plant

from crm_mcp.embedded import Home
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


@pytest.fixture(scope="module")
def home(loaded: Home | None) -> Generator[Home]:
    """Return a home of the demo for these tests alone, as they plant rows."""
    with temporary_home(loaded) as made:
        if loaded is None:
            load_demo(made)
        yield made


@pytest.fixture
async def second(home: Any, approver: Any, kept_engine: dict[str, Any], tmp_path: Path) -> Engine:
    """Bring the rows over by plain SELECTs, once; moments are put on the org's clock here and not by Postgres."""
    if not kept_engine:
        await plant(approver)
        kept_engine["duckdb"] = _exported(home, tmp_path)
    return kept_engine["duckdb"]


@pytest.fixture(scope="module")
def kept_engine() -> dict[str, Any]:
    return {}


def _exported(home: Any, folder: Path) -> Engine:
    engine = duckdb.connect()
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        org, zone, currency = conn.execute(
            "select id, timezone, base_currency from crm.orgs where slug = 'demo'"
        ).fetchone() or (0, "", "")
        for table in TABLES:
            asked = cast("LiteralString", f"select * from crm.{table} where org_id = %s")
            _bring(engine, table, conn.execute(asked, (org,)), ZoneInfo(zone), folder)
        _bring(engine, "users", conn.execute("select id, name from crm.users"), ZoneInfo(zone), folder)
    engine.execute(f"set variable zone = '{zone}'")
    engine.execute(f"set variable base = '{currency}'")
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
                    row[f"{name}_us"] = microseconds(values[at])
                elif kind:
                    row[name] = values[at]
            out.write(json.dumps(row, default=str) + "\n")
    told = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    engine.execute(
        f"create table {table} as from read_json('{file}', format = 'newline_delimited', columns = {{{told}}})"
    )


def test_every_report_has_a_meaning() -> None:
    assert sorted(MEANING) == sorted(definition.every())


@pytest.mark.parametrize("name", sorted(MEANING))
async def test_a_second_engine_finds_the_same_figures(connect: Callable[..., Any], second: Engine, name: str) -> None:
    async with connect("ada@demo.example") as client:
        for period in PERIODS if definition.every()[name].period else ({},):
            assert await compare(client, second, name, period)
