"""What an import is asked to do, what it did, and the lines it could not take."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from .preset import Preset, Reading

Kind = Literal[
    "customers",
    "organizations",
    "individuals",
    "contacts",
    "leads",
    "deals",
    "projects",
    "products",
    "orders",
    "invoices",
    "payments",
    "issues",
    "tasks",
    "notes",
    "activities",
    "documents",
    "tax_rates",
    "exchange_rates",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order in which they name one another: what is imported may name what stands before it."""
Dates = Literal["iso", "mdy", "dmy"]
REASON = "rejected_because"
"""The first column of a file of rejected lines; ignored when that file is imported again."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One file (of documents two, or one with a row a line) of one kind of record.

    `mapping` names the header of a field where its own name would not be found. `source` names the system the
    ids come from; with an id it tells a known record from a new one. `currency` holds for rows without one,
    None for the org's base currency. `discount_unit` None reads per cent, and refuses a file whose discounts
    all look like fractions. `decimal` is the decimal sign of the file's numbers. `reading` says what a file of
    another system means, and `preset` of which; `dates` is the order of its dates, None to see it in them. With
    `keep`, columns that nothing reads become the org's own fields.
    """

    kind: Kind
    file: Path
    source: str
    lines_file: Path | None = None
    mapping: Mapping[str, str] = field(default_factory=dict[str, str])
    currency: str | None = None
    discount_unit: Literal["percent", "fraction"] | None = None
    decimal: Literal[".", ","] = "."
    encoding: str = "utf-8"
    preset: "Preset | None" = None
    reading: "Reading | None" = None
    dates: Dates | None = None
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that was not taken: where it stands, why, and its cells as they were."""

    file: Path
    line: int
    reason: str
    row: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """How a file is written, so that its rejected lines are written the same way."""

    header: tuple[str, ...]
    delimiter: str
    encoding: str


@dataclass(slots=True)
class Report:
    """What an import did, or in a dry run would do.

    Counts are of records of the plan's kind; `rows` counts all records made, by table. `mapped` tells for each
    file which header each field was read from, `ignored` which headers were not read. `strangers` are people whom
    records name and who are nobody in this org, `unfound` what records name that is not there, each with how many
    rows do; `beside` counts records made of names alone, `ways` tells of the
    pipelines that records are placed in. `becomes` tells for each row what becomes of it.
    """

    kind: Kind
    dry_run: bool
    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: list[Rejected] = field(default_factory=list[Rejected])
    rows: dict[str, int] = field(default_factory=dict[str, int])
    mapped: dict[Path, dict[str, str]] = field(default_factory=dict[Path, dict[str, str]])
    ignored: dict[Path, list[str]] = field(default_factory=dict[Path, list[str]])
    shapes: dict[Path, Shape] = field(default_factory=dict[Path, Shape])
    strangers: dict[str, int] = field(default_factory=dict[str, int])
    unfound: dict[str, int] = field(default_factory=dict[str, int])
    beside: dict[str, int] = field(default_factory=dict[str, int])
    ways: list[str] = field(default_factory=list[str])
    draft: int | None = None
    """The import's id, by which it is undone; None where nothing was written."""
    becomes: list[tuple[int, str, str]] = field(default_factory=list[tuple[int, str, str]])
    """Line, what happens (created, updated, unchanged, rejected), what the record is called."""


def write_rejected(report: Report, path: Path | None = None) -> list[Path]:
    """Write the rejected rows of each file beside it as `<name>.rejected.csv`; return the files written.

    They hold the reason and the original columns, to be corrected and imported again. `path` names another
    place for those of the main file.
    """
    written: list[Path] = []
    for at, (file, shape) in enumerate(report.shapes.items()):
        rows = [one for one in report.rejected if one.file == file]
        if not rows:
            continue
        target = path if path and at == 0 else file.with_name(f"{file.stem.removesuffix('.rejected')}.rejected.csv")
        encoding = "utf-8-sig" if shape.encoding.lower() in ("utf-8", "utf8") else shape.encoding
        keep = [i for i, name in enumerate(shape.header) if name != REASON]
        with target.open("w", encoding=encoding, errors="xmlcharrefreplace", newline="") as out:
            writer = csv.writer(out, delimiter=shape.delimiter)
            writer.writerow([REASON, *(shape.header[i] for i in keep)])
            for one in rows:
                cells = [one.row[i] for i in keep if i < len(one.row)]
                writer.writerow([one.reason, *cells, *one.row[len(shape.header) :]])
        written.append(target)
    return written
