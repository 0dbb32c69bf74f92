"""What is remembered of somebody's last hours: ids and names of tools, never a word of anybody's."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

PLACE_KEPT = timedelta(hours=8)
"""How long a page and a customer are told: S0 has them for a session, and the protocol of today has none."""
ACTS_KEPT = timedelta(hours=1)
"""How long an action is told (S0 section 4)."""
MOST = 10
"""Actions that are kept of those that read, and of those that wrote."""
MOST_IDS = 5
"""Ids that are kept of one action."""


class StoreAway(Exception):
    """A store does not do what it is asked, or not in time; why is told by the name of the driver's error, without its text."""


class Whose(NamedTuple):
    """Whose memory: a person's in an org, or that of an agent that acts for them (empty: their own)."""

    org: int
    user: int
    agent: str = ""


class Place(NamedTuple):
    """A record that was looked at: its id, by which tool, in which call, when."""

    id: str
    tool: str
    call: int
    at: datetime


class Act(NamedTuple):
    """A call: its tool, what it returned or changed, when, and whether it wrote."""

    tool: str
    ids: tuple[str, ...]
    call: int
    at: datetime
    writes: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """The record that was looked at last, the customer it was about last, and what was done lately, the latest first."""

    page: Place | None = None
    customer: Place | None = None
    acts: tuple[Act, ...] = ()

    def __bool__(self) -> bool:
        return self.page is not None or self.customer is not None or bool(self.acts)

    def with_(self, *others: "Memory") -> "Memory":
        """Return the union with others: of places the latest, of actions the last ones, a call once."""
        every = (self, *others)
        acts = {act.call: act for one in every for act in one.acts}
        latest = sorted(acts.values(), key=_when, reverse=True)
        left = {True: MOST, False: MOST}
        kept: list[Act] = []
        for act in latest:
            if left[act.writes]:
                left[act.writes] -= 1
                kept.append(act)
        return Memory(_latest(one.page for one in every), _latest(one.customer for one in every), tuple(kept))

    def as_of(self, now: datetime) -> "Memory":
        """Return what of it is not over."""
        return Memory(
            _unless_over(self.page, now),
            _unless_over(self.customer, now),
            tuple(act for act in self.acts if act.at > now - ACTS_KEPT),
        )

    def of_tools(self, may: Callable[[str], bool]) -> "Memory":
        """Return what of it came by tools that somebody may call: nobody is told what they could not look at themselves."""
        return Memory(
            self.page if self.page is not None and may(self.page.tool) else None,
            self.customer if self.customer is not None and may(self.customer.tool) else None,
            tuple(act for act in self.acts if may(act.tool)),
        )


def _when(act: Act) -> tuple[datetime, int]:
    return act.at, act.call


def _latest(places: Iterable[Place | None]) -> Place | None:
    return max((place for place in places if place is not None), key=lambda place: place.at, default=None)


def _unless_over(place: Place | None, now: datetime) -> Place | None:
    return place if place is not None and place.at > now - PLACE_KEPT else None
