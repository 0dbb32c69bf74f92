"""Invoices and payments that are brought in: exact, open by what was not paid, never posted into closed books."""

from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from crm_mcp import auth
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.errors import Refusal
from crm_mcp.importing.batch import batch
from crm_mcp.importing.plan import write_rejected
from orgs import Desk, sit_down

SLUGS = count(1)
CUSTOMERS = "id,name,email,payment_terms_days\nA,Alfa,pay@alfa.example,14\nB,Beta,,\n"
PRODUCTS = "id,sku,name,price\n1,CH,Chair,10\n2,DE,Desk,99\n"
INVOICES = """invoice_id,invoice_number,customer_id,invoice_date,net,tax,total
1,INV-00041,A,2024-01-31,100,19,119.00
2,INV-00007,B,2024-02-01,50,,50
"""
LINES = """invoice_id,sku,quantity,unit_price,tax_rate
1,CH,1,10,19
1,,9,10,19
"""
OPEN = "select number, gross_total, paid_total, open_total from crm.invoices where org_id = %s order by number"


@pytest.fixture
async def desk(home: Home, approver: Database, tmp_path: Path) -> Desk:
    made = await sit_down(home, approver, tmp_path, f"money{next(SLUGS)}")
    await made.bring("customers", CUSTOMERS)
    await made.bring("products", PRODUCTS)
    return made


async def reasons(desk: Desk, kind: Any, text: str, **options: Any) -> list[tuple[int, str]]:
    return [(one.line, one.reason) for one in (await desk.bring(kind, text, **options)).rejected]


def close(desk: Desk, day: str) -> None:
    with psycopg.connect(desk.home.conninfo("postgres")) as conn:
        conn.execute("set session_replication_role = replica")
        conn.execute(
            """insert into crm.org_settings(org_id, books_closed_through) values (%s, %s)
            on conflict (org_id) do update set books_closed_through = excluded.books_closed_through""",
            (desk.who.org, day),
        )


async def test_invoices_come_with_totals_terms_and_numbers(desk: Desk) -> None:
    report = await desk.bring("invoices", INVOICES)

    assert (report.read, report.created, report.rejected) == (2, 2, [])
    assert [list(map(str, row)) for row in desk.ask(
        "select number, net_total, tax_total, gross_total, base_total, open_total, due_on from crm.invoices where org_id = %s order by id"
    )] == [
        ["INV-00041", "100.0000", "19.0000", "119.0000", "119.0000", "119.0000", "2024-02-14"],
        ["INV-00007", "50.0000", "0.0000", "50.0000", "50.0000", "50.0000", "2024-03-02"],
    ]  # fmt: skip
    again = await desk.bring("invoices", INVOICES)
    assert (again.created, again.updated, again.unchanged) == (0, 0, 2)


async def test_the_number_series_goes_on_after_numbers_brought_along(desk: Desk) -> None:
    await desk.bring("invoices", INVOICES)

    async with batch(desk.db, desk.who, "import", {}, "Draw a number.") as session:
        conn = await session.connection()
        drawn = await conn.exec_driver_sql(
            """insert into crm.invoices(org_id, customer_id, currency, net_total, tax_total, gross_total, issued_on, due_on)
            select org_id, id, 'EUR', 1, 0, 1, '2024-03-01', '2024-03-01' from crm.customers where org_id = %s limit 1
            returning number""",
            (desk.who.org,),
        )
        assert drawn.scalar_one() == "INV-00042"


async def test_lines_come_from_a_file_of_their_own_and_name_products_by_sku(desk: Desk) -> None:
    report = await desk.bring("invoices", INVOICES, lines=LINES.replace("1,,9,10", "1,DE,9,10"))

    assert report.rows == {"invoices": 2, "invoice_lines": 2}
    assert desk.ask(
        "select position, description, quantity, net_amount, tax_amount from crm.invoice_lines where org_id = %s order by position"
    ) == [(1, "Chair", 1, Decimal(10), Decimal("1.9")), (2, "Desk", 9, Decimal(90), Decimal("17.1"))]
    assert (await desk.bring("invoices", INVOICES, lines=LINES.replace("1,,9,10", "1,DE,9,10"))).unchanged == 2


