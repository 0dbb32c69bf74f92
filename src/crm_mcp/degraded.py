"""What a process works without for now, so that an answer can say so; recovery is noticed by whoever tries again."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from .log import logger

SAID = 60.0
"""Seconds for which a part is said to be away after it was missed: who does not need it would not learn that it is back."""


class Missed(NamedTuple):
    """What happens instead of a part, and when it was missed last."""

    instead: str
    at: float


@dataclass(slots=True)
class Degraded:
    """The parts that are away, each with what that means for answers; one for a process."""

    clock: Callable[[], float] = time.monotonic
    _away: dict[str, Missed] = field(default_factory=dict[str, Missed])

    def lost(self, part: str, instead: str) -> None:
        """Note that a part is away, and in a few words for a model what happens `instead`; logged once."""
        known = self._away.get(part)
        if known is None or known.instead != instead:
            logger().warning("degraded", part=part, instead=instead)
        self._away[part] = Missed(instead, self.clock())

    def back(self, part: str) -> None:
        """Note that a part answers again."""
        if self._away.pop(part, None) is not None:
            logger().info("recovered", part=part)

    def meta(self) -> dict[str, dict[str, str]]:
        """Return what a result's `_meta` says of it: nothing where nothing is away."""
        since = self.clock() - SAID
        said = {part: missed.instead for part, missed in self._away.items() if missed.at > since}
        return {"degraded": said} if said else {}
