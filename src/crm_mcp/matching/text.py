"""What spellings have in common: folding of letters, and a skeleton of what is heard."""

import re
import unicodedata
from functools import lru_cache

_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "’": "'", "‐": "-"}
)
"""Letters that Unicode does not take apart into a letter and a mark. (`casefold` turns ß into ss.)"""
_SPACES = re.compile(r"[^\w]+|_+")
_HEARD = (
    (re.compile("sch|sh|ch"), "x"),
    (re.compile("ph"), "f"),
    (re.compile("ck|[cq]"), "k"),
    (re.compile("th|dt"), "t"),
    (re.compile("z"), "s"),
    (re.compile("w"), "v"),
    (re.compile("[jy]"), "i"),
    (re.compile("x+"), "x"),
)
_VOWELS = re.compile("[aeiouh]")
_TWICE = re.compile(r"(.)\1+")


def fold(text: str) -> str:
    """Return a text without case, marks and width: NFKC, casefolded, accents off ("Łódź" → "lodz")."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_LETTERS)
    apart = "".join(char for char in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(char))
    return unicodedata.normalize("NFC", apart)


def words(folded: str) -> list[str]:
    """Return the words of a folded text; an apostrophe or a full stop parts nothing ("o'brien", "s.a." → "sa")."""
    if folded.isalnum():
        return [folded]
    return _SPACES.sub(" ", folded.replace(".", "").replace("'", "")).split()


@lru_cache(maxsize=65536)
def heard(word: str) -> str:
    """Return the skeleton of a word as it is heard: its first letter and its consonants, those alike made one.

    In the manner of Soundex and Kölner Phonetik, without their fixed lengths; for blocking, never for a score.
    """
    for pattern, sound in _HEARD:
        word = pattern.sub(sound, word)
    return _TWICE.sub(r"\1", word[:1] + _VOWELS.sub("", word[1:]))[:6]