async def test_one_bad_line_rejects_its_invoice_alone(desk: Desk) -> None:
    report = await desk.bring("invoices", INVOICES, lines=LINES)

    assert [(one.file.name, one.line, one.reason) for one in report.rejected] == [
        ("invoices.csv", 2, "line 3 of lines.csv: holds a line without product or description"),
        (
            "lines.csv",
            2,
            "its invoice was rejected: line 3 of lines.csv: holds a line without product or description",
        ),
        ("lines.csv", 3, "holds a line without product or description"),
    ]
    assert desk.count("invoices", "invoice_lines") == [1, 0]


async def test_one_file_may_hold_a_row_a_line_and_invoices_without_lines(desk: Desk) -> None:
    flat = (
        "id,customer,date,total,description,quantity,price\n"
        "1,A,2024-01-31,30,Work,1,10\n1,A,2024-01-31,30,More work,2,10\n2,B,2024-02-01,7,,,\n"
    )
    report = await desk.bring("invoices", flat)

    assert (report.read, report.created, report.rejected, desk.count("invoice_lines")) == (2, 2, [], [2])
    assert (await desk.bring("invoices", flat)).unchanged == 2


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("3,,X,2024-01-01,1,0,1", "customer_id 'X': no customer was imported from old by that id or has that e-mail address; import it first"),
        ("3,,,2024-01-01,1,0,1", "names neither a customer nor an order"),
        ("3,,A,2024-01-01,1,0,2", "net 1 and tax 0 do not come to the total 2"),
        ("3,,A,2024-01-01,,,", "has neither lines nor a total"),
        ("3,,A,2024-01-01,,,1.005", "total is 1.005, finer than EUR has coins"),
        ("3,INV-00007,A,2024-01-01,,,1", "invoice number 'INV-00007' belongs to another invoice"),
        ("2,INV-00009,B,2024-02-01,50,,50", "invoice number 'INV-00009' was 'INV-00007' before; a document keeps its number"),
    ],
)  # fmt: skip
async def test_an_invoice_that_cannot_be_is_rejected_with_the_reason(desk: Desk, row: str, reason: str) -> None:
    await desk.bring("invoices", INVOICES)

    found = await reasons(desk, "invoices", INVOICES.splitlines()[0] + f"\n{row}\n")

    assert reason in found[0][1]
    assert desk.count("invoices") == [2]


async def test_an_invoice_of_an_order_takes_its_customer_and_names_its_lines(desk: Desk) -> None:
    await desk.bring(
        "orders", "id,number,customer,date\n9,ORD-9,B,2024-01-01\n",
        lines="order,product,quantity,price\n9,1,2,10\n9,2,1,99\n",
    )  # fmt: skip

    report = await desk.bring(
        "invoices",
        "id,order,date\n1,ORD-9,2024-01-02\n",
        lines="invoice,product,quantity,price\n1,2,1,99\n1,1,2,10\n",
    )

    assert report.rejected == []
    assert desk.ask(
        """select o.product_id = l.product_id, i.gross_total from crm.invoice_lines l
        join crm.order_lines o on o.org_id = l.org_id and o.id = l.order_line_id
        join crm.invoices i on i.org_id = l.org_id and i.id = l.invoice_id where l.org_id = %s"""
    ) == [(True, Decimal(119)), (True, Decimal(119))]
    other = await reasons(desk, "invoices", "id,order,customer,date,total\n2,ORD-9,A,2024-01-02,1\n")
    assert other == [(2, "order 'ORD-9' is an order of another customer than 'A'")]


async def test_payments_pay_by_id_and_by_number_and_rows_of_one_payment_are_its_parts(desk: Desk) -> None:
    await desk.bring("invoices", INVOICES)
    text = (
        "payment_id,invoice,date,amount,method\n"
        "P1,INV-00041,2024-02-10,100,Bank transfer\nP2,2,2024-02-11,20,cash\nP2,2,2024-02-11,5,cash\n"
    )
    report = await desk.bring("payments", text)

    assert (report.read, report.created, report.rejected) == (2, 2, [])
    assert desk.ask(OPEN) == [
        ("INV-00007", Decimal(50), Decimal(25), Decimal(25)),
        ("INV-00041", Decimal(119), Decimal(100), Decimal(19)),
    ]
    assert desk.ask(
        """select i.paid_total = sum(a.amount) from crm.invoices i join crm.payment_allocations a
        on a.org_id = i.org_id and a.invoice_id = i.id where i.org_id = %s group by i.id, i.paid_total"""
    ) == [(True,), (True,)]
    assert (await desk.bring("payments", text)).unchanged == 2
    changed = await desk.bring("payments", text.replace("2024-02-10,100", "2024-02-10,119"))
    assert (changed.updated, changed.unchanged) == (1, 1)
    assert desk.ask(OPEN)[1] == ("INV-00041", Decimal(119), Decimal(119), Decimal(0))


