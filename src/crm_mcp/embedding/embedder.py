"""What turns texts into vectors: one protocol, so that search and memory know no model."""

from collections.abc import Sequence
from typing import Literal, Protocol

Purpose = Literal["document", "query"]
"""What a text is: one that is kept and found, or one that asks. Some models embed the two apart."""


class EmbedderAway(Exception):
    """The embedder gave no vectors: it is away, slow, or broken. Whoever asked goes on without."""


class Embedder(Protocol):
    """Makes vectors of unit length, so that a dot product is the cosine."""

    @property
    def name(self) -> str:
        """What vectors are kept under; another name wherever the same text gives another vector."""
        ...

    @property
    def dimensions(self) -> int:
        """How long its vectors are; 0 until the first came, where only its model knows."""
        ...

    @property
    def is_semantic(self) -> bool:
        """Whether it knows meanings; one that does not finds what is spelt alike (answers say "lexical")."""
        ...

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> list[list[float]]:
        """Return a vector a text, in their order; a text without a word has zeros.

        Raises:
            EmbedderAway: no vectors now.
        """
        ...
