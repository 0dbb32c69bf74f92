"""Text that somebody else wrote, made safe to look at: what would hide in it is shown."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import groupby
from typing import Any, cast

from markupsafe import Markup

from ..invisible import hides, may_hide

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
    for is_hidden, run in groupby(range(len(said)), lambda i: hides(said, i)):
        span = list(run)
        piece = said[at : at + len(span)]
        parts.append(_boxed(piece) if is_hidden else Markup.escape(_PRICE.sub("\\1\u00a0", piece)))
        at += len(span)
    return Markup("<bdi>") + Markup("").join(parts) + Markup("</bdi>")


def has_hidden(value: Any) -> bool:
    """Say whether a text, or any text in a structure, holds characters that nobody would see."""
    match value:
        case str():
            return may_hide(value) and any(hides(value, i) for i in range(len(value)))
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
