"""Every text and every amount comes back from a file as it was; dates are dates, and nothing is a formula."""

import csv
import io
import json
import re
import string
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_mcp.formulas import rearm
from crm_mcp.sheets.cells import Heading
from crm_mcp.sheets.markup import LONGEST, is_exact
from crm_mcp.sheets.sheet import Csv
from crm_mcp.sheets.workbook import Workbook

SHARED = Path(__file__).parents[3] / "shared" / "data"
BERLIN = ZoneInfo("Europe/Berlin")
TEXT = [Heading("text", "text")]
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
ARMED = [
    "=1+1",
    "+1",
    "-1",
    "@sum(A1)",
    "\t=1",
    "\rx",
    "\nx",
    "＝1",
    "＋1",
    " =1",
    "\u200b=1",
    "'=1",
    "=cmd|' /C calc'!A0",
]
ODD = [
    "\x00"[:0],
    "\x08",
    "_x0041_",
    "_x005F_x0041_",
    "_x",
    "a\r\nb",
    "\ufffe",
    "\uffff",
    "𝔘" * 5,
    "]]>",
    "&lt;",
    " x ",
]


def workbook(columns, rows, title="Rows", about=()):
    book = Workbook(columns, title, BERLIN)
    return book.head() + book.rows(rows) + book.end(about)


def unescaped(text):
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), text)


def texts(file):
    """Return the texts of the first column as the format says they are read (ECMA-376, ST_Xstring)."""
    with zipfile.ZipFile(io.BytesIO(file)) as whole:
        assert whole.testzip() is None
        sheet = ElementTree.fromstring(whole.read("xl/worksheets/sheet1.xml"))
    assert not list(sheet.iter(f"{MAIN}f"))
    cells = [row.find(f"{MAIN}c") for row in sheet.iter(f"{MAIN}row")][1:]
    assert all(cell.get("t") == "inlineStr" for cell in cells)
    return [unescaped("".join(cell.itertext())) for cell in cells]


def nasty():
    file = SHARED / "nasty_strings" / "blns.json"
    if not file.is_file():
        pytest.skip("the nasty strings are not beside this checkout")
    confusable = (SHARED / "nasty_strings" / "unicode_intentional_confusables.txt").read_text(encoding="utf-8")
    return [
        line for line in [*json.loads(file.read_text(encoding="utf-8")), *confusable.splitlines()] if "\0" not in line
    ]


def test_every_nasty_string_comes_back_from_a_workbook_as_a_text():
    said = [*nasty(), *ARMED, *ODD]
    assert texts(workbook(TEXT, [[one] for one in said])) == said


def test_every_nasty_string_comes_back_from_csv_and_none_is_armed():
    said = [*nasty(), *ARMED, *ODD]
    sheet = Csv(TEXT)
    file = sheet.head() + sheet.rows([[one] for one in said]) + sheet.end(())
    assert file.startswith(b"\xef\xbb\xbf")
    _, *rows = csv.reader(io.StringIO(file.decode("utf-8-sig"), newline=""))
    assert [rearm(one) for (one,) in (row or [""] for row in rows)] == said
    assert not [one for (one,) in rows if one[:1] in ("=", "+", "-", "@", "\t", "\r")]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=8))
def test_any_text_comes_back(said):
    assert texts(workbook(TEXT, [[one] for one in said])) == said


@pytest.mark.parametrize("said", ARMED)
def test_what_begins_as_a_formula_stays_one_cell_of_text_even_when_it_is_edited(said):
    book = openpyxl.load_workbook(io.BytesIO(workbook(TEXT, [[said], ["plain"]])))
    armed, plain = book.worksheets[0]["A2"], book.worksheets[0]["A3"]
    assert (armed.data_type, armed.number_format) == ("s", "@")
    assert (armed.quotePrefix, plain.quotePrefix) == (True, False)


