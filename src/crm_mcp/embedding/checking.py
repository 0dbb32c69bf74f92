"""What came from a model is looked at before it is kept or compared."""

import math
from collections.abc import Sequence

from .embedder import EmbedderAway


class VectorsUnfit(EmbedderAway):
    """Other vectors came than were asked for: too few or many, of another length, without a direction."""


def checked(vectors: Sequence[Sequence[float]], count: int, dimensions: int) -> list[list[float]]:
    """Return vectors at unit length, zeros where all places are zero.

    Raises:
        VectorsUnfit: not `count` vectors of so many `dimensions`, or a place that is no number.
    """
    if len(vectors) != count or not dimensions or any(len(one) != dimensions for one in vectors):
        raise VectorsUnfit
    return [_at_unit_length(one) for one in vectors]


def _at_unit_length(vector: Sequence[float]) -> list[float]:
    if not any(vector):
        return [0.0] * len(vector)
    try:
        length = math.hypot(*vector)
    except OverflowError:
        raise VectorsUnfit from None
    if not math.isfinite(length) or length < 1e-12:
        raise VectorsUnfit
    return [place / length for place in vector]
