"""Texts as patterns read them: without what hides, accents, case, and letters that only look like others."""

import re
import unicodedata

_DROPPED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]+"
)
"""Marks over letters, and what is not seen."""
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
"""ASCII in characters that nobody sees; a model reads it all the same."""
_LOOKS_LATIN = re.compile("[\u0251-\u0280\u03b1-\u03c9\u03f3\u0430-\u045f\u0461-\u052f\u0561-\u0587\u13a0-\u13f5]")
_TWINS = str.maketrans(
    {
        **dict(zip("аеорсухіјѕԁһԛԝкмтнгьвп", "aeopcyxijsdhqwkmthrbbn", strict=True)),
        **dict(zip("αεοριντυχκγηω", "aeopivtuxkynw", strict=True)),
        **dict(zip("օսոցհզ", "ouughq", strict=True)),
        **dict(zip("ɑɡɩɪ", "agii", strict=True)),
        "ӏ": "l",
        "ϳ": "j",
        "ѵ": "v",
        "ү": "y",
    }
)
"""Small letters that look like Latin ones (UTS #39), by whom a word passes for another."""


def folded(text: str) -> str:
    """Return a text in the form that patterns read: NFKC, in lower case, without accents and without what hides.

    Text hidden in tag characters comes out as what it says.
    """
    if text.isascii():
        return (text if text.isprintable() else _DROPPED.sub("", text)).lower()
    plain = _TAGS.sub(lambda run: f" {''.join(chr(ord(char) - 0xE0000) for char in run[0])} ", text)
    plain = _DROPPED.sub("", unicodedata.normalize("NFKD", plain))
    return unicodedata.normalize("NFC", plain).casefold()


def forms(text: str) -> tuple[str, ...]:
    """Return a text folded, and besides as its letters look where some may stand for Latin ones."""
    once = folded(text)
    if once.isascii() or _LOOKS_LATIN.search(once) is None:
        return (once,)
    return once, once.translate(_TWINS)
