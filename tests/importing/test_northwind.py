"""The Northwind tables as one tenant: four imports without a mapping, and sums exact to the cent."""

from decimal import Decimal
from pathlib import Path

import pytest

from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.importing.plan import Kind, Plan, Report
from crm_mcp.importing.run import run
from orgs import Desk, sit_down

NORTHWIND = Path(__file__).parents[2].parent / "shared" / "data" / "northwind"
pytestmark = pytest.mark.skipif(not NORTHWIND.is_dir(), reason=f"the Northwind tables are not at {NORTHWIND}")
FILES: tuple[tuple[Kind, str, str | None], ...] = (
    ("customers", "customers.csv", None),
    ("products", "products.csv", None),
    ("orders", "orders.csv", "order_details.csv"),
)


async def bring_all(desk: Desk) -> list[Report]:
    reports: list[Report] = []
    for kind, file, lines in FILES:
        plan = Plan(
            kind,
            NORTHWIND / file,
            "northwind",
            lines_file=NORTHWIND / lines if lines else None,
            discount_unit="fraction",
        )
        reports.append(await run(desk.db, desk.who, plan, dry_run=False, progress=lambda *_: None))
    return reports


async def test_northwind_comes_in_whole_and_its_sums_are_exact(
    home: Home, approver: Database, tmp_path: Path
) -> None:
    desk = await sit_down(home, approver, tmp_path, "northwind", currency="USD", zone="America/New_York")

    reports = await bring_all(desk)

    assert [(r.read, r.created, len(r.rejected)) for r in reports] == [(91, 91, 0), (77, 77, 0), (830, 830, 0)]
    assert desk.count("customers", "contacts", "products", "orders", "order_lines") == [91, 91, 77, 830, 2155]
    years = desk.ask(
        """select extract(year from o.placed_at at time zone 'America/New_York')::int, round(sum(l.net_amount), 2)
        from crm.order_lines l join crm.orders o on o.org_id = l.org_id and o.id = l.order_id
        where l.org_id = %s group by rollup (1) order by 1"""
    )
    assert years == [
        (1996, Decimal("208083.97")),
        (1997, Decimal("617085.20")),
        (1998, Decimal("440623.87")),
        (None, Decimal("1265793.04")),
    ]
    (totals,) = desk.ask(
        "select sum(net_total), sum(tax_total), sum(gross_total) = sum(base_total) from crm.orders where org_id = %s"
    )
    assert (round(totals[0], 2), totals[1:]) == (Decimal("1265793.04"), (Decimal(0), True))


async def test_northwind_again_changes_nothing(home: Home, approver: Database, tmp_path: Path) -> None:
    desk = await sit_down(home, approver, tmp_path, "northwind2", currency="USD")
    await bring_all(desk)
    changes = desk.count("changes", "drafts", "stock_movements")

    reports = await bring_all(desk)

    assert [(r.created, r.updated, r.unchanged) for r in reports] == [(0, 0, 91), (0, 0, 77), (0, 0, 830)]
    assert desk.count("changes", "drafts", "stock_movements") == changes


async def test_northwinds_stock_opens_the_ledger_and_its_orders_do_not_move_it(
    home: Home, approver: Database, tmp_path: Path
) -> None:
    desk = await sit_down(home, approver, tmp_path, "northwind3", currency="USD")

    await bring_all(desk)

    (moved,) = desk.ask("select sum(quantity), array_agg(distinct kind) from crm.stock_movements where org_id = %s")
    assert moved == (3119, ["opening"])
    statuses = dict(desk.ask("select status, count(*) from crm.orders where org_id = %s group by 1"))
    assert statuses == {"completed": 809, "confirmed": 21}
