"""How alike two parties are: a weighted mean over attributes, as Gower (1971) has it, each with what it contributes.

Attributes that the one asked about lacks are left out; those that the other lacks count as unlike, so that little being
known of a party does not make it alike. Words are alike or not, whatever their case; numbers by their ratio: 1 where equal, 0
where one is ten times the other or more, in proportion of the logarithm between; product mix by the cosine of what was
spent by category. The distance is 1 − similarity.
"""

import math
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

CUSTOMER: Mapping[str, float] = {
    "segment": 2, "industry": 2, "country": 1, "size": 1, "kind": 1, "product_mix": 2, "order_volume": 1,
}  # fmt: skip
LEAD: Mapping[str, float] = {
    "industry": 2, "country": 1, "size": 1, "source": 1, "role": 2, "seniority": 1, "location": 1, "remote": 1, "value": 1,
}  # fmt: skip
"""The attributes compared, and their weights."""
METHOD = (
    "Weighted mean of attribute similarities (Gower, 1971): words equal or not, numbers by ratio (0 from tenfold), product "
    "mix by cosine; what is unknown of the other counts as unlike. docs/methods.md."
)
Attributes = Mapping[str, Any]


def similarity(asked: Attributes, other: Attributes, weights: Mapping[str, float]) -> float:
    """Return the similarity, 0 to 1."""
    known = [name for name in weights if _is_known(asked.get(name))]
    total = sum(weights[name] * _alike(asked[name], other.get(name)) for name in known)
    return _rounded(total / sum(weights[name] for name in known)) if known else 0.0


def compare(asked: Attributes, other: Attributes, weights: Mapping[str, float]) -> tuple[float, list[dict[str, Any]]]:
    """Return the similarity, and of each attribute compared what it contributes, the most first."""
    known = [name for name in weights if _is_known(asked.get(name))]
    whole = sum(weights[name] for name in known)
    parts: list[dict[str, Any]] = []
    for name in known:
        likeness = _alike(asked[name], other.get(name))
        share = weights[name] * likeness / whole
        parts.append({"attribute": name, "similarity": _rounded(likeness), "contribution": _rounded(share)})
    parts.sort(key=lambda one: (-one["contribution"], one["attribute"]))
    return similarity(asked, other, weights), parts


def _is_known(value: Any) -> bool:
    return value is not None and value != "" and value != {}


def _alike(one: Any, other: Any) -> float:
    if not _is_known(other):
        return 0.0
    match one:
        case bool():
            return float(one is other)
        case str():
            return float(_plain(one) == _plain(str(other)))
        case dict():
            return _cosine(one, other)  # pyright: ignore[reportUnknownArgumentType] JSON of numbers by name
        case _:
            if one <= 0 or other <= 0:
                return float(one == other)
            return max(0.0, 1 - abs(math.log10(one) - math.log10(other)))


def _cosine(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    product = sum(one[name] * other[name] for name in sorted(one.keys() & other.keys()))
    lengths = math.hypot(*one.values()) * math.hypot(*other.values())
    return min(1.0, product / lengths) if lengths else 0.0


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _rounded(number: float) -> float:
    return float(Decimal(str(number)).quantize(Decimal("0.001"), ROUND_HALF_UP))
