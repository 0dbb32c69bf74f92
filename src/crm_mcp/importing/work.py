"""What the kinds of import share: a file that was read, judged against the database, then written."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from ..principal import Principal
from .plan import Plan


@dataclass(slots=True)
class Told:
    """What judging met that is no reason to reject a row: each with how many rows."""

    strangers: Counter[str] = field(default_factory=Counter[str])
    unfound: Counter[str] = field(default_factory=Counter[str])
    beside: Counter[str] = field(default_factory=Counter[str])
    ways: list[str] = field(default_factory=list[str])
    """Pipelines that records are placed in."""


@dataclass(frozen=True, slots=True)
class Job:
    """Who imports what; made for one judgement."""

    who: Principal
    plan: Plan
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    told: Told = field(default_factory=Told)

    @property
    def lenient(self) -> bool:
        """Whether the file is another system's own: what it names and is not there is told, and the row taken."""
        return self.plan.reading is not None


@dataclass(slots=True)
class Counts:
    """How many records of the kind a file creates, updates and leaves; `rows` are rows made, by table."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rows: dict[str, int] = field(default_factory=dict[str, int])


class Work(Protocol):
    """What is to be written, as judged in one transaction and written in the same."""

    counts: Counts

    @property
    def size(self) -> int:
        """How many rows there are to write: 0 means that nothing changes."""
        ...

    async def write(self, session: AsyncSession, done: Callable[[int], None]) -> None: ...
