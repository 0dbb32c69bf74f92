"""Read a CSV file row by row into entries, with everything that is wrong with each."""

import codecs
import csv
import hashlib
import re
import unicodedata
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from ..errors import Refusal
from ..formulas import rearm
from . import header as headers
from .field import Field
from .plan import Plan, Shape
from .values import How, Wrong, day, moment, order_of

DELIMITERS = (",", ";", "\t")
LOSSY = frozenset({"status", "priority", "type", "stage", "pipeline"})
"""Fields that keep less of a cell than it says: a status becomes open, won or lost, a stage what a pipeline has."""
_STEP = 1000
"""Rows between two reports of progress."""


@dataclass(slots=True)
class Entry:
    """A row: the line it starts on, its cells, the values of the fields that were found, what is wrong with it.

    The first `misread` reasons were found when it was read, the others when it was judged.
    """

    line: int
    cells: tuple[str, ...]
    values: dict[str, Any]
    wrong: list[str] = field(default_factory=list[str])
    misread: int = 0
    kept: dict[str, str] | None = None
    """Cells that nothing read, by the keys of the org's own fields; None where they are not kept."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file as it was read."""

    file: Path
    shape: Shape
    columns: dict[str, int]
    entries: list[Entry]

    def mapped(self) -> dict[str, str]:
        """Return which header each field was read from."""
        return {name: self.shape.header[at] for name, at in self.columns.items()}

    def ignored(self) -> list[str]:
        """Return the headers that were not read."""
        read = set(self.columns.values())
        return [name for at, name in enumerate(self.shape.header) if at not in read]


def read(file: Path, fields: Sequence[Field], plan: Plan, how: How, done: Callable[[int], None]) -> Sheet:
    """Read a file; `done` is told how many bytes have been read so far.

    Raises:
        Refusal: FILE_NOT_READABLE, EMPTY_FILE, WRONG_ENCODING, BROKEN_CSV and those of `header.columns`.
    """
    try:
        with file.open("rb") as raw:
            header, delimiter = _header(file, raw, fields, plan.encoding)
            columns = headers.columns(file, fields, header, plan.mapping)
            raw.seek(0)
            rows = csv.reader(_lines(file, raw, plan.encoding), delimiter=delimiter, strict=True)
            present = [(one, columns[one.name], header[columns[one.name]]) for one in fields if one.name in columns]
            numbered = _rows(file, rows)
            if plan.reading is not None:
                numbered = list(numbered)
                how = replace(how, dates=plan.dates or _order(file, numbered, present), loose=True)
            fields_kept = own_fields(header, columns) if plan.keep else None
            entries: list[Entry] = []
            for line, cells in numbered:
                entry = _entry(line, cells, len(header), present, how)
                if fields_kept is not None:
                    entry.kept = {
                        key: cells[at].strip()
                        for key, (at, _) in fields_kept.items()
                        if at < len(cells) and cells[at].strip()
                    }
                if plan.reading is not None and entry.values.get("external_id") is None:
                    entry.values["external_id"] = _digest(plan, entry)
                entries.append(entry)
                if len(entries) % _STEP == 0:
                    done(raw.tell())
            done(raw.tell())
    except OSError as problem:
        raise Refusal("FILE_NOT_READABLE", f"{file} cannot be read: {problem.strerror}.") from problem
    if not entries:
        raise Refusal("EMPTY_FILE", f"{file.name} holds a header and no rows.")
    return Sheet(file, Shape(tuple(header), delimiter, plan.encoding), columns, entries)


def own_fields(header: Sequence[str], columns: Mapping[str, int]) -> dict[str, tuple[int, str]]:
    """Return the columns to keep as the org's own fields, by their key: those that nothing reads, or reads in part."""
    read = {at for name, at in columns.items() if name not in LOSSY}
    kept: dict[str, tuple[int, str]] = {}
    for at, name in enumerate(header):
        key = re.sub(
            r"[^a-z0-9]+", "_", unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        )
        key = f"f_{key.strip('_')}"[:60] if not key.strip("_")[:1].isalpha() else key.strip("_")[:60]
        if at not in read and name.strip() and key not in kept:
            kept[key] = (at, name.strip()[:200])
    return kept


def _order(file: Path, rows: list[tuple[int, list[str]]], present: list[tuple[Field, int, str]]) -> str:
    """Return the order of day and month in a file's dates.

    Raises:
        Refusal: AMBIGUOUS_DATES.
    """
    places = [at for one, at, _ in present if one.read in (moment, day)]
    order = order_of(row[at] for _, row in rows for at in places if at < len(row))
    if order == "":
        hint = (
            f"The dates of {file.name}, such as 7/4/2024, may have the month or the day first. Say --dates mdy if the "
            "month, --dates dmy if the day."
        )
        raise Refusal("AMBIGUOUS_DATES", hint)
    return order or "dmy"


