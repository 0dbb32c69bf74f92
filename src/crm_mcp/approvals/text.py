"""Text that somebody else wrote, made safe to look at: what would hide in it is shown."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import groupby
from typing import Any, cast

from markupsafe import Markup

from ..invisible import is_invisible

_SHOWN_RUN = 4
_ACRONYMS = {"id": "ID", "sku": "SKU", "url": "URL", "vat": "VAT"}
_PRICE = re.compile(r"\b([A-Z]{3}) (?=\d)")
"""An amount, which stays on one line with its currency."""
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")


def visible(text: object) -> Markup:
    """Return text as HTML in which hidden, zero-width and direction-changing characters are boxed names.

    The characters themselves are left out, so they can neither hide nor reorder anything.
    """
    said, at = str(text), 0
    parts: list[Markup] = []
    for is_hidden, run in groupby(range(len(said)), lambda i: _is_hidden(said, i)):
        span = list(run)
        piece = said[at : at + len(span)]
        parts.append(_boxed(piece) if is_hidden else Markup.escape(_PRICE.sub("\\1\u00a0", piece)))
        at += len(span)
    return Markup("<bdi>") + Markup("").join(parts) + Markup("</bdi>")


def has_hidden(value: Any) -> bool:
    """Say whether a text, or any text in a structure, holds characters that nobody would see."""
    match value:
        case str():
            return any(_is_hidden(value, i) for i in range(len(value)))
        case dict():
            return any(has_hidden(part) for part in cast("dict[str, Any]", value).values())
        case list() | tuple():
            return any(has_hidden(part) for part in cast("Sequence[Any]", value))
        case _:
            return False


def label(name: str) -> str:
    """Return a field's or tool's name as words: unitPrice and unit_price become "Unit price"."""
    parts: list[str] = _WORDS.findall(name) or [name]
    words = [_ACRONYMS.get(part.lower(), part.lower()) for part in parts]
    if words[-1] == "percent":
        words[-1] = "%"
    said = " ".join(words)
    return said[:1].upper() + said[1:]


def _is_hidden(text: str, i: int) -> bool:
    char = text[i]
    if char in "\n\t" or " " <= char <= "~":
        return False
    if char == "\u200d":
        return not (_is_emoji(text, i - 1) and _is_emoji(text, i + 1))
    if char == "\ufe0f":
        return not _is_emoji(text, i - 1)
    return is_invisible(char) or unicodedata.category(char) in ("Cn", "Co", "Cs")


def _is_emoji(text: str, i: int) -> bool:
    if not 0 <= i < len(text):
        return False
    char = text[i]
    if char == "\ufe0f":
        return i > 0 and unicodedata.category(text[i - 1]) == "So"
    return unicodedata.category(char) == "So" or "\U0001f3fb" <= char <= "\U0001f3ff"


def _boxed(run: str) -> Markup:
    boxes = Markup("").join(
        Markup('<span class="hidden-char" title="{}">U+{:04X}</span>').format(
            unicodedata.name(char, "unnamed character").lower(), ord(char)
        )
        for char in run[:_SHOWN_RUN]
    )
    more = len(run) - _SHOWN_RUN
    if more <= 0:
        return boxes
    return boxes + Markup('<span class="hidden-char">and {} more hidden</span>').format(more)
