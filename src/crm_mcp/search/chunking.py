"""How a text is cut into passages. The rule, which `docs/search.md` tells:

A passage is at most 1,200 characters. It ends at a heading, else between paragraphs, else after a sentence, else at white
space, and within a word only where a word is longer than a passage. A passage begins with up to 160 characters of whole sentences (or words) of
the one before it, within a section. The headings that it stands under (Markdown's `#`) are kept beside it. Nothing
else of the text is changed, but line ends, and that blank lines at a passage's ends are left out.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

LONGEST = 1200
"""Characters of a passage, its overlap among them."""
OVERLAP = 160
"""Characters of the passage before that one may begin with."""
RULES = 1
"""The edition of these rules: where it rises, every org's index is built anew."""
MOST = 2000
"""Passages of one record; what comes after is not found by its words."""
_HEADING = re.compile(r"^(#{1,6})[ \t]+(\S.*?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r"^\s{0,3}(```|~~~)")
_LONGEST_SECTION = 200
_SENTENCE = re.compile(r"[.!?…。！？؟।][\"'”’»)\]]*\s+|\n")
_JOINER = "\u200d"
_MODIFIERS = frozenset("\ufe0e\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
_SPACE = re.compile(r"\s+")


class Passage(NamedTuple):
    """A part of a text with the headings it stands under, such as `Returns › Damaged goods`."""

    section: str
    body: str


def passages(text: str) -> list[Passage]:
    """Cut a text; one passage at most where it is short, none where it says nothing."""
    found: list[Passage] = []
    for section, body in _sections(text.replace("\r\n", "\n").replace("\r", "\n")):
        found += [Passage(section, part) for part in _cut(body)]
        if len(found) >= MOST:
            break
    return found[:MOST]


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """Yield what stands between headings; a heading in a fenced block is none."""
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    fence: str | None = None
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark is not None:
            fence = mark[1] if fence is None else None if fence == mark[1] else fence
        heading = None if fence is not None or len(line) > 1000 else _HEADING.match(line)
        if heading is None:
            lines.append(line)
            continue
        yield _path(path), "\n".join(lines)
        lines = []
        depth = len(heading[1])
        path = [*((d, t) for d, t in path if d < depth), (depth, heading[2])]
        lines.append(heading[2])
    yield _path(path), "\n".join(lines)


def _path(path: list[tuple[int, str]]) -> str:
    return " › ".join(title for _, title in path)[:_LONGEST_SECTION]


def _cut(text: str) -> Iterator[str]:
    """Yield the passages of a section."""
    start, end = 0, len(text)
    while start < end and text[start].isspace():
        start += 1
    begin = start
    while begin < end:
        stop = end if end - begin <= LONGEST else _stop(text, begin, max(start, begin + OVERLAP) + 1)
        if passage := text[begin:stop].strip():
            yield passage
        start = stop
        while start < end and text[start].isspace():
            start += 1
        if start >= end:
            return
        begin = _overlap(text, begin, stop, start)


def _stop(text: str, begin: int, least: int) -> int:
    """Return where a passage that begins there ends: behind `least`, so that each one says something new."""
    most = begin + LONGEST
    half = max(least, begin + LONGEST // 2)
    blank = text.rfind("\n\n", half, most)
    if blank >= 0:
        return blank
    if ends := [sentence.end() for sentence in _SENTENCE.finditer(text, half, most)]:
        return ends[-1]
    for at in range(most, least, -1):
        if text[at - 1].isspace():
            return at
    for at in range(most, max(least, most - 40), -1):
        if not _belongs_on(text[at - 1], text[at]):
            return at
    return most


def _belongs_on(before: str, after: str) -> bool:
    """Say whether a character is one sign with that before it: an accent, a skin tone, a part of a joined emoji."""
    return bool(unicodedata.combining(after)) or before == _JOINER or after == _JOINER or after in _MODIFIERS


def _overlap(text: str, begin: int, stop: int, start: int) -> int:
    """Return where the next passage begins: with the last whole sentences before `stop`, else the last words."""
    least = max(begin + 1, stop - OVERLAP)
    sentence = _SENTENCE.search(text, least, stop)
    if sentence is not None and sentence.end() < stop:
        return sentence.end()
    space = _SPACE.search(text, least, stop)
    if space is not None and space.end() < stop:
        return space.end()
    return start
