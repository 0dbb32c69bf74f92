"""Which kinds of records a role may see: what it may not, does not exist for it."""

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from ..errors import Refusal
from .asking import Ask
from .subjects import SEEN

SEEN_JSON = f"to_jsonb({SEEN})"
"""The SQL expression of the tables that the role may see; needs %(role)s."""
T = TypeVar("T")


async def narrowed(ask: Ask, role: str, made: Callable[[Collection[str] | None], T]) -> T:
    """Return what is made of a question as if every table were seen; where that is refused, refuse it as the role sees it.

    Raises:
        Refusal: as `made`.
    """
    try:
        return made(None)
    except Refusal:
        row: tuple[Any, ...] | None = await ask(f"select {SEEN_JSON}", role=role)
        return made(row[0] if row else ())
