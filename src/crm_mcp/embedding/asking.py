"""A query as a vector, together with the model that made it: both always come from the same one."""

from collections.abc import Sequence
from typing import NamedTuple

from ..degraded import Degraded
from .breaker import PART
from .choosing import BY_WORDS, Following
from .embedder import Embedder, EmbedderAway


class Asked(NamedTuple):
    """What a query is compared by: nothing where there is no vector."""

    model: str
    vector: str | None


async def asked(embedder: Embedder, query: str, degraded: Degraded) -> Asked:
    """Return a query's vector as Postgres reads it; an embedder that is away is noted, and nobody waits for it for long."""
    one = embedder.current if isinstance(embedder, Following) else embedder
    try:
        (vector,) = await one.embed([query.strip()], "query")
    except EmbedderAway:
        degraded.lost(PART, BY_WORDS)
        return Asked(one.name, None)
    return Asked(one.name, written(vector))


def follows(embedder: Embedder, live: str) -> bool:
    """Have a process use the model that is live; say whether it used another until now, and so has to ask anew."""
    if not isinstance(embedder, Following) or embedder.name == live:
        return False
    embedder.follow(live)
    return True


def written(vector: Sequence[float]) -> str | None:
    """Return a vector as Postgres reads it; None for one without a direction, which nothing can be compared with."""
    return f"[{','.join(f'{place:.6g}' for place in vector)}]" if any(vector) else None
