"""How often somebody may ask, in the memory of the page's one process."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable

_MOST_KNOWN = 10_000
"""Askers that are remembered; beyond them the one who asked longest ago is forgotten."""


class Pace:
    """At most `most` times in any `seconds`, for each asker on their own."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._asked: OrderedDict[str, deque[float]] = OrderedDict()

    def allows(self, asker: str) -> bool:
        """Count one asking, if it may be; say whether it may."""
        now = self._clock()
        times = self._asked.setdefault(asker, deque())
        self._asked.move_to_end(asker)
        while times and times[0] <= now - self._seconds:
            times.popleft()
        if len(times) >= self._most:
            return False
        times.append(now)
        if len(self._asked) > _MOST_KNOWN:
            self._asked.popitem(last=False)
        return True