@pytest.mark.parametrize(
    ("amount", "currency", "kind", "value", "shape"),
    [
        ("1234.5", "EUR", "n", 1234.5, "#,##0.00"),
        ("1234", "JPY", "n", 1234, "#,##0"),
        ("0.1235", "EUR", "n", 0.1235, "#,##0.0000"),
        ("1.5", "KWD", "n", 1.5, "#,##0.000"),
        ("-0.0001", "EUR", "n", -0.0001, "#,##0.0000"),
        ("99999999999.9999", "EUR", "n", 99999999999.9999, "#,##0.0000"),
        ("123456789012345.6789", "EUR", "s", "123456789012345.6789", "@"),
        ("999999999999999.9999", "EUR", "s", "999999999999999.9999", "@"),
    ],
)
def test_an_amount_is_a_number_where_a_double_holds_it_and_else_its_text(amount, currency, kind, value, shape):
    columns = [Heading("gross", "money"), Heading("currency", "word")]
    file = workbook(columns, [[Decimal(amount), currency]])
    cell = openpyxl.load_workbook(io.BytesIO(file)).worksheets[0]["A2"]
    assert (cell.data_type, cell.value, cell.number_format) == (kind, value, shape)


@settings(max_examples=300, deadline=None)
@given(st.decimals(min_value=-(10**15), max_value=10**15, places=4))
def test_what_is_written_as_a_number_is_the_same_number(amount):
    text = f"{amount:f}"
    if is_exact(text):
        assert Decimal(repr(float(text))) == amount


def test_days_and_times_are_real_ones_in_the_orgs_zone_and_what_excel_has_no_number_for_is_text():
    columns = [Heading("day", "day"), Heading("at", "time")]
    summer = datetime(2026, 7, 1, 22, 30, 15, tzinfo=UTC)
    file = workbook(
        columns, [[date(2024, 2, 29), summer], [date(1900, 2, 28), datetime(1899, 1, 1, tzinfo=UTC)], [None, None]]
    )
    sheet = openpyxl.load_workbook(io.BytesIO(file)).worksheets[0]
    assert sheet["A2"].value == datetime(2024, 2, 29) and sheet["A2"].is_date
    assert sheet["B2"].value == datetime(2026, 7, 2, 0, 30, 15)
    assert sheet["A3"].value == "1900-02-28" and sheet["B3"].value.startswith("1899-01-01T")
    assert sheet["A4"].value is None and sheet["B4"].value is None


def test_a_text_longer_than_a_cell_holds_is_cut_and_that_is_said():
    file = workbook(TEXT, [["x" * LONGEST], ["𝔘" * 20_000]])
    exact, cut = texts(file)
    assert exact == "x" * LONGEST
    assert len(cut.encode("utf-16-le")) // 2 <= LONGEST and cut.endswith("𝔘…")
    said = openpyxl.load_workbook(io.BytesIO(file)).worksheets[1]
    assert (said["A1"].value, said["B1"].value[:2]) == ("Texts cut", "1:")


@pytest.mark.parametrize(
    "title",
    ["a/b:c*d?e[f]g\\h", "x" * 60, "'quoted'", "About", "history", "\x01", "Umsätze & <Kosten>", "𝔘" * 31, ""],
)
def test_a_sheet_has_a_name_that_excel_takes(title):
    book = openpyxl.load_workbook(io.BytesIO(workbook(TEXT, [["x"]], title)))
    name, about = book.sheetnames
    assert about == "About" and name.casefold() not in ("about", "history")
    assert 0 < len(name.encode("utf-16-le")) // 2 <= 31 and not set(name) & set("[]:*?/\\")


def test_columns_are_named_as_in_excel():
    columns = [Heading(f"c{at}", "number") for at in range(30)]
    sheet = openpyxl.load_workbook(io.BytesIO(workbook(columns, [list(range(30))]))).worksheets[0]
    assert sheet["Z2"].value == 25 and sheet["AA2"].value == 26 and sheet["AD1"].value == "c29"
    assert sheet.freeze_panes == "A2" and sheet.auto_filter.ref == "A1:AD2"
    assert string.ascii_uppercase[0] == sheet["A1"].column_letter


def test_a_workbook_without_rows_is_one_too():
    book = openpyxl.load_workbook(io.BytesIO(workbook(TEXT, [])))
    assert book.worksheets[0].max_row == 1
