"""The odds of winning, from what was won and lost before: naive Bayes with Laplace smoothing, calibrated on it.

The prior is ln((W+1)/(L+1)) of W won and L lost deals. Each factor of k levels adds λ times the logarithm of
((w+1)/(W'+k)) / ((l+1)/(L'+k)), where w of the W' won deals, and l of the L' lost ones, of which the factor is known have
the level that this deal has. Factors are taken as independent, which they are not, so that their sum is held back: λ is
that of 0, 0.25, 0.5, 0.75, 1 which foretells the closed deals best, each from the others (the mean square error of Brier,
1950, leave-one-out); of equals the smaller. The interval is of 95 %: the logarithm of the odds ± 1.96 standard errors, the
variance of a logarithm of counts being the sum of their reciprocals (delta method).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

ENOUGH = 30
"""Closed deals, or ended ways, from which odds are told."""
LEVELS: Mapping[str, int] = {
    "reached_stage": 2,
    "engagement": 3,
    "returning_customer": 2,
    "contact_named": 2,
    "large": 2,
}
"""The factors, and how many levels each has."""
HOLDS = (0.0, 0.25, 0.5, 0.75, 1.0)
METHOD = (
    "Naive Bayes over the org's closed deals, or ended ways of such records in the pipeline, Laplace-smoothed, held back by the λ that foretells them best (Brier, "
    "leave-one-out); 95 % interval by the delta method. Correlation, not cause. docs/methods.md."
)


class Group(NamedTuple):
    """Closed deals with the same levels: how many were won, how many lost. A level is None where it is not known."""

    levels: Mapping[str, str | None]
    won: int
    lost: int


@dataclass(frozen=True, slots=True)
class Odds:
    probability: float
    low: float
    high: float
    factors: tuple[dict[str, Any], ...]
    hold: float
    brier: float
    brier_of_rate: float
    """The error of foretelling each by the win rate of the others alone."""


class _Ratio(NamedTuple):
    log: float
    variance: float
    won: int
    of_won: int
    lost: int
    of_lost: int


def odds(groups: Sequence[Group], levels: Mapping[str, str | None]) -> Odds:
    """Return the odds of a deal with such levels."""
    errors = {hold: _brier(groups, hold) for hold in HOLDS}
    hold = min(HOLDS, key=lambda one: (round(errors[one], 12), one))
    prior, ratios = _prior(groups), _ratios(groups, levels)
    total = prior.log + hold * sum(one.log for one in ratios.values())
    error = math.sqrt(prior.variance + hold**2 * sum(one.variance for one in ratios.values()))
    factors: list[dict[str, Any]] = [
        {
            "factor": name,
            "level": levels[name],
            "impact": round(_chance(total) - _chance(total - hold * one.log), 3),
            "logOdds": round(hold * one.log, 3),
            "won": f"{one.won} of {one.of_won}",
            "lost": f"{one.lost} of {one.of_lost}",
        }
        for name, one in ratios.items()
    ]
    factors.sort(key=lambda one: (-abs(one["impact"]), one["factor"]))
    return Odds(
        _chance(total),
        _chance(total - 1.96 * error),
        _chance(total + 1.96 * error),
        tuple(factors),
        hold,
        errors[hold],
        errors[0.0],
    )


def _prior(groups: Sequence[Group]) -> _Ratio:
    won, lost = sum(one.won for one in groups), sum(one.lost for one in groups)
    return _Ratio(math.log((won + 1) / (lost + 1)), 1 / (won + 1) + 1 / (lost + 1), won, won, lost, lost)


def _ratios(groups: Sequence[Group], levels: Mapping[str, str | None]) -> dict[str, _Ratio]:
    found: dict[str, _Ratio] = {}
    for name, level in levels.items():
        known = [one for one in groups if one.levels[name] is not None]
        of_won, of_lost = sum(one.won for one in known), sum(one.lost for one in known)
        if level is None or of_won + of_lost == 0:
            continue
        same = [one for one in known if one.levels[name] == level]
        won, lost, kinds = sum(one.won for one in same), sum(one.lost for one in same), LEVELS[name]
        ratio = ((won + 1) / (of_won + kinds)) / ((lost + 1) / (of_lost + kinds))
        variance = 1 / (won + 1) - 1 / (of_won + kinds) + 1 / (lost + 1) - 1 / (of_lost + kinds)
        found[name] = _Ratio(math.log(ratio), variance, won, of_won, lost, of_lost)
    return found


def _brier(groups: Sequence[Group], hold: float) -> float:
    """Return the mean square error of foretelling each closed deal from all the others."""
    error, count = 0.0, 0
    for at, one in enumerate(groups):
        for deals, outcome, less in ((one.won, 1, (1, 0)), (one.lost, 0, (0, 1))):
            if deals:
                others = [*groups]
                others[at] = Group(one.levels, one.won - less[0], one.lost - less[1])
                ratios = _ratios(others, one.levels).values()
                chance = _chance(_prior(others).log + hold * sum(ratio.log for ratio in ratios))
                error += deals * (outcome - chance) ** 2
                count += deals
    return error / count


def _chance(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))
