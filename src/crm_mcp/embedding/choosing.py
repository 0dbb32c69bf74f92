"""Which embedder a name means, made on the first need: `ngrams-1`, `fastembed:MODEL`, `openai:MODEL`.

A name is all that vectors are kept under, so `@512` behind it, for a model that can give vectors of several lengths, is part
of it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..config import Settings
from ..degraded import Degraded
from .breaker import PART, Guarded
from .embedder import Embedder, EmbedderAway, Purpose
from .ngrams import HashedNgrams

LONGEST_NAME = 120
MOST_DIMENSIONS = 4000
"""What pgvector can index as halfvec."""
BY_WORDS = "found by words alone"


class NameInvalid(ValueError):
    """An embedder is `ngrams-1`, `fastembed:MODEL` or `openai:MODEL`; `@512` behind a model says how many dimensions."""

    def __str__(self) -> str:
        return str(self.__doc__)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A name, read."""

    kind: str
    model: str
    dimensions: int

    @classmethod
    def of(cls, name: str) -> "Chosen":
        """Read a name.

        Raises:
            NameInvalid: it is none.
        """
        if name == HashedNgrams.name:
            return cls("ngrams", name, HashedNgrams.dimensions)
        kind, _, rest = name.partition(":")
        model, _, stated = rest.rpartition("@")
        if not model or not (stated.isascii() and stated.isdigit()):
            model, stated = rest, "0"
        dimensions = int(stated)
        is_printable = name.isprintable() and not any(c.isspace() for c in name)
        if (
            kind not in ("fastembed", "openai")
            or not model
            or len(name) > LONGEST_NAME
            or not is_printable
            or dimensions > MOST_DIMENSIONS
        ):
            raise NameInvalid
        return cls(kind, model, dimensions)


class Missing:
    """Stands for a model that this process cannot ask; `why` says what it would need."""

    dimensions = 0
    is_semantic = True

    def __init__(self, name: str, why: str) -> None:
        self.name, self.why = name, why

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> list[list[float]]:
        raise EmbedderAway(self.why)


@dataclass(slots=True)
class Embedders:
    """The embedders of one process, each made once; `settings` say where weights and endpoints are."""

    settings: Settings
    degraded: Degraded = field(default_factory=Degraded)
    instead: str = BY_WORDS
    clock: Callable[[], float] = time.monotonic
    _made: dict[str, Guarded] = field(default_factory=dict[str, Guarded])

    def of(self, name: str) -> Guarded:
        """Return the embedder of that name; one that cannot be had here is always away."""
        if name not in self._made:
            self._made[name] = Guarded(made(name, self.settings), self.degraded, self.instead, self.clock)
        return self._made[name]

    async def close(self) -> None:
        """Let go of connections."""
        from .compatible import Compatible

        for one in self._made.values():
            if isinstance(one.embedder, Compatible):
                await one.embedder.close()


def made(name: str, settings: Settings) -> Embedder:
    """Return what makes the vectors of a name; nothing is loaded or asked before its first texts."""
    try:
        chosen = Chosen.of(name)
    except NameInvalid:
        return Missing(name, "this program knows no such embedder")
    if chosen.kind == "ngrams":
        return HashedNgrams()
    if chosen.kind == "fastembed":
        from .fast import Fast

        cache: Path = settings.home / "embedders"
        return Fast(name, chosen.model, settings.embedder_path, cache, chosen.dimensions)
    from .compatible import AddressInvalid, Compatible

    if settings.embedder_url is None:
        return Missing(name, "CRM_EMBEDDER_URL is not set")
    key = settings.embedder_key.get_secret_value() if settings.embedder_key else None
    try:
        return Compatible(name, chosen.model, settings.embedder_url.get_secret_value(), key, chosen.dimensions)
    except AddressInvalid as problem:
        return Missing(name, str(problem))


class Following:
    """The embedder of a process: as set at first, then of whichever model the database says is live."""

    def __init__(self, embedders: Embedders, name: str) -> None:
        self._embedders, self._name = embedders, name

    @property
    def current(self) -> Guarded:
        """One model's: whoever compares vectors takes it once, and its name from it."""
        return self._embedders.of(self._name)

    @property
    def name(self) -> str:
        return self._name

    @property
    def dimensions(self) -> int:
        return self.current.dimensions

    @property
    def is_semantic(self) -> bool:
        return self.current.is_semantic

    def follow(self, name: str) -> None:
        """Use another model from the next texts on."""
        if name != self._name:
            self._name = name
            self._embedders.degraded.back(PART)

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> list[list[float]]:
        return await self.current.embed(texts, purpose)

    async def close(self) -> None:
        """Let go of connections."""
        await self._embedders.close()
