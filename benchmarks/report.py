"""The figures beside their targets."""

from typing import Any, NamedTuple

SEEN = "2026-07-28"


class Target(NamedTuple):
    """A subject's floor and target: at most `most` (milliseconds), at least `least` (calls a second), or a ratio."""

    floor: tuple[str, ...] = ()
    most: float | None = None
    least: float | None = None
    ratio: float | None = None


TARGETS = {
    "spawn → tools/list, handshake": Target(("bare spawn → tools/list, handshake",), ratio=1.2),
    f"spawn → tools/list, {SEEN}": Target((f"bare spawn → tools/list, {SEEN}",), ratio=1.2),
    "get_customer": Target(("bare echo", "bare query"), most=0.8),
    "search_customers": Target(("bare echo", "bare query")),
    "get_customer, 8 at once": Target(("bare echo, 8 at once",), least=2000),
    "create_order_draft, held": Target(("bare echo",), most=6),
    "add_note, run": Target(("bare echo",)),
}
MEMORY = 120
"""MB that `serve` may hold."""
HEADS = ("subject", "p50", "p95", "target", "ratio to floor", "")


def table(measured: dict[str, Any]) -> str:
    """Return one table: subject, measured, target, ratio to the floor, met or not."""
    subjects: dict[str, dict[str, float]] = measured["subjects"]
    rows = [_row(name, subjects) for name in sorted(subjects, key=_order)]
    for name, resident in measured["residentMB"].items():
        if resident is not None:
            met = "" if name == "bare" else _met(resident <= MEMORY)
            rows.append(
                (f"{name} memory", f"{resident:.0f} MB", "", "" if name == "bare" else f"≤ {MEMORY} MB", "", met)
            )
    rows.insert(0, HEADS)
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEADS))]
    lines = [
        "  ".join(
            text.ljust(width) if at == 0 else text.rjust(width)
            for at, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    said = f"{measured['rounds']} rounds, interleaved; Python {measured['python']}, {measured['cores']} cores"
    return "\n".join([*(line.rstrip() for line in lines), said])


def _row(name: str, subjects: dict[str, dict[str, float]]) -> tuple[str, ...]:
    found, rate = subjects[name], name.endswith("at once")
    who, _, what = name.partition(" ")
    target = Target() if who in ("bare", "http", "Executor.show", "Executor.approve") else TARGETS.get(what, Target())
    floor = sum(subjects[part]["p50"] for part in target.floor) if all(f in subjects for f in target.floor) else 0
    ratio = found["p50"] / floor if floor else None
    said, met = "", ""
    if target.most is not None:
        said, met = f"≤ {target.most:g} ms", _met(found["p50"] * 1e3 <= target.most)
    elif target.least is not None:
        said, met = f"≥ {target.least:,.0f}/s", _met(found["p50"] >= target.least)
    elif target.ratio is not None:
        said = f"≤ {target.ratio:g} × bare"
        met = "" if ratio is None else _met(ratio <= target.ratio)
    show = (lambda x: f"{x:,.0f}/s") if rate else (lambda x: f"{x * 1e3:,.2f} ms")
    return (
        name,
        show(found["p50"]),
        "" if rate else show(found["p95"]),
        said,
        "" if ratio is None else f"{ratio:.2f}",
        met,
    )


def _met(met: bool) -> str:
    return "met" if met else "missed"


def _order(name: str) -> tuple[bool, str, str]:
    who, _, what = name.partition(" ")
    return "Executor" in who, what, who
