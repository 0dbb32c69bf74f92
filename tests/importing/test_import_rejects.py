"""What an import does not take, and how it says so."""

import csv
from itertools import count
from pathlib import Path

import pytest

from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.errors import Refusal
from crm_mcp.importing.plan import write_rejected
from orgs import Desk, sit_down

SLUGS = count(1)
CUSTOMERS = "id,name\nA,Alfa\nB,Beta\n"
PRODUCTS = "id,name,price\n1,Chair,10\n2,Desk,99\n"
ORDERS = "order_id,customer_id,order_date\n100,A,2024-01-31\n101,B,2024-02-01\n"
LINES = "order_id,product_id,price,quantity\n100,1,10,3\n100,2,99,1\n101,1,9,2\n"


@pytest.fixture
async def desk(home: Home, approver: Database, tmp_path: Path) -> Desk:
    return await sit_down(home, approver, tmp_path, f"rejects{next(SLUGS)}")


async def reasons(desk: Desk, kind: str, text: str, **options: object) -> list[tuple[int, str]]:
    report = await desk.bring(kind, text, **options)  # type: ignore[arg-type]
    return [(one.line, one.reason) for one in report.rejected]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("1.234,50", "price is '1.234,50', not a number such as 1234.56"),
        ("1e3", "price is '1e3', not a number"),
        ("NaN", "price is 'NaN', not a number"),
        ("٣", "price is '٣', not a number"),
        ("-1", "price is '-1'; it may not be negative"),
        ("1.00001", "price is '1.00001'; at most four decimals can be kept"),
        ("1000000000000000", "price is '1000000000000000', larger than can be kept"),
        ("", "price is empty"),
    ],
)
async def test_a_price_that_is_none_is_rejected_with_the_reason(desk: Desk, cell: str, reason: str) -> None:
    report = await desk.bring("products", f'id;name;price\n1;Chair;"{cell}"\n2;Desk;5\n')

    assert report.created == 1
    assert report.rejected[0].line == 2
    assert report.rejected[0].reason.startswith(reason)


@pytest.mark.parametrize("cell", ["04/07/1996", "1996-13-01", "1996-02-30", "20240101", "0001-01-01", "2024-W01-1"])
async def test_a_date_that_is_none_is_rejected(desk: Desk, cell: str) -> None:
    await desk.bring("customers", CUSTOMERS)
    await desk.bring("products", PRODUCTS)

    found = await reasons(desk, "orders", ORDERS.replace("2024-01-31", cell), lines=LINES)

    assert found[0] == (2, f"order_date is {cell!r}, not a date such as 1996-07-04 (year-month-day)")
    assert desk.count("orders", "order_lines") == [1, 1]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("100,2,99,0", "quantity is '0'; it must be above 0"),
        ("100,2,99,-1", "quantity is '-1'; it must be above 0"),
        ("100,2,99,1.5", "quantity is '1.5', not a whole number up to 2,147,483,647"),
        ("100,7,99,1", "product_id '7' is no product imported from old; import it first"),
    ],
)
async def test_an_order_with_one_bad_line_is_rejected_whole(desk: Desk, bad: str, reason: str) -> None:
    await desk.bring("customers", CUSTOMERS)
    await desk.bring("products", PRODUCTS)

    found = await reasons(desk, "orders", ORDERS, lines=LINES.replace("100,2,99,1", bad))

    assert found == [
        (2, f"line 3 of lines.csv: {reason}"),
        (2, f"its order was rejected: line 3 of lines.csv: {reason}"),
        (3, reason),
    ]
    assert desk.ask("select number from crm.orders where org_id = %s") == [("101",)]
    assert desk.count("order_lines") == [1]


