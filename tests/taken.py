"""What an export holds: its bytes as the database keeps them, and its rows as a spreadsheet reads them."""

import csv
import hashlib
import io
from collections.abc import Callable
from typing import Any

import openpyxl

_BYTES = """select string_agg(content, ''::bytea order by position) from crm.export_parts where export_id = %s"""


def content(owner_asks: Callable[..., Any], export: dict[str, Any]) -> bytes:
    """Return the file of an export that a result shows, held to the size and digest that it says."""
    found = bytes(owner_asks(_BYTES, int(export["id"][4:])))
    assert len(found) == export["bytes"]
    assert hashlib.sha256(found).hexdigest() == export["sha256"]
    return found


def of_csv(file: bytes) -> list[dict[str, str]]:
    assert file.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(file.decode("utf-8-sig"), newline="")))


def cells(file: bytes, sheet: int = 0) -> list[list[Any]]:
    """Return the cells of a sheet by row, as openpyxl reads them."""
    book = openpyxl.load_workbook(io.BytesIO(file))
    return [list(row) for row in book.worksheets[sheet].iter_rows()]


def of_xlsx(file: bytes) -> list[dict[str, Any]]:
    head, *rows = ([cell.value for cell in row] for row in cells(file))
    return [dict(zip(head, row, strict=True)) for row in rows]


def about(file: bytes) -> dict[str, list[str]]:
    """Return what the second sheet says, by what it is of."""
    said: dict[str, list[str]] = {}
    for what, value, *_ in ([cell.value for cell in row] for row in cells(file, 1)):
        said.setdefault(what, []).append(value)
    return said
