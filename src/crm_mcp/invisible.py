"""Characters that nobody sees: the page shows where they stand, and a text of nothing else says nothing."""

import re
import unicodedata

_BY_SHAPE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Invisible by their shape, though Unicode does not class them as controls or formats."""
_UNSEEN_YET_PRINTABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
"""What Python takes for printable though nobody sees it."""
_UNUSUAL = re.compile(r"[^ -~\n\t]")


def is_invisible(char: str) -> bool:
    """Say whether a character is a control, a format, a line separator, a selector or blank by its shape."""
    return (
        char in _BY_SHAPE
        or unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")
        or "\ufe00" <= char <= "\ufe0f"
        or "\U000e0100" <= char <= "\U000e01ef"
        or "\u180b" <= char <= "\u180f"
    )


def is_blank(text: str) -> bool:
    """Say whether a text shows nothing: white space and invisible characters alone."""
    return all(char.isspace() or is_invisible(char) for char in text)


def hides(text: str, at: int) -> bool:
    """Say whether a character of a text is one that nobody sees there; what joins or colours an emoji is none."""
    char = text[at]
    if char in "\n\t" or " " <= char <= "~":
        return False
    if char == "\u200d":
        return not (_is_picture(text, at - 1) and _is_picture(text, at + 1))
    if char == "\ufe0f":
        return not _is_picture(text, at - 1)
    return is_invisible(char) or unicodedata.category(char) in ("Cn", "Co", "Cs")


def may_hide(text: str) -> bool:
    """Say whether a text may hold what nobody sees; a look at all of it that costs next to nothing."""
    plain = text.replace("\n", "").replace("\t", "").replace("\xa0", "")
    return not plain.isprintable() or (not text.isascii() and _UNSEEN_YET_PRINTABLE.search(text) is not None)


def in_sight(written: str) -> str:
    """Return JSON with what nobody sees as escapes: the same values, in plain sight, and lines where they were."""
    if not may_hide(written):
        return written
    return _UNUSUAL.sub(lambda char: _escaped(char[0]) if hides(written, char.start()) else char[0], written)


def _is_picture(text: str, at: int) -> bool:
    if not 0 <= at < len(text):
        return False
    char = text[at]
    if char == "\ufe0f":
        return at > 0 and unicodedata.category(text[at - 1]) == "So"
    return unicodedata.category(char) == "So" or "\U0001f3fb" <= char <= "\U0001f3ff"


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
