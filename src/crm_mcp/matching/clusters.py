"""Pairs to groups, without chains: A like B and B like C does not make A and C one."""

from collections.abc import Callable, Iterable

LOOKED_AT = 64
"""Pairs across two groups that are looked at before they become one."""


def grouped(
    pairs: Iterable[tuple[int, int, float]], score: Callable[[int, int], float], even: float
) -> list[list[int]]:
    """Return groups of two or more, the best pairs first.

    Connected components with a guard: a pair joins two groups unless more than a quarter of all pairs across them (of
    the first 64, in order) contradict each other, that is, score below `even`, where nothing has been compared. Pairs
    that blocking did not bring together are scored for this. So a record of a mailbox alone does not make its two
    owners one, and a record that lacks what the others share may still belong to them.
    """
    home: dict[int, list[int]] = {}
    for left, right, _ in sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1])):
        one, two = home.setdefault(left, [left]), home.setdefault(right, [right])
        if one is two:
            continue
        across = [(a, b) for a in sorted(one) for b in sorted(two)][:LOOKED_AT]
        if len(across) > 1 and 4 * sum(score(a, b) < even for a, b in across) > len(across):
            continue
        one.extend(two)
        for member in two:
            home[member] = one
    groups = {id(group): group for group in home.values() if len(group) > 1}
    return sorted(sorted(group) for group in groups.values())
