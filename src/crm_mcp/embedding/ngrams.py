"""The default embedder: words and their parts, hashed into a vector. It needs no model and knows no meanings.

Feature hashing with a sign drawn from the same hash (Weinberger et al., "Feature Hashing for Large Scale Multitask
Learning", 2009); parts of words as in fastText (Bojanowski et al., "Enriching Word Vectors with Subword Information",
2017).
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b

from .embedder import Purpose

DIMENSIONS = 512
LONGEST = 20_000
"""Characters of a text that are read."""
WHOLE_WORD = 2.0
"""How much a whole word weighs beside one of its parts."""
_WORD = re.compile(r"\w+")


class HashedNgrams:
    """Vectors by spelling: the same on every machine and for all time, under one name."""

    name = "ngrams-1"
    dimensions = DIMENSIONS
    is_semantic = False

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> list[list[float]]:
        """Return a vector a text; documents and queries alike."""
        return [vector(text) for text in texts]


def vector(text: str) -> list[float]:
    """Return the vector of a text: each feature at its hashed place, its weight the root of how often it is there."""
    counts = Counter(_features(text[:LONGEST]))
    places = [0.0] * DIMENSIONS
    for feature, count in counts.items():
        drawn = int.from_bytes(blake2b(feature.encode(), digest_size=4).digest(), "big")
        weight = math.sqrt(count) * (WHOLE_WORD if feature[0] == "=" else 1.0)
        places[(drawn >> 1) % DIMENSIONS] += weight if drawn & 1 else -weight
    length = math.hypot(*places)
    return [place / length for place in places] if length else places


def _features(text: str) -> Iterator[str]:
    """Yield the words of a text without case and accents, and of each its parts of three characters."""
    spelt = unicodedata.normalize("NFKD", text.casefold())
    for word in _WORD.findall("".join(char for char in spelt if not unicodedata.combining(char))):
        yield f"={word}"
        edged = f"<{word}>"
        for at in range(len(edged) - 2):
            yield edged[at : at + 3]
