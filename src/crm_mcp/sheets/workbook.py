"""A workbook of Excel (ECMA-376, transitional), written as it goes: nothing of it waits in memory or lies on a disk.

Libraries that write one put rows into named files on the way, which a killed server would leave behind.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime, tzinfo
from typing import IO, Any, cast
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from ..kinds.column import Sort
from . import parts
from .cells import Cells, Row, amount, number
from .markup import LONGEST, is_exact, serial_day, serial_time, text_cell, units
from .sheet import About, Columns
from .style import MONEY, Style

MOST_RAW = 1 << 30
"""Bytes of a sheet before it is compressed."""


class SheetTooLarge(Exception):
    """The rows would not fit a sheet of a file that every program opens."""


class _Pieces:
    """A file that is only ever written to, and gives away what was written."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, piece: bytes) -> int:
        self._written += piece
        return len(piece)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        taken, self._written = bytes(self._written), bytearray()
        return taken


class Workbook:
    """Rows on the first sheet, and on a second what they are. Times are in `zone`, since a cell's have none."""

    def __init__(self, columns: Columns, title: str, zone: tzinfo) -> None:
        self._cells, self._columns, self._zone = Cells(columns), columns, zone
        self._title = parts.sheet_name(title)
        self._letters = [parts.letters(at) for at in range(len(columns))]
        self._pieces = _Pieces()
        self._zip = ZipFile(cast("IO[bytes]", self._pieces), "w", ZIP_DEFLATED)
        self._sheet: IO[bytes] | None = None
        self._count, self._raw = 0, 0
        self.cut = 0
        """Texts that were longer than a cell may hold."""

    def head(self) -> bytes:
        for name, content in parts.of_workbook(self._title):
            self._zip.writestr(_entry(name), content)
        self._sheet = self._zip.open(_entry("xl/worksheets/sheet1.xml"), "w")
        self._write(parts.sheet_begin([one.sort for one in self._columns]))
        self._write(self._row([text_cell(name, Style.HEAD) for name in self._cells.names]))
        return self._pieces.take()

    def rows(self, rows: Iterable[Row]) -> bytes:
        self._write("".join(self._row(self._row_of(row)) for row in rows))
        return self._pieces.take()

    def end(self, about: About) -> bytes:
        assert self._sheet is not None
        self._write(parts.sheet_end(f"A1:{self._letters[-1]}{self._count}"))
        self._sheet.close()
        said = list(about)
        if self.cut:
            said.append(
                ("Texts cut", f"{self.cut}: a cell holds {LONGEST} characters. Export as csv for all of them.")
            )
        self._zip.writestr(_entry("xl/worksheets/sheet2.xml"), parts.about_sheet(said))
        self._zip.close()
        return self._pieces.take()

    def _write(self, markup: str) -> None:
        assert self._sheet is not None
        raw = markup.encode()
        self._raw += len(raw)
        if self._raw > MOST_RAW:
            raise SheetTooLarge
        self._sheet.write(raw)

    def _row(self, cells: Iterable[str]) -> str:
        self._count += 1
        row = self._count
        placed = "".join(
            f'<c r="{letter}{row}"{cell}' for letter, cell in zip(self._letters, cells, strict=True) if cell
        )
        return f'<row r="{row}">{placed}</row>'

    def _row_of(self, row: Row) -> Iterable[str]:
        for value, sort in zip(row, self._cells.sorts, strict=True):
            yield "" if value is None else self._cell(value, sort, row)

    def _cell(self, value: Any, sort: Sort, row: Row) -> str:
        match sort:
            case "text" | "word":
                self.cut += len(value) > LONGEST // 2 and units(value) > LONGEST
                return text_cell(value)
            case "money" | "base":
                return self._money(amount(value, self._cells.currency(row, sort)))
            case "number":
                return _number(number(value), Style.GENERAL)
            case "day":
                return _timed(value, Style.DAY, serial_day)
            case "time":
                return _timed(value.astimezone(self._zone), Style.TIME, serial_time)
            case "flag":
                return f' t="b"><v>{int(value)}</v></c>'

    @staticmethod
    def _money(text: str) -> str:
        decimals = len(text.partition(".")[2])
        return _number(text, MONEY[min(decimals, len(MONEY) - 1)])


def _number(text: str, style: Style) -> str:
    """Return a number, or its text where no double holds all of its digits."""
    return f' s="{style}"><v>{text}</v></c>' if is_exact(text) else text_cell(text, Style.DIGITS)


def _timed(value: date | datetime, style: Style, serial: Callable[[Any], str | None]) -> str:
    """Return a date, or its text where Excel's calendar has no such day."""
    found = serial(value)
    return f' s="{style}"><v>{found}</v></c>' if found is not None else text_cell(value.isoformat())


def _entry(name: str) -> ZipInfo:
    entry = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.compress_type = ZIP_DEFLATED
    return entry
