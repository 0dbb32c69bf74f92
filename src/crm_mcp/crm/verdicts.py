"""What the figures of a pipeline's history come to: rates, bottleneck, velocity, and what to do about them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from statistics import median
from typing import Any

from ..money import money
from .counting import counted
from .funnel import ENOUGH_STAYS, rounded, share

LEAK = 0.3
"""The share of records dropped from which a stage is said to lose them."""
ENOUGH_RECORDS = 10
"""Records from which a stage's drop-off is told of."""
METHOD = (
    "Conversion: records that began in the period and stand in won at its end, of all that began in it; each once. "
    "Open ones are not dropped. Times: stays that ended in the period, one per entry. Cycle: first entry to signature "
    "(signed_on, else the move to won). Handle time: without records that changed owner. docs/methods.md."
)
Figures = Mapping[str, Any]


def analysis(
    stages: Sequence[Figures], cohort: Figures, ended: Figures, cycles: Figures, handled: Figures, currency: str
) -> dict[str, Any]:
    """Return metrics, stages, handle time, insights and suggestions; days to one place, shares to three."""
    told = [_stage(one) for one in stages]
    known = [one for one in told if one["time"]["n"] >= ENOUGH_STAYS]
    slow, fast = _bottleneck(known), _fastest(known)
    leaks = [one for one in told if one["entered"] >= ENOUGH_RECORDS and one["dropOff"] >= LEAK]
    open_now = sum(one["open"]["n"] for one in told)
    metrics: dict[str, Any] = {
        "totalRecords": cohort["records"],
        "converted": cohort["won"],
        "stillOpen": cohort["open"],
        "dropped": cohort["records"] - cohort["won"] - cohort["open"],
        "conversionRate": share(cohort["won"], cohort["records"]),
        "winRateOfDecided": share(ended["won"], ended["won"] + ended["lost"]),
        "decided": ended["won"] + ended["lost"],
        "wonValue": ended["value"],
        "wonWithoutRate": ended["unconverted"],
        "salesCycle": {
            "n": cycles["n"], "toSignature": cycles["signed"], "toClosing": cycles["n"] - cycles["signed"],
            "medianDays": _days(cycles["median"]), "p90Days": _days(cycles["p90"]), "meanDays": _days(cycles["mean"]),
        },
        "bottleneckStage": slow and slow["stage"],
        "velocity": velocity(open_now, ended, cycles, currency),
    }  # fmt: skip
    insights = _insights(slow, leaks, fast)
    return {
        "metrics": metrics,
        "stages": told,
        "handleTime": {
            "n": handled["n"], "transferred": handled["transferred"], "medianDays": _days(handled["median"]),
            "people": [
                {"person": one["person"], "n": one["n"], "medianDays": _days(one["median"])} for one in handled["people"]
            ],
        },
        "insights": insights,
        "suggestions": _suggestions(slow, leaks, told),
    }  # fmt: skip


def velocity(open_now: int, ended: Figures, cycles: Figures, currency: str) -> dict[str, Any] | None:
    """Return what a pipeline brings a day: open × win rate × mean value won ÷ mean cycle; None where one is unknown.

    The sales velocity equation, as sales operations commonly state it.
    """
    decided = ended["won"] + ended["lost"]
    if not ended["won"] or ended["mean"] is None or not cycles["mean"]:
        return None
    rate, mean = Decimal(ended["won"]) / decided, Decimal(str(ended["mean"]))
    per_day = open_now * rate * mean / Decimal(str(cycles["mean"]))
    return {
        "perDay": money(per_day, currency).model_dump(),
        "open": open_now,
        "winRate": rounded(rate, 3),
        "meanValue": money(mean, currency).model_dump(),
        "meanCycleDays": _days(cycles["mean"]),
    }


def _stage(one: Figures) -> dict[str, Any]:
    entered, advanced, dropped = one["entered"], one["advanced"], one["dropped"]
    return {
        "stage": one["stage"],
        "entered": entered,
        "advanced": advanced,
        "dropped": dropped,
        "stillOpen": entered - advanced - dropped,
        "conversion": share(advanced, entered),
        "dropOff": share(dropped, entered),
        "time": {"n": one["stays"], "medianDays": _days(one["median"]), "p90Days": _days(one["p90"])},
        "open": {"n": one["waiting"], "medianDays": _days(one["waited"])},
        "maxDays": one["maxDays"],
    }


def _days(number: Any) -> float | None:
    return None if number is None else rounded(number, 1)


