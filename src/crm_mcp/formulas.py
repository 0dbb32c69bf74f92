"""Texts that a spreadsheet would run: marked as text on their way out, taken back on their way in."""

import re
import unicodedata

_UNSEEN = re.compile(r"[\s\x00-\x1f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]*")


def disarm(text: str) -> str:
    """Put an apostrophe before a text that begins as a formula does (OWASP, CSV injection).

    These are = + - @ in any width, after blanks too, and a tab or the end of a line. Of apostrophes that stand
    there already one more is made, so that `rearm` returns every text as it was.
    """
    return f"'{text}" if _is_armed(text.lstrip("'")) else text


def rearm(text: str) -> str:
    """Take back the apostrophe that `disarm`, or a spreadsheet, put before a text."""
    return text[1:] if text.startswith("'") and _is_armed(text.lstrip("'")) else text


def _is_armed(text: str) -> bool:
    if text[:1].isascii() and text[:1].isalnum():
        return False
    if text[:1] in ("\t", "\r", "\n"):
        return True
    seen = _UNSEEN.match(text)
    first = text[seen.end() :][:1] if seen else ""
    return unicodedata.normalize("NFKC", first)[:1] in ("=", "+", "-", "@")
