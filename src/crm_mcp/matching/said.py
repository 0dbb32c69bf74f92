"""What one field says of two records, and how two texts are compared."""

from typing import NamedTuple

from rapidfuzz.distance import OSA, JaroWinkler

from .weights import FIELDS, Frequencies

near = JaroWinkler.normalized_similarity
alike = OSA.normalized_similarity
edits = OSA.distance

NAME_ALONE = 2.5
"""The log2 odds that a name alone may reach: it makes a pair likely, never sure."""


class Said(NamedTuple):
    """What one field says of two records."""

    field: str
    left: str
    right: str
    what: str
    weight: float


def hold(found: list[Said], begin: int, what: str, least: float, most: float) -> None:
    """Keep what a group of findings weighs together between two bounds, and say by how much."""
    total = 0.0
    for said in found[begin:]:
        total += said.weight
    if not least <= total <= most:
        found.append(Said(what, "", "", "counted together", (most if total > most else least) - total))


def text(found: list[Said], name: str, left: str, right: str, frequencies: Frequencies, least: float) -> None:
    """Compare two texts: agreement weighs by frequency, likeness above `least` a share of it, else it contradicts."""
    if left == right:
        found.append(Said(name, left, right, "equal", frequencies.bits(name, left)))
        return
    score = alike(left, right)
    if score < least and left.replace(" ", "") == right.replace(" ", ""):
        score = 0.95
    if score >= least:
        rarer = min(frequencies.bits(name, left), frequencies.bits(name, right))
        share = 0.35 + 0.5 * (score - least) / (1 - least)
        found.append(Said(name, left, right, f"similar {score:.2f}", rarer * share))
    else:
        found.append(Said(name, left, right, "differs", FIELDS[name].differs))
