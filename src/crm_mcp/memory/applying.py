"""What a person asked for once, applied to a read: a word that means something else, or what is meant where nothing is said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WISHABLE: Mapping[str, frozenset[str]] = {
    "get_orders": frozenset({"status", "limit"}),
    "get_quotes": frozenset({"status", "limit"}),
    "get_invoices": frozenset({"status", "limit"}),
    "get_issues": frozenset({"status", "priority", "limit"}),
    "get_tasks": frozenset({"status", "due", "limit"}),
    "find_records": frozenset({"sort", "limit"}),
    "list_drafts": frozenset({"state", "limit"}),
    "forecast_deals": frozenset({"period"}),
    "identify_at_risk_deals": frozenset({"risk_threshold", "limit"}),
}
"""To what a wish may be applied: how a list is narrowed and sorted; never whose records or which, and never a write."""
SURE = 0.7
"""The least confidence with which something is applied or told (S0 section 4)."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One wish: in calls of `tool`, `argument` is `meant` where `word` is said, or where nothing is (`word` None)."""

    id: int
    tool: str
    argument: str
    word: str | None
    meant: Any

    def fits(self, given: Mapping[str, Any]) -> bool:
        said = given.get(self.argument)
        if self.word is None:
            return self.argument not in given
        return isinstance(said, str) and said.strip().casefold() == self.word.strip().casefold()

    def told(self) -> str:
        """Return what an answer says of it."""
        meant = self.meant if isinstance(self.meant, str) else repr(self.meant)
        if self.word is None:
            return f"{self.argument} is {meant}, as you asked once (pref_{self.id})."
        return f"{self.word} means {meant}, as you asked once (pref_{self.id})."


@dataclass(frozen=True, slots=True)
class Applied:
    """The arguments with wishes applied, and which."""

    arguments: Mapping[str, Any]
    wishes: Sequence[Wish] = ()


def applied(wishes: Sequence[Wish], tool: str, given: Mapping[str, Any]) -> Applied:
    """Return a call's arguments as the person means them; each argument changes once, from what was given."""
    fitting = [wish for wish in wishes if wish.tool == tool and wish.fits(given)]
    if not fitting:
        return Applied(given)
    return Applied({**given, **{wish.argument: wish.meant for wish in fitting}}, fitting)