def _digest(plan: Plan, entry: Entry) -> str:
    """Return an id for a row of a system that exported none: an organization's name, else what stands in it."""
    name = entry.values.get("name")
    if plan.kind == "organizations" and name is not None and len(name) <= 190:
        return f"name:{name.strip().lower()}"
    return "row:" + hashlib.sha256("\x1f".join(entry.cells).encode()).hexdigest()[:40]


def header_of(file: Path, encoding: str) -> list[str]:
    """Return a file's header, whatever it is: by the delimiter that splits it into most."""
    try:
        with file.open("rb") as raw:
            first = next((line for line in _lines(file, raw, encoding) if line.strip()), "")
            split: list[list[str]] = [next(csv.reader([first], delimiter=sign), [""]) for sign in DELIMITERS]
    except OSError as problem:
        raise Refusal("FILE_NOT_READABLE", f"{file} cannot be read: {problem.strerror}.") from problem
    except csv.Error as problem:
        raise Refusal("BROKEN_CSV", f"The header of {file.name} cannot be read: {problem}.") from None
    return max(split, key=len)


def _header(file: Path, raw: IO[bytes], fields: Sequence[Field], encoding: str) -> tuple[list[str], str]:
    """Return the header and the delimiter by which it holds most of our fields."""
    first = next((line for line in _lines(file, raw, encoding) if line.strip()), None)
    if first is None:
        raise Refusal("EMPTY_FILE", f"{file.name} is empty.")
    try:
        split = {sign: next(csv.reader([first], delimiter=sign)) for sign in DELIMITERS}
    except csv.Error as problem:
        raise Refusal("BROKEN_CSV", f"The header of {file.name} cannot be read: {problem}.") from None
    best = max(DELIMITERS, key=lambda sign: (len(headers.found(fields, split[sign])), len(split[sign])))
    return [name.strip() for name in split[best]], best


def _lines(file: Path, raw: IO[bytes], encoding: str) -> Generator[str]:
    """Yield decoded lines, ends kept.

    A line may be a part of a row. UTF-8 and the code pages have no byte of another character that reads as a
    line end; UTF-16 does, and is refused by its mark.
    """
    try:
        known = codecs.lookup(encoding).name
    except LookupError:
        raise Refusal("WRONG_ENCODING", f"There is no encoding {encoding!r}. Try utf-8 or cp1252.") from None
    for at, line in enumerate(raw, 1):
        start = line
        if at == 1:
            if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise Refusal("WRONG_ENCODING", f"{file.name} is UTF-16. Save it as UTF-8 (in Excel: CSV UTF-8).")
            start = line.removeprefix(codecs.BOM_UTF8)
        try:
            yield start.decode(known)
        except UnicodeDecodeError as problem:
            hint = (
                f"Line {at} of {file.name} is not {encoding}: byte {start[problem.start]:#04x} at column "
                f"{problem.start + 1}. Save the file as UTF-8, or say --encoding cp1252 if it comes from "
                "an older Windows program."
            )
            raise Refusal("WRONG_ENCODING", hint, line=at) from None


def _rows(file: Path, rows: Any) -> Generator[tuple[int, list[str]]]:
    """Yield each row after the header with the line it starts on; blank lines are passed over."""
    past_header, line = False, 1
    try:
        for cells in rows:
            if any(cell.strip() for cell in cells):
                if past_header:
                    yield line, cells
                past_header = True
            line = rows.line_num + 1
    except csv.Error as problem:
        hint = (
            f"The row on line {line} of {file.name} cannot be read: {problem}. A quote that is opened and not "
            "closed, or one within a quoted text that is not doubled, does this."
        )
        raise Refusal("BROKEN_CSV", hint, line=line) from None


def _entry(line: int, cells: list[str], width: int, present: list[tuple[Field, int, str]], how: How) -> Entry:
    given: dict[str, Any] = {}
    entry = Entry(line, tuple(cells), given)
    if len(cells) != width:
        entry.wrong.append(f"has {len(cells)} values where the header has {width}")
    for one, at, name in present:
        if at >= len(cells):
            continue
        cell = cells[at]
        try:
            if "\0" in cell:
                raise Wrong("holds a NUL character")
            value = given[one.name] = one.read(rearm(cell) if cell[:1] == "'" else cell, how)
            if value is None and one.filled:
                raise Wrong("is empty")
        except Wrong as problem:
            entry.wrong.append(f"{name} {problem}")
    entry.misread = len(entry.wrong)
    return entry