def _bottleneck(known: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the stage with the longest median stay; of equals the one that drops more."""
    return max(known, key=lambda one: (one["time"]["medianDays"], one["dropOff"] or 0), default=None)


def _fastest(known: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the stage with the shortest median stay, where there are several."""
    return min(known, key=lambda one: one["time"]["medianDays"]) if len(known) > 1 else None


def _against_target(one: dict[str, Any]) -> str:
    """Say in words whether a stage keeps to the days that it should take at most, if it says so."""
    target = one["maxDays"]
    if target is None:
        return ""
    verdict = "over" if one["time"]["medianDays"] > target else "within"
    return f"{verdict} its target of {counted(target, 'day')}"


def _insights(
    slow: dict[str, Any] | None, leaks: Sequence[dict[str, Any]], fast: dict[str, Any] | None
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if slow:
        time = slow["time"]
        told = f", {target}" if (target := _against_target(slow)) else ""
        text = f"{slow['stage']} takes longest: median {time['medianDays']} days, p90 {time['p90Days']} (n {time['n']}){told}."
        found.append(
            {"kind": "bottleneck", "stage": slow["stage"], "text": text, **time, "targetDays": slow["maxDays"]}
        )
    for one in leaks:
        text = f"{one['stage']} lost {one['dropped']} of {one['entered']} records ({one['dropOff']:.0%})."
        found.append(
            {
                "kind": "drop_off", "stage": one["stage"], "text": text,
                "dropped": one["dropped"], "entered": one["entered"], "dropOff": one["dropOff"],
            }
        )  # fmt: skip
    if fast:
        time, target = fast["time"], _against_target(fast)
        text = f"{fast['stage']} is quickest: median {time['medianDays']} days (n {time['n']}){', ' if target else ''}{target}."
        found.append(
            {"kind": "quickest", "stage": fast["stage"], "text": text, **time, "targetDays": fast["maxDays"]}
        )
    return found


def _suggestions(
    slow: dict[str, Any] | None, leaks: Sequence[dict[str, Any]], stages: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []

    def suggest(action: str, stage: str, tool: str, because: str, impact: dict[str, Any] | None) -> None:
        one: dict[str, Any] = {"action": action, "stage": stage, "tool": tool, "because": because}
        made.append(one if impact is None else {**one, "expectedImpact": impact})

    if slow:
        why = f"median {slow['time']['medianDays']} days, the longest of all stages"
        if target := _against_target(slow):
            why += f", {target}"
        suggest("plan_follow_ups", slow["stage"], "create_task", why, _shorter(slow, stages))
    for one in leaks:
        why = f"{one['dropped']} of {one['entered']} records end there"
        suggest("review_criteria", one["stage"], "update_pipeline", why, _kept(one, stages))
    for one in stages:
        age, most = one["open"]["medianDays"], one["maxDays"]
        if age is not None and most is not None and age > most:
            why = f"{counted(one['open']['n'], 'record')} waiting, for a median of {age} days; at most {counted(most, 'day')} are meant"
            impact = {
                "records": one["open"]["n"],
                "days": _days(age - most),
                "text": f"{one['open']['n']} records would be looked at, {_days(age - most)} days late by the median.",
            }
            suggest("look_at_waiting", one["stage"], "identify_at_risk_deals", why, impact)
    return made


def _shorter(slow: dict[str, Any], stages: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return what it came to if the slowest stage took as long as the others do."""
    others = [one["time"]["medianDays"] for one in stages if one is not slow and one["time"]["n"] >= ENOUGH_STAYS]
    if not others or (usual := _days(median(others)) or 0.0) >= slow["time"]["medianDays"]:
        return None
    days = _days(slow["time"]["medianDays"] - usual)
    text = f"If it took as the other stages do ({usual} days), a record would pass {days} days sooner."
    return {"days": days, "basis": usual, "stages": len(others), "text": text}


def _kept(leak: dict[str, Any], stages: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return what it came to if a stage lost no more of its records than the others do."""
    others = [one["dropOff"] for one in stages if one is not leak and one["entered"] >= ENOUGH_RECORDS]
    if not others or (usual := rounded(median(others), 3)) >= leak["dropOff"]:
        return None
    records = rounded(leak["entered"] * (leak["dropOff"] - usual), 1)
    text = f"If it lost as few as the other stages do ({usual:.0%}), {records} of its {leak['entered']} records more would go on."
    return {"records": records, "basis": usual, "stages": len(others), "text": text}
