"""Find which column of a file holds which field."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from ..errors import Refusal
from .field import Field


def plain(header: str) -> str:
    """Return a header as it is compared: without case, spaces, underscores and punctuation."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", header).casefold())


def found(fields: Sequence[Field], header: Sequence[str]) -> dict[str, int]:
    """Return the column of each field whose name or synonym is in the header."""
    places = {plain(name): at for at, name in reversed(list(enumerate(header)))}
    columns: dict[str, int] = {}
    for field in fields:
        for name in field.words():
            if plain(name) in places:
                columns[field.name] = places[plain(name)]
                break
    return columns


def columns(file: Path, fields: Sequence[Field], header: Sequence[str], mapping: Mapping[str, str]) -> dict[str, int]:
    """Return the column of each field, those in `mapping` first.

    Raises:
        Refusal: UNKNOWN_COLUMN, DUPLICATE_COLUMN, MISSING_COLUMNS, each naming the nearest header.
    """
    own = {name: column for name, column in mapping.items() if name in {field.name for field in fields}}
    chosen = found([field for field in fields if field.name not in own], header)
    chosen |= {name: _named(file, header, column) for name, column in own.items()}
    for name, at in chosen.items():
        twins = [other for other in header if plain(other) == plain(header[at])]
        if len(twins) > 1 and name not in own:
            hint = f"{file.name} has {len(twins)} columns that read {header[at]!r}. Rename all but one."
            raise Refusal("DUPLICATE_COLUMN", hint, column=header[at][:100])
    missing = [field for field in fields if field.required and field.name not in chosen]
    if missing:
        raise Refusal(
            "MISSING_COLUMNS",
            f"{file.name} has no column for " + "; ".join(_missed(one, header) for one in missing),
            missing=[field.name for field in missing],
            header=[name[:100] for name in header[:50]],
        )
    return chosen


def _named(file: Path, header: Sequence[str], column: str) -> int:
    exact = [at for at, name in enumerate(header) if name == column]
    alike = exact or [at for at, name in enumerate(header) if plain(name) == plain(column)]
    if not alike:
        near = get_close_matches(column, header, 1, 0.3)
        hint = f"{file.name} has no column {column!r}." + (f" The nearest is {near[0]!r}." if near else "")
        raise Refusal("UNKNOWN_COLUMN", hint, column=column[:100])
    return alike[0]


def _missed(field: Field, header: Sequence[str]) -> str:
    """Say which field is missing, the header that may be meant, and how to name it."""
    by_name = {plain(name): name for name in header if plain(name)}
    wanted = [plain(name) for name in field.words()]
    near = [by_name[match] for name in wanted for match in get_close_matches(name, by_name, 1, 0.6)]
    guess = near[0] if near else "HEADER"
    nearest = f" (the nearest header is {near[0]!r})" if near else ""
    return f"{field.name}{nearest}: name it with --map {field.name}={guess!r}"
