"""Characters that nobody sees: the page shows where they stand, and a text of nothing else says nothing."""

import unicodedata

_BY_SHAPE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Invisible by their shape, though Unicode does not class them as controls or formats."""


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
