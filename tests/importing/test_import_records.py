"""What an import does to the records: it makes, updates, leaves, and never does half of it."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path

import psycopg
import pytest

from crm_mcp import auth
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.errors import Refusal
from orgs import Desk, sit_down

SLUGS = count(1)
TABLES = (
    "customers", "contacts", "products", "stock_movements", "orders", "order_lines", "external_refs", "changes",
    "drafts", "audit_log",
)  # fmt: skip
CUSTOMERS = """customer_id,company_name,contact_name,contact_title,city
A,Alfa GmbH,Anna Arendt,Owner,Berlin
B,Beta SARL,,,Paris
C,"Gamma, Ltd",Carl Cole,Buyer,
"""
PRODUCTS = """product_id,product_name,unit_price,units_in_stock,discontinued
1,Chair,10.50,7,0
2,Desk,99,0,1
"""
ORDERS = """order_id,customer_id,order_date,shipped_date
100,A,2024-01-31,2024-02-02
101,B,2024-02-01,
"""
LINES = """order_id,product_id,unit_price,quantity,discount
100,1,10.50,3,15
100,2,99,1,0
101,1,9.99,2,0
"""


@pytest.fixture
async def desk(home: Home, approver: Database, tmp_path: Path) -> Desk:
    return await sit_down(home, approver, tmp_path, f"records{next(SLUGS)}")


async def bring_goods(desk: Desk) -> None:
    await desk.bring("customers", CUSTOMERS)
    await desk.bring("products", PRODUCTS)


async def test_customers_come_with_the_person_named_beside_them(desk: Desk) -> None:
    report = await desk.bring("customers", CUSTOMERS)

    assert (report.read, report.created, report.rows) == (3, 3, {"customers": 3, "contacts": 2})
    assert desk.ask(
        """select c.name, p.name, p.title from crm.customers c
        left join crm.contacts p on p.org_id = c.org_id and p.customer_id = c.id where c.org_id = %s order by c.id"""
    ) == [("Alfa GmbH", "Anna Arendt", "Owner"), ("Beta SARL", None, None), ("Gamma, Ltd", "Carl Cole", "Buyer")]


async def test_the_same_files_again_change_nothing(desk: Desk) -> None:
    await bring_goods(desk)
    await desk.bring("orders", ORDERS, lines=LINES)
    before = desk.count(*TABLES)

    again = [
        await desk.bring("customers", CUSTOMERS),
        await desk.bring("products", PRODUCTS),
        await desk.bring("orders", ORDERS, lines=LINES),
    ]

    assert [(r.created, r.updated, r.unchanged) for r in again] == [(0, 0, 3), (0, 0, 2), (0, 0, 2)]
    assert desk.count(*TABLES) == before


async def test_a_changed_row_updates_its_record_in_place(desk: Desk) -> None:
    await desk.bring("customers", CUSTOMERS)
    ids = desk.ask("select id from crm.customers where org_id = %s order by id")

    report = await desk.bring("customers", CUSTOMERS.replace("Beta SARL", "Bêta SAS").replace("Owner", "Chair"))

    assert (report.created, report.updated, report.unchanged) == (0, 1, 2)
    assert desk.ask("select id from crm.customers where org_id = %s order by id") == ids
    recorded = desk.ask("select tbl, before, after from crm.changes where org_id = %s and op = 'U' order by id")
    assert [(tbl, before.get("name", before.get("title"))) for tbl, before, _ in recorded] == [
        ("customers", "Beta SARL"),
        ("contacts", "Owner"),
    ]


async def test_columns_that_a_file_lacks_stay_as_they_are(desk: Desk) -> None:
    await desk.bring("customers", CUSTOMERS)

    await desk.bring("customers", "id,name\nA,Alfa AG\n")

    assert desk.ask("select name, city from crm.customers where org_id = %s and name like 'Alfa%%'") == [
        ("Alfa AG", "Berlin")
    ]


async def test_the_same_id_of_two_sources_is_two_records(desk: Desk) -> None:
    await desk.bring("customers", CUSTOMERS, source="old")

    report = await desk.bring("customers", CUSTOMERS, source="new")

    assert report.created == 3
    assert desk.count("customers") == [6]


async def test_a_dry_run_reports_and_leaves_nothing(desk: Desk) -> None:
    before = desk.count(*TABLES)

    report = await desk.bring("customers", CUSTOMERS, dry_run=True)

    assert (report.created, report.dry_run, report.rows["contacts"]) == (3, True, 2)
    assert desk.count(*TABLES) == before


async def test_contacts_join_customers_of_their_source(desk: Desk) -> None:
    await desk.bring("customers", CUSTOMERS)

    report = await desk.bring("contacts", "id,company_id,name,email\n7,B,Zoé,zoe@b.example\n8,Z,Nobody,\n")

    assert report.created == 1
    assert [(one.line, one.reason) for one in report.rejected] == [
        (
            3,
            "company_id 'Z': no customer was imported from old by that id or has that e-mail address; import it first",
        )
    ]
    assert desk.ask(
        """select c.name from crm.contacts p join crm.customers c on c.org_id = p.org_id and c.id = p.customer_id
        where p.org_id = %s and p.name = 'Zoé'"""
    ) == [("Beta SARL",)]


async def test_orders_have_exact_totals_and_the_status_of_their_shipping(desk: Desk) -> None:
    await bring_goods(desk)

    await desk.bring("orders", ORDERS, lines=LINES)

    rows = desk.ask(
        """select number, status, currency, net_total, tax_total, gross_total, base_total, placed_at
        from crm.orders where org_id = %s order by number"""
    )
    midnight = datetime(2024, 1, 30, 23, tzinfo=UTC)
    total = Decimal("125.7750")
    assert rows[0] == ("100", "completed", "EUR", total, Decimal(0), total, total, midnight)
    assert rows[1][:4] == ("101", "confirmed", "EUR", Decimal("19.98"))
    assert desk.ask("select quantity, kind from crm.stock_movements where org_id = %s") == [(7, "opening")]


async def test_tax_and_a_foreign_currency_are_carried_into_the_base_total(desk: Desk) -> None:
    await bring_goods(desk)
    lines = "order_id,product_id,unit_price,quantity,tax_rate\n1,1,10,1,19\n2,1,10,1,19\n"
    orders = "order_id,customer_id,order_date,currency\n1,A,2024-03-01,EUR\n2,A,2024-03-01,USD\n"

    await desk.bring("orders", orders, lines=lines)

    assert desk.ask(
        "select currency, net_total, tax_total, gross_total, base_total from crm.orders where org_id = %s order by 1"
    ) == [
        ("EUR", Decimal(10), Decimal("1.9"), Decimal("11.9"), Decimal("11.9")),
        ("USD", Decimal(10), Decimal("1.9"), Decimal("11.9"), None),
    ]


async def test_a_changed_order_changes_its_lines_in_place(desk: Desk) -> None:
    await bring_goods(desk)
    await desk.bring("orders", ORDERS, lines=LINES)
    kept = desk.ask("select id from crm.order_lines where org_id = %s order by id")
    fewer = LINES.replace("100,2,99,1,0\n", "").replace("101,1,9.99,2,0", "101,1,9.99,5,0\n101,2,1,1,0")

    report = await desk.bring("orders", ORDERS, lines=fewer)

    assert (report.updated, report.unchanged) == (2, 0)
    lines = desk.ask(
        """select o.number, l.position, l.quantity, o.net_total from crm.order_lines l
        join crm.orders o on o.org_id = l.org_id and o.id = l.order_id where l.org_id = %s order by 1, 2"""
    )
    assert [row[:3] for row in lines] == [("100", 1, 3), ("101", 1, 5), ("101", 2, 1)]
    assert lines[1][3] == Decimal("50.95")
    assert desk.ask("select id from crm.order_lines where org_id = %s order by id")[:2] == [kept[0], kept[2]]


async def test_one_file_may_hold_orders_with_a_row_a_line(desk: Desk) -> None:
    await bring_goods(desk)
    flat = (
        "order_id;customer_id;order_date;product_id;quantity;unit_price\n"
        "1;A;2024-01-01;1;1;5\n1;A;2024-01-01;2;2;5\n2;B;2024-01-02;1;1;5\n3;B;2024-01-02;1;1;5\n3;C;2024-01-02;1;1;5\n"
    )

    report = await desk.bring("orders", flat)

    assert (report.read, report.created, desk.count("order_lines")) == (3, 2, [3])
    assert [(one.line, one.reason) for one in report.rejected] == [
        (5, "its order was rejected: line 6 of orders.csv: customer_id differs from line 5 of the same order"),
        (6, "customer_id differs from line 5 of the same order"),
    ]
    assert (await desk.bring("orders", flat)).unchanged == 2


async def test_another_stock_figure_is_one_correction(desk: Desk) -> None:
    await desk.bring("products", PRODUCTS)

    report = await desk.bring("products", PRODUCTS.replace("10.50,7", "10.50,4"))
    again = await desk.bring("products", PRODUCTS.replace("10.50,7", "10.50,4"))

    assert ((report.updated, report.unchanged), again.unchanged) == ((1, 1), 2)
    assert desk.ask("select quantity, kind from crm.stock_movements where org_id = %s order by id") == [
        (7, "opening"),
        (-3, "correction"),
    ]


async def test_a_record_deleted_since_comes_back(desk: Desk) -> None:
    await desk.bring("products", PRODUCTS)
    with psycopg.connect(desk.home.conninfo("postgres")) as conn:
        conn.execute("set session_replication_role = replica")
        conn.execute("delete from crm.stock_movements where org_id = %s", (desk.who.org,))
        conn.execute("delete from crm.products where org_id = %s and sku = '1'", (desk.who.org,))

    report = await desk.bring("products", PRODUCTS)

    assert (report.created, report.unchanged) == (1, 1)
    assert desk.count("products", "external_refs") == [2, 2]


async def test_another_products_sku_is_refused(desk: Desk) -> None:
    await desk.bring("products", PRODUCTS, source="old")

    report = await desk.bring("products", PRODUCTS, source="new")

    assert report.created == 0
    assert report.rejected[0].reason == "SKU '1' belongs to another product; give this one its own with a column sku"


async def test_who_may_not_approve_may_not_import(home: Home, desk: Desk) -> None:
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("update crm.memberships set may_approve = false where org_id = %s", (desk.who.org,))
    desk.who = await desk.db.sign_in(auth.by_email(desk.who.email))

    with pytest.raises(Refusal, match="NOT_AN_APPROVER"):
        await desk.bring("customers", CUSTOMERS)


async def test_an_import_is_one_audited_call_with_every_row_recorded(desk: Desk) -> None:
    await desk.bring("customers", CUSTOMERS)

    assert desk.ask("select phase, outcome from crm.audit_log where org_id = %s order by id") == [
        ("begun", None),
        ("ended", "ok"),
    ]
    assert desk.ask("select count(distinct call_id), count(*) from crm.changes where org_id = %s") == [(1, 10)]
    assert desk.ask("select state, tool from crm.drafts where org_id = %s") == [("approved", "import")]


async def test_progress_rises_to_the_whole(desk: Desk) -> None:
    await desk.bring("customers", CUSTOMERS)

    done = [done for done, _ in desk.steps]
    assert done == sorted(done)
    assert desk.steps[-1][0] == desk.steps[-1][1]
    assert len({total for _, total in desk.steps}) == 1


async def test_two_imports_of_one_file_at_once_make_each_record_once(desk: Desk) -> None:
    other = Database(desk.home.conninfo("crm_approver"))
    twin = Desk(desk.home, other, desk.who, desk.folder)
    try:
        reports = await asyncio.gather(desk.bring("customers", CUSTOMERS), twin.bring("customers", CUSTOMERS))
    finally:
        await other.close()

    assert sorted(report.created for report in reports) == [0, 3]
    assert desk.count("customers", "contacts") == [3, 2]
