"""Cells as other systems write them: their words, several values in one, HTML, shares and ids of their own."""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from html import unescape
from mimetypes import MimeTypes
from typing import Any

from .values import HUNDRED, How, Reader, key, number, share, text

_MARKUP = re.compile(r"(?i)</?(?:p|br|div|span|b|i|u|strong|em|ul|ol|li|a|h[1-6])(?:\s[^<>]*)?/?>")
_TYPES = MimeTypes()
_SUFFIXES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def said(table: Mapping[str, str], otherwise: str | None = None) -> Reader:
    """Return a reader of another system's words as ours; a word that is in no table means `otherwise`."""
    known = {word.casefold(): ours for word, ours in table.items()}

    def read(cell: str, _: How) -> str | None:
        word = cell.strip()
        return known.get(word.casefold(), otherwise) if word else None

    return read


def first_of(read: Reader, signs: str = ";") -> Reader:
    """Return a reader of the first of several values in a cell."""

    several = re.compile(f"[{re.escape(signs)}]")

    def first(cell: str, how: How) -> Any:
        if not several.search(cell):
            return read(cell, how)
        return read(next((part for part in several.split(cell) if part.strip()), ""), how)

    return first


def likelihood(cell: str, how: How) -> Decimal | None:
    """Read a probability: 0 to 1 where it has decimals or is at most 1, else per cent, with its sign or without."""
    found = number(cell.strip().removesuffix("%"), how)
    if found is not None and "%" not in cell and found <= 1:
        found *= HUNDRED
    return None if found is None else share(str(found), found.quantize(Decimal("0.01"), ROUND_HALF_UP))


def media(cell: str, how: How) -> str | None:
    """Read a media type, or the end of a file's name as one: pdf is application/pdf."""
    plain = key(cell, how)
    if plain is None or "/" in plain:
        return plain
    return _TYPES.guess_type(f"x.{plain.lower().rpartition('.')[2]}")[0]


def prose(longest: int) -> Reader:
    """Return a reader of texts that may be HTML, as its words and lines."""
    plain = text(longest)

    def read(cell: str, how: How) -> str | None:
        if _MARKUP.search(cell):
            lined = re.sub(r"(?i)<br\s*/?>|</(?:p|div|li|h[1-6]|tr)>", "\n", cell)
            cell = unescape(re.sub(r"</?[A-Za-z][^<>]*>", "", lined)).replace("\u00a0", " ").strip()
        return plain(cell, how)

    return read


def long_id(cell: str, how: How) -> str | None:
    """Read an id of Salesforce: its 15 characters, which differ by case, as the 18 that do not need to."""
    plain = key(cell, how)
    if plain is None or not re.fullmatch("[A-Za-z0-9]{15}", plain):
        return plain
    parts = (plain[at : at + 5] for at in (0, 5, 10))
    return plain + "".join(
        _SUFFIXES[sum(1 << at for at, letter in enumerate(part) if letter.isascii() and letter.isupper())]
        for part in parts
    )
