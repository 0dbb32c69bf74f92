"""What a process works without for now, so that an answer can say so; recovery is noticed by whoever tries again."""

from dataclasses import dataclass, field

from .log import logger


@dataclass(slots=True)
class Degraded:
    """The parts that are away, each with what that means for answers; one for a process."""

    _away: dict[str, str] = field(default_factory=dict[str, str])

    def lost(self, part: str, instead: str) -> None:
        """Note that a part is away, and in a few words for a model what happens `instead`; logged once."""
        if self._away.get(part) != instead:
            logger().warning("degraded", part=part, instead=instead)
        self._away[part] = instead

    def back(self, part: str) -> None:
        """Note that a part answers again."""
        if self._away.pop(part, None) is not None:
            logger().info("recovered", part=part)

    def meta(self) -> dict[str, dict[str, str]]:
        """Return what a result's `_meta` says of it: nothing where nothing is away."""
        return {"degraded": dict(self._away)} if self._away else {}