async def test_what_a_payment_pays_may_be_in_a_file_of_its_own_and_the_rest_stays_on_account(desk: Desk) -> None:
    await desk.bring("invoices", INVOICES.replace("2,INV-00007,B", "2,INV-00007,A"))

    report = await desk.bring(
        "payments",
        "id,customer,date,amount\nP1,pay@alfa.example,2024-02-10,200\nP2,B,2024-02-10,5\n",
        lines="payment,invoice,amount\nP1,1,119\nP1,2,50\n",
    )

    assert report.rejected == []
    assert desk.ask("select amount, allocated_total from crm.payments where org_id = %s order by id") == [
        (Decimal(200), Decimal(169)),
        (Decimal(5), Decimal(0)),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("P1,2,B,2024-02-10,50.01,EUR", "pays more than is open of invoice '2': 50"),
        ("P1,2,A,2024-02-10,50,EUR", "invoice '2' is an invoice of another customer"),
        ("P1,2,B,2024-02-10,50,USD", "invoice '2' is in EUR, and the payment in USD"),
        ("P1,9,B,2024-02-10,50,EUR", "invoice '9': no invoice was imported from old by that id or has that number; import it first"),
        ("P1,2,B,2024-02-10,0,EUR", "amount is 0, no amount to pay in EUR"),
        ("P1,2,B,2024-02-10,0.005,EUR", "amount is 0.005, no amount to pay in EUR"),
        ("P1,,,2024-02-10,5,EUR", "names neither a customer nor an invoice"),
    ],
)  # fmt: skip
async def test_a_payment_that_cannot_be_is_rejected_and_changes_no_invoice(desk: Desk, row: str, reason: str) -> None:
    await desk.bring("invoices", INVOICES)

    found = await reasons(desk, "payments", f"id,invoice,customer,date,amount,currency\n{row}\n")

    assert [line for line, _ in found] == [2]
    assert reason in found[0][1]
    assert desk.count("payments", "payment_allocations") == [0, 0]
    assert [row[2] for row in desk.ask(OPEN)] == [0, 0]


async def test_the_payment_that_no_longer_fits_is_rejected_and_completes_once_corrected(desk: Desk) -> None:
    await desk.bring("invoices", INVOICES)

    report = await desk.bring("payments", "id,invoice,date,amount\nP1,2,2024-02-10,30\nP2,2,2024-02-11,30\n")

    assert [(one.line, one.reason) for one in report.rejected] == [(3, "pays more than is open of invoice '2': 20")]
    assert desk.ask(OPEN)[0][2] == 30
    (rejected,) = write_rejected(report)
    rejected.write_text(rejected.read_text("utf-8").replace(",30", ",20"), "utf-8")
    assert (await desk.bring("payments", rejected)).created == 1
    assert desk.ask(OPEN)[0][3] == 0


async def test_closed_books_reject_a_line_with_the_reason_and_leave_what_is_there(desk: Desk) -> None:
    await desk.bring("invoices", INVOICES)
    await desk.bring("payments", "id,invoice,date,amount\nP1,2,2024-01-31,30\n")
    close(desk, "2024-01-31")

    more = INVOICES + "3,,A,2024-01-31,,,5\n4,,A,2024-02-01,,,5\n"
    assert await reasons(desk, "invoices", more) == [
        (4, "invoice_date is 2024-01-31, and the books are closed through 2024-01-31")
    ]
    assert await reasons(desk, "invoices", INVOICES.replace("2024-01-31,100,19,119.00", "2024-02-05,100,19,119")) == [
        (2, "invoice_date is 2024-01-31, and the books are closed through 2024-01-31")
    ]
    text = "id,invoice,date,amount\nP1,2,2024-01-31,30\nP2,1,2024-01-31,1\nP3,1,2024-02-01,1\n"
    assert await reasons(desk, "payments", text) == [
        (3, "date is 2024-01-31, and the books are closed through 2024-01-31")
    ]
    assert desk.ask(OPEN)[-1][2] == 1


