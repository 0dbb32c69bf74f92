"""Put the rows of documents and of their lines together, and let what is wrong with one be wrong with all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .field import Field
from .rows import Row
from .sheet import Entry, Sheet


@dataclass(slots=True)
class Document:
    """A document as its file has it. `head` is a row of its own, or made from the first of its lines."""

    external: str
    noun: str
    head: Entry
    lines: list[Entry] = field(default_factory=list[Entry])
    lines_file: str = ""
    bare: list[Entry] = field(default_factory=list[Entry])
    """Rows of a file with a row a line that hold none."""
    row: Row = field(default_factory=dict[str, object])
    rows: list[Row] = field(default_factory=list[Row])

    def is_wrong(self) -> bool:
        return bool(self.head.wrong)


def group(
    sheet: Sheet,
    lines: Sheet | None,
    noun: str,
    fields: Sequence[Field],
    *,
    apart: Sequence[str] = (),
    bare: bool = False,
) -> list[Document]:
    """Return the documents that have an id, each with its lines; mark what has no partner.

    Without a file of lines the rows of one document must say the same in `fields`, but for those in `apart`.
    `bare` documents may have no lines.
    """
    return _flat(sheet, noun, fields, apart) if lines is None else _joined(sheet, lines, noun, bare)


def strip(one: Document, is_line: Callable[[Entry], bool]) -> None:
    """Leave a document of a file with a row a line those rows that hold one."""
    one.lines, one.bare = [row for row in one.lines if is_line(row)], [row for row in one.lines if not is_line(row)]


def settle(documents: Sequence[Document]) -> None:
    """Carry what is wrong from a line to its document, and from a document to all of its lines."""
    for one in documents:
        own = one.is_wrong()
        if not own:
            wrong = next((line for line in one.lines if line.wrong), None)
            if wrong is not None:
                one.head.wrong.append(f"line {wrong.line} of {one.lines_file}: {wrong.wrong[0]}")
        if one.is_wrong():
            for line in one.lines:
                if not line.wrong:
                    is_head = own and line.cells is one.head.cells
                    why = one.head.wrong[0]
                    line.wrong.append(why if is_head else f"its {one.noun} was rejected: {why}")
            for row in one.bare:
                if not row.wrong:
                    row.wrong += one.head.wrong


def _joined(sheet: Sheet, lines: Sheet, noun: str, bare: bool) -> list[Document]:
    documents: dict[str, Document] = {}
    twins: list[Document] = []
    for entry in sheet.entries:
        external = entry.values.get("external_id")
        if external is None:
            continue
        one = Document(external, noun, entry, lines_file=lines.file.name)
        if external in documents:
            twins.append(one)
        else:
            documents[external] = one
    for line in lines.entries:
        named = line.values.get(noun)
        if named in documents:
            documents[named].lines.append(line)
        elif named is not None:
            line.wrong.append(f"{noun} {named!r} is not in {sheet.file.name}")
    for one in documents.values():
        if not one.lines and not bare and not one.is_wrong():
            one.head.wrong.append(f"has no lines in {lines.file.name}")
    for one in twins:
        one.lines = documents[one.external].lines
    return [*documents.values(), *twins]


def _flat(sheet: Sheet, noun: str, fields: Sequence[Field], apart: Sequence[str]) -> list[Document]:
    """Return the documents of a file with a row a line; the rows of one must say the same of it."""
    documents: dict[str, Document] = {}
    header = sheet.mapped()
    of_the_whole = [one.name for one in fields if one.name in header and one.name not in apart]
    for entry in sheet.entries:
        external = entry.values.get("external_id")
        if external is None:
            continue
        one = documents.get(external)
        if one is None:
            head = Entry(entry.line, entry.cells, dict(entry.values))
            one = documents[external] = Document(external, noun, head, lines_file=sheet.file.name)
        one.lines.append(entry)
        for name in of_the_whole:
            if entry.values.get(name) != one.head.values.get(name):
                entry.wrong.append(f"{header[name]} differs from line {one.head.line} of the same {noun}")
    return list(documents.values())
