"""Old memories in fewer words, without a model: their own sentences that say most of what they have in common.

SumBasic (Nenkova and Vanderwende, "The impact of frequency on summarization", 2005): the sentence whose words are most
frequent on average, of those that hold the most frequent word; then these words count less, so that the next says something else.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, cast

AGE_DAYS = 7
"""Days after which a memory is old enough to be summed up."""
THRESHOLD = {"medium": 10, "long": 10, "permanent": 20}
"""How many old ones about one record make a digest, by retention; what is kept for an hour is never summed up."""
LONGEST = 1_500
"""Characters of a digest."""
MOST = 400
"""Sentences that are looked at, the newest."""
SENTENCE = 300
"""Characters of a sentence at most."""
_END = re.compile(r"(?<=[.!?。])\s+|\n+")
_WORD = re.compile(r"\w{2,}")


def sentences(content: str, data: dict[str, Any]) -> list[str]:
    """Return the sentences of a memory: of its text, then the lines of its fields."""
    found = [part.strip() for part in _END.split(content)]
    lists = [cast("list[Any]", value) for value in data.values() if isinstance(value, list)]
    found += [line.strip() for value in lists for line in value if isinstance(line, str)]
    return [sentence[:SENTENCE] for sentence in found if _WORD.search(sentence)]


def digest(texts: Sequence[Sequence[str]], most: int = LONGEST) -> str:
    """Return at most so many characters of the sentences of texts, each sentence once and in the order of the texts."""
    every = list(dict.fromkeys(sentence for text in texts for sentence in text))[-MOST:]
    words = {sentence: _words(sentence) for sentence in every}
    counted = Counter(word for sentence in every for word in words[sentence])
    total = sum(counted.values()) or 1
    share = {word: count / total for word, count in counted.items()}
    chosen: set[str] = set()
    room, left = most, list(every)
    while left and room > min(map(len, left)):
        top = max((share[word] for sentence in left for word in words[sentence]), default=0.0)
        bearing = [one for one in left if any(share[word] == top for word in words[one])] or left
        best = max(bearing, key=lambda one: sum(share[word] for word in words[one]) / (len(words[one]) or 1))
        left.remove(best)
        if len(best) + 1 > room:
            continue
        chosen.add(best)
        room -= len(best) + 1
        for word in words[best]:
            share[word] **= 2
    return "\n".join(sentence for sentence in every if sentence in chosen)


def _words(sentence: str) -> frozenset[str]:
    return frozenset(word.casefold() for word in _WORD.findall(sentence))


def span(days: Iterable[str]) -> tuple[str, str]:
    """Return the first and the last of some days."""
    every = sorted(days)
    return every[0], every[-1]
