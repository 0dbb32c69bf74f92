"""What fills a file: a head, rows, an end; each gives the bytes that are ready by then."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Protocol

from ..formulas import disarm
from ..kinds.column import Column
from .cells import Cells, Heading, Row

Columns = Sequence[Column | Heading]
About = Sequence[tuple[str, str]]
"""What is said of a file, line by line: of what, and what."""
_BOM = b"\xef\xbb\xbf"


class Sheet(Protocol):
    def head(self) -> bytes: ...
    def rows(self, rows: Iterable[Row]) -> bytes: ...
    def end(self, about: About) -> bytes: ...


class Csv:
    """RFC 4180 in UTF-8, with a byte order mark: without one Excel takes it for the system's old code page.

    Times are ISO 8601 in UTC. It has no place to say what it is of.
    """

    def __init__(self, columns: Columns) -> None:
        self._cells = Cells(columns)

    def head(self) -> bytes:
        return _BOM + _lines([[disarm(name) for name in self._cells.names]])

    def rows(self, rows: Iterable[Row]) -> bytes:
        return _lines(map(self._cells.csv, rows))

    def end(self, about: About) -> bytes:
        return b""


def _lines(rows: Iterable[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
