"""What the kinds of import share: a file that was read, judged against the database, then written."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from ..principal import Principal
from .plan import Plan


@dataclass(frozen=True, slots=True)
class Job:
    """Who imports what."""

    who: Principal
    plan: Plan


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