async def test_a_total_below_what_was_paid_is_rejected(desk: Desk) -> None:
    await desk.bring("invoices", INVOICES)
    await desk.bring("payments", "id,invoice,date,amount\nP1,2,2024-02-10,30\n")

    assert await reasons(desk, "invoices", INVOICES.replace("50,,50", "20,,20")) == [
        (3, "the total is 20, but 30.0000 of it is settled already")
    ]


async def test_rates_are_known_by_their_day(desk: Desk) -> None:
    taxes = "tax_zone,tax_class,rate,valid_from\ndomestic,standard,19,2007-01-01\ndomestic,standard,16,2020-07-01\n"
    rates = "currency,date,rate\nUSD,2024-01-01,0.9\nEUR,2024-01-01,1\n"

    assert (await desk.bring("tax_rates", taxes)).created == 2
    assert ((await desk.bring("tax_rates", taxes.replace(",16,", ",17,"))).updated) == 1
    assert await reasons(desk, "exchange_rates", rates) == [(3, "EUR is the org's base currency and has no rate")]
    assert (await desk.bring("exchange_rates", rates.replace("EUR", "CHF"))).unchanged == 1
    await desk.bring("invoices", "id,customer,date,total,currency\n1,A,2024-01-02,100,USD\n")
    assert desk.ask("select base_total from crm.invoices where org_id = %s") == [(Decimal(90),)]
    assert desk.count("external_refs") == [5]


async def test_who_does_not_keep_the_books_may_not_import_them(home: Home, desk: Desk) -> None:
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("update crm.memberships set role = 'sales' where org_id = %s", (desk.who.org,))
    desk.who = await desk.db.sign_in(auth.by_email(desk.who.email))

    with pytest.raises(Refusal, match="ROLE_NOT_ALLOWED"):
        await desk.bring("invoices", INVOICES)


async def test_new_columns_of_customers_and_products_are_read(desk: Desk) -> None:
    await desk.bring("customers", "id,name,tax_zone,vat_number,payment_terms\nC,Gamma,Export,DE1,7\n")
    found = await reasons(desk, "customers", "id,name,tax_zone,terms_days\nD,Delta,to the moon,7\nE,Eps,,400\n")
    await desk.bring("products", "id,name,price,tax_class,warranty_months\n3,Lamp,5,reduced,24\n4,Bulb,1,,\n")

    assert desk.ask(
        "select tax_zone, tax_number, payment_terms_days from crm.customers where org_id = %s and name = 'Gamma'"
    ) == [("export", "DE1", 7)]
    assert [why.split(",")[0] for _, why in found] == ["tax_zone is 'to the moon'", "terms_days is '400'"]
    assert desk.ask(
        "select tax_class, warranty_months from crm.products where org_id = %s and name in ('Lamp', 'Bulb') order by id"
    ) == [("reduced", 24), ("standard", 0)]


async def test_a_confirmed_order_keeps_stock_until_it_is_not_confirmed_any_more(desk: Desk) -> None:
    orders = "id,customer,date,status\n1,A,2024-01-01,confirmed\n2,A,2024-01-01,shipped\n"
    lines = "order,product,quantity,price\n1,1,2,10\n1,2,1,99\n1,1,3,9\n2,1,1,1\n"
    kept = """select product_id - min(product_id) over (), quantity, released_at is null from crm.stock_reservations
        where org_id = %s order by id"""

    report = await desk.bring("orders", orders, lines=lines)

    assert report.rows == {"orders": 2, "order_lines": 4, "stock_reservations": 3}
    assert desk.ask(kept) == [(0, 2, True), (1, 1, True), (0, 3, True)]
    await desk.bring("orders", orders, lines=lines.replace("1,2,1,99", "1,2,4,99"))
    assert desk.ask(kept) == [(0, 2, True), (1, 1, False), (0, 3, True), (1, 4, True)]
    await desk.bring("orders", orders.replace("confirmed", "cancelled"), lines=lines.replace("1,2,1,99", "1,2,4,99"))
    assert [row[2] for row in desk.ask(kept)] == [False] * 4
