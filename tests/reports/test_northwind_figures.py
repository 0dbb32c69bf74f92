"""Every report over Northwind beside DuckDB's over the product's own export of it, to the cent."""

import csv
from collections.abc import Callable, Generator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from exported import crm, taken_out
from figures import Engine, compare
from meanings import MEANING

from crm_mcp.embedded import Home
from crm_mcp.reports import definition
from homes import temporary_home
from orgs import found_org

NORTHWIND = Path(__file__).parents[2].parent / "shared" / "data" / "northwind"
pytestmark = pytest.mark.skipif(not NORTHWIND.is_dir(), reason=f"the Northwind tables are not at {NORTHWIND}")
PERIODS = ({"days": 0}, {"year": 1997}, {"period": "Q1 1998"})
WITHOUT = {
    "credit_notes_by_month", "issue_resolution_times", "issues_sla", "open_issues_by_age", "quote_to_order_days",
    "quotes_won_lost", "tasks_due", "win_rate_by_person",
}  # fmt: skip
"""Reports of what Northwind has not: quotes, credit notes, issues, tasks."""
ZONE, BASE = "America/New_York", "USD"


@pytest.fixture(scope="module")
def home() -> Generator[Home]:
    with temporary_home() as made:
        yield made


@pytest.fixture(scope="module")
def northwind(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Generator[Engine]:
    """Bring Northwind in and take it out again as a user does; a person of each role is in its org."""
    boss = found_org(home, "northwind", currency=BASE, zone=ZONE)
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        for role in ("sales", "operations", "finance", "support"):
            conn.execute(
                """with u as (insert into crm.users(email, name) values (%s, %s) returning id)
                insert into crm.memberships(org_id, user_id, role)
                select o.id, u.id, %s from crm.orgs o, u where o.slug = 'northwind'""",
                (f"{role}@northwind.example", role.title(), role),
            )
    files = tmp_path_factory.mktemp("northwind")
    mapped(files)
    who = ("--user", boss)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_HOME", str(home.root))
        brought = ("--source", "northwind", *who)
        for kind, many, *more in (
            ("customers", 91),
            ("products", 77),
            ("orders", 830, "--lines", NORTHWIND / "order_details.csv", "--discount", "fraction"),
            ("invoices", 809),
            ("payments", 692),
        ):
            file = files / f"{kind}.csv"
            said = crm("import", kind, file, *more, *brought).stdout
            assert f"{many} created, 0 updated, 0 unchanged, 0 rejected of {many} read" in said
        assert not list(files.glob("*.rejected.csv"))
        yield taken_out(tmp_path_factory.mktemp("out"), who, ZONE, BASE)


def mapped(to: Path) -> None:
    """Write Northwind's tables as the files of an import: employees and categories by name, and a bill of what was shipped.

    A bill is due after 30 days. Of seven orders one is not paid, one paid by half, the others on the day they were
    required, which may be before the bill.
    """
    table = {file.stem: _read(file) for file in NORTHWIND.glob("*.csv")}
    people = {one["employee_id"]: f"{one['first_name']} {one['last_name']}" for one in table["employees"]}
    categories = {one["category_id"]: one["category_name"] for one in table["categories"]}
    _write(to / "customers.csv", table["customers"])
    _write(to / "products.csv", [{**one, "category": categories[one["category_id"]]} for one in table["products"]])
    _write(to / "orders.csv", [{**one, "salesperson": people[one["employee_id"]]} for one in table["orders"]])
    worth: dict[str, Decimal] = {}
    for line in table["order_details"]:
        net = Decimal(line["unit_price"]) * int(line["quantity"]) * (1 - Decimal(line["discount"]))
        worth[line["order_id"]] = worth.get(line["order_id"], Decimal(0)) + net
    shipped = [one for one in table["orders"] if one["shipped_date"]]
    bills = [
        {"id": one["order_id"], "order": one["order_id"], "date": one["shipped_date"], "total": _cents(worth[one["order_id"]])}
        for one in shipped
    ]  # fmt: skip
    _write(to / "invoices.csv", bills)
    paid = [
        {
            "id": one["order_id"],
            "invoice": one["order_id"],
            "date": one["required_date"],
            "amount": _cents(worth[one["order_id"]] / (2 if int(one["order_id"]) % 7 == 1 else 1)),
            "method": ("transfer", "card", "cheque")[int(one["order_id"]) % 3],
        }
        for one in shipped
        if int(one["order_id"]) % 7
    ]
    _write(to / "payments.csv", paid)


def _cents(amount: Decimal) -> str:
    return str(amount.quantize(Decimal("0.01"), ROUND_HALF_UP))


def _read(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as rows:
        return list(csv.DictReader(rows))


def _write(file: Path, rows: list[dict[str, str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("name", sorted(MEANING))
async def test_figures_over_northwind_are_those_of_its_export(
    connect: Callable[..., Any], northwind: Engine, name: str
) -> None:
    report = definition.every()[name]
    for role in sorted(report.roles):
        async with connect(f"{'boss' if role == 'admin' else role}@northwind.example") as client:
            for period in PERIODS if report.period else ({},):
                rows = await compare(client, northwind, name, period)
                assert (rows > 0) is (name not in WITHOUT)


def test_the_export_of_northwind_is_northwind(northwind: Engine, owner_asks: Callable[..., Any]) -> None:
    assert owner_asks("select array_agg(tool || ' ' || state) from crm.drafts") == ["import approved"] * 5
    found = northwind.execute(
        """select year(placed_at), round(sum(l.net_amount), 2) from orders o, order_lines l where l.order_id = o.id
        group by rollup (1) order by 1 nulls last"""
    ).fetchall()
    assert found == [
        (1996, Decimal("208083.97")),
        (1997, Decimal("617085.20")),
        (1998, Decimal("440623.87")),
        (None, Decimal("1265793.04")),
    ]
    assert northwind.execute("select count(*), min(placed_at)::date from orders").fetchone() == (
        830,
        date(1996, 7, 4),
    )
