"""Which files an import can read: their headers, signs and encodings, and what it says of the others."""

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.errors import Refusal
from crm_mcp.importing.plan import write_rejected
from orgs import Desk, sit_down

SLUGS = count(1)


@pytest.fixture
async def desk(home: Home, approver: Database, tmp_path: Path) -> Desk:
    return await sit_down(home, approver, tmp_path, f"files{next(SLUGS)}")


async def refused(desk: Desk, text: str | bytes, kind: Any = "customers", **options: Any) -> tuple[str, str]:
    with pytest.raises(Refusal) as refusal:
        await desk.bring(kind, text, **options)
    assert desk.count("customers", "products") == [0, 0]
    return refusal.value.error, refusal.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "customer_id,company_name,city\nA,Müller,Köln\n",
        "Customer ID;Company;Town\nA;Müller;Köln\n",
        "CUSTOMERID\tName\tCITY\nA\tMüller\tKöln\n",
        "\ufeffid,Account Name,city\r\nA,Müller,Köln\r\n",
        '"Town","ID","customer-name"\n"Köln","A","Müller"\n',
    ],
)
async def test_headers_delimiters_and_marks_of_many_programs_are_read(desk: Desk, text: str) -> None:
    report = await desk.bring("customers", text)

    assert (report.created, report.rejected) == (1, [])
    assert desk.ask("select name, city from crm.customers where org_id = %s") == [("Müller", "Köln")]


async def test_map_names_a_header_that_would_not_be_found(desk: Desk) -> None:
    report = await desk.bring(
        "customers", "Nr,Firma,Name\nA,Alfa,Ann\n", mapping={"external_id": "nr", "name": "Firma"}
    )

    assert report.created == 1
    assert list(report.mapped.values()) == [{"external_id": "Nr", "name": "Firma"}]
    assert list(report.ignored.values()) == [["Name"]]


async def test_columns_that_are_not_read_are_listed(desk: Desk) -> None:
    report = await desk.bring("customers", "id,name,fax,cf_colour\nA,Alfa,1,blue\n")

    assert list(report.ignored.values()) == [["fax", "cf_colour"]]


async def test_latin_1_is_refused_with_the_line_and_read_when_named(desk: Desk) -> None:
    text = "id,name\nA,Alfa\nB,Müller\n".encode("latin-1")

    error, hint = await refused(desk, text)

    assert error == "WRONG_ENCODING"
    assert hint.startswith("Line 3 of customers.csv is not utf-8: byte 0xfc at column 4.")
    assert "--encoding cp1252" in hint
    assert (await desk.bring("customers", text, encoding="cp1252")).created == 2


async def test_utf_16_and_unknown_encodings_are_named(desk: Desk) -> None:
    assert "UTF-16" in (await refused(desk, "id,name\nA,Alfa\n".encode("utf-16")))[1]
    assert (await refused(desk, "id,name\nA,Alfa\n", encoding="klingon"))[0] == "WRONG_ENCODING"


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff", "id,name\n", "id,name\n\n  \n"])
async def test_an_empty_file_is_refused(desk: Desk, text: str) -> None:
    assert (await refused(desk, text))[0] == "EMPTY_FILE"


async def test_a_missing_column_names_the_nearest_header(desk: Desk) -> None:
    error, hint = await refused(desk, "id,compny_name\nA,Alfa\n")

    assert error == "MISSING_COLUMNS"
    assert "name (the nearest header is 'compny_name')" in hint
    assert "--map name='compny_name'" in hint


async def test_a_mapping_to_nothing_is_refused_with_the_nearest(desk: Desk) -> None:
    assert "The nearest is 'Firma'" in (await refused(desk, "id,Firma\nA,B\n", mapping={"name": "Firmen"}))[1]
    assert "The nearest is 'city'" in (await refused(desk, "id,name\nA,B\n", mapping={"citty": "name"}))[1]


async def test_two_columns_of_one_name_are_refused(desk: Desk) -> None:
    assert (await refused(desk, "id,name,Name\nA,Alfa,Beta\n"))[0] == "DUPLICATE_COLUMN"


async def test_an_open_quote_is_refused_with_its_line(desk: Desk) -> None:
    error, hint = await refused(desk, 'id,name\nA,Alfa\nB,"Beta\nC,Gamma\n')

    assert error == "BROKEN_CSV"
    assert hint.startswith("The row on line 3 of customers.csv cannot be read")


async def test_a_file_that_is_not_there_is_refused(desk: Desk) -> None:
    assert (await refused(desk, desk.folder / "none.csv"))[0] == "FILE_NOT_READABLE"  # type: ignore[arg-type]


async def test_discounts_that_look_like_fractions_are_asked_about(desk: Desk) -> None:
    await desk.bring("customers", "id,name\nA,Alfa\n")
    await desk.bring("products", "id,name,price\n1,Chair,10\n")
    orders = "order_id,customer_id,order_date\n1,A,2024-01-01\n"
    lines = "order_id,product_id,price,quantity,discount\n1,1,10,1,0.15\n"

    with pytest.raises(Refusal, match="WRONG_DISCOUNTS"):
        await desk.bring("orders", orders, lines=lines)
    await desk.bring("orders", orders, lines=lines, discount_unit="fraction")

    assert [str(row[0]) for row in desk.ask("select net_total from crm.orders where org_id = %s")] == ["8.5000"]


async def test_a_decimal_comma_is_read_when_named(desk: Desk) -> None:
    await desk.bring("products", "id;name;price\n1;Chair;10,5\n", decimal=",")

    assert [str(row[0]) for row in desk.ask("select unit_price from crm.products where org_id = %s")] == ["10.5000"]


async def test_rejected_lines_keep_the_delimiter_and_the_encoding(desk: Desk) -> None:
    report = await desk.bring("customers", "id;name;city\nA;;Köln\n".encode("cp1252"), encoding="cp1252")

    (file,) = write_rejected(report)

    assert file.read_bytes().decode("cp1252").splitlines() == [
        "rejected_because;id;name;city",
        "name is empty;A;;Köln",
    ]