async def test_rejected_files_corrected_and_imported_again_complete_the_import(desk: Desk) -> None:
    await desk.bring("customers", CUSTOMERS)
    await desk.bring("products", PRODUCTS)
    report = await desk.bring("orders", ORDERS, lines=LINES.replace("100,2,99,1", "100,2,99,0"))

    orders, lines = write_rejected(report)

    assert (orders.name, lines.name) == ("orders.rejected.csv", "lines.rejected.csv")
    rows = list(csv.reader(lines.read_text("utf-8-sig").splitlines()))
    assert rows[0] == ["rejected_because", "order_id", "product_id", "price", "quantity"]
    assert [row[1:] for row in rows[1:]] == [["100", "1", "10", "3"], ["100", "2", "99", "0"]]
    lines.write_text(lines.read_text("utf-8").replace("99,0", "99,1"), "utf-8")
    again = await desk.bring("orders", orders, lines=lines)
    assert (again.created, again.rejected, desk.count("orders", "order_lines")) == (1, [], [2, 3])
    assert write_rejected(again) == []


async def test_an_order_whose_customer_is_not_there_is_rejected(desk: Desk) -> None:
    await desk.bring("customers", "id,name\nA,Alfa\n")
    await desk.bring("products", PRODUCTS)

    found = await reasons(desk, "orders", ORDERS, lines=LINES)

    assert found[0] == (3, "customer_id 'B' is no customer imported from old; import it first")
    assert desk.count("orders") == [1]


async def test_lines_without_an_order_and_orders_without_lines_are_rejected(desk: Desk) -> None:
    await desk.bring("customers", CUSTOMERS)
    await desk.bring("products", PRODUCTS)

    found = await reasons(desk, "orders", ORDERS, lines=LINES.replace("101,", "999,"))

    assert found == [(3, "has no lines in lines.csv"), (4, "order '999' is not in orders.csv")]


async def test_every_row_of_an_id_that_stands_twice_is_rejected(desk: Desk) -> None:
    found = await reasons(desk, "customers", CUSTOMERS + "A,Alpha\n")

    assert [line for line, _ in found] == [2, 4]
    assert found[0][1] == "id 'A' is on lines 2, 4; keep one of them"
    assert desk.count("customers") == [1]


async def test_a_name_of_a_hundred_thousand_characters_is_rejected(desk: Desk) -> None:
    found = await reasons(desk, "customers", f"{CUSTOMERS}C,{'x' * 100_000}\n")

    assert found == [(4, "name has 100,000 characters; at most 400 can be kept")]
    assert desk.count("customers") == [2]


async def test_rows_that_do_not_fit_the_header_or_hold_nul_are_rejected_and_blank_lines_are_not(desk: Desk) -> None:
    found = await reasons(desk, "customers", "id,name\nA\n\nB,Beta,more\nC,Ga\0mma\nD,\n ,Delta\nE,Epsilon\n")

    assert found == [
        (2, "has 1 values where the header has 2"),
        (4, "has 3 values where the header has 2"),
        (5, "name holds a NUL character"),
        (6, "name is empty"),
        (7, "id is empty"),
    ]
    assert desk.count("customers") == [1]


async def test_a_row_over_several_lines_counts_from_its_first(desk: Desk) -> None:
    found = await reasons(desk, "customers", 'id,name\nA,"Alfa\nand\nsons"\nB,\n')

    assert found == [(5, "name is empty")]
    assert desk.ask("select name from crm.customers where org_id = %s") == [("Alfa\nand\nsons",)]


HOSTILE = (
    "Robert'); drop table crm.customers;--",
    "=cmd|' /C calc'!A0",
    "{{7*7}}%s%(x)s$1",
    "\u202eevil\u200b",
    "<script>alert(1)</script>",
    "👩‍👩‍👧‍👦 Ω≈ç√ ﷽",
    "  spaced  ",
    "\\N",
    "a\x1b[31mb\x07",
    "{a,b}",
    'quo"te',
)


async def test_hostile_texts_are_stored_as_written(desk: Desk) -> None:
    file = desk.folder / "hostile.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerows([["id", "name"], *([f"{at}", name] for at, name in enumerate(HOSTILE))])

    report = await desk.bring("customers", file)

    assert report.rejected == []
    stored = desk.ask("select name from crm.customers where org_id = %s order by id")
    assert tuple(name for (name,) in stored) == HOSTILE


async def test_a_file_that_is_refused_says_why_and_writes_no_call(desk: Desk) -> None:
    before = desk.count("audit_log", "drafts")

    with pytest.raises(Refusal):
        await desk.bring("customers", "id,name\n")

    assert desk.count("audit_log", "drafts") == before
