"""The parts of a workbook that hold no rows: content types, relations, styles, and the sheet that says what it is."""

import re
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import quoteattr

from ..kinds.column import Sort
from .markup import text_cell, units
from .style import BEGIN, MAIN, Style, styles

_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
ABOUT = "About"
_FORBIDDEN = re.compile(r"[\[\]:*?/\\\x00-\x1f\ud800-\udfff\ufffe\uffff]")
_WIDTHS: dict[Sort, int] = {
    "text": 28,
    "word": 16,
    "number": 12,
    "money": 16,
    "base": 16,
    "day": 12,
    "time": 20,
    "flag": 8,
}


def letters(at: int) -> str:
    """Return the name of a column counted from 0: A, …, Z, AA, …"""
    name, left = "", at + 1
    while left:
        left, place = divmod(left - 1, 26)
        name = chr(65 + place) + name
    return name


def sheet_name(title: str) -> str:
    """Return a title as a sheet may be called: at most 31 characters, and no other sheet's name."""
    name = _FORBIDDEN.sub(" ", title).strip(" '")[:31].strip(" '") or "Rows"
    while units(name) > 31:
        name = name[:-1]
    return f"{name} rows" if name.casefold() in (ABOUT.casefold(), "history") else name


def of_workbook(title: str) -> Iterator[tuple[str, str]]:
    """Yield the parts that stand before the rows: where, and what."""
    sheet = f"{_TYPES}.worksheet+xml"
    yield (
        "[Content_Types].xml",
        f'{BEGIN}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_TYPES}.styles+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{sheet}"/>'
        f'<Override PartName="/xl/worksheets/sheet2.xml" ContentType="{sheet}"/></Types>',
    )
    yield "_rels/.rels", _relations(("officeDocument", "xl/workbook.xml"))
    yield (
        "xl/_rels/workbook.xml.rels",
        _relations(
            ("worksheet", "worksheets/sheet1.xml"), ("worksheet", "worksheets/sheet2.xml"), ("styles", "styles.xml")
        ),
    )
    yield (
        "xl/workbook.xml",
        f'{BEGIN}<workbook xmlns="{MAIN}" xmlns:r="{_RELATIONS}"><sheets>'
        f'<sheet name={quoteattr(title)} sheetId="1" r:id="rId1"/>'
        f'<sheet name="{ABOUT}" sheetId="2" r:id="rId2"/></sheets></workbook>',
    )
    yield "xl/styles.xml", styles()


def sheet_begin(sorts: Sequence[Sort]) -> str:
    """Return what stands before the first row: the header stays in sight, columns are as wide as their values."""
    wide = "".join(
        f'<col min="{at}" max="{at}" width="{_WIDTHS[sort]}" customWidth="1"/>' for at, sort in enumerate(sorts, 1)
    )
    return (
        f'{BEGIN}<worksheet xmlns="{MAIN}"><sheetViews><sheetView tabSelected="1" workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        f"<cols>{wide}</cols><sheetData>"
    )


def sheet_end(filled: str) -> str:
    """Return what stands behind the last row; `filled` is the range that can be filtered."""
    return f'</sheetData><autoFilter ref="{filled}"/></worksheet>'


def about_sheet(about: Sequence[tuple[str, str]]) -> str:
    """Return the sheet that says what the rows are."""
    rows = "".join(
        f'<row r="{at}"><c r="A{at}"{text_cell(what, Style.HEAD)}<c r="B{at}"{text_cell(said, Style.PROSE)}</row>'
        for at, (what, said) in enumerate(about, 1)
    )
    return (
        f'{BEGIN}<worksheet xmlns="{MAIN}"><cols><col min="1" max="1" width="24" customWidth="1"/>'
        f'<col min="2" max="2" width="100" customWidth="1"/></cols><sheetData>{rows}</sheetData></worksheet>'
    )


def _relations(*targets: tuple[str, str]) -> str:
    each = "".join(
        f'<Relationship Id="rId{at}" Type="{_RELATIONS}/{kind}" Target="{target}"/>'
        for at, (kind, target) in enumerate(targets, 1)
    )
    return f'{BEGIN}<Relationships xmlns="{_PACKAGE}/relationships">{each}</Relationships>'
