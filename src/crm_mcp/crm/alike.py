"""A search by words and by likeness: asked once, with a vector of the model that answers in this database."""

import re
from collections.abc import Sequence
from typing import Any

from ..context import Read
from ..embedding.asking import asked, follows
from ..embedding.breaker import PART
from ..embedding.choosing import BY_WORDS

LIVE = "(select jsonb_build_array(m.name, m.is_semantic) from crm.embedding_models m where m.state = 'live')"
"""The last column of a search: which model answers, and whether it knows meanings."""
COMPARED = {True: "words and meaning", False: "words and spelling (lexical)"}
WORDS_ALONE = "words alone"
_AVOIDED = re.compile(r'(?:^|\s)-(?:"[^"]*"|\w+)')
"""A word or phrase that is not to be found, as in `-without`: a vector would look for it."""


async def found(ctx: Read, sql: str, text: str, /, **params: Any) -> tuple[Sequence[Any], str]:
    """Return a search's row without its last column, and what its text was compared by.

    The statement takes `model` and `vector` and ends with LIVE. Where another model than this process knew turns out to be
    live, the process uses that one from then on, and asks again.
    """
    text = _AVOIDED.sub(" ", text)
    used = await asked(ctx.embedder, text, ctx.degraded)
    row = await ctx.one(sql, **params, model=used.model, vector=used.vector)
    assert row is not None
    if follows(ctx.embedder, row[-1][0]):
        used = await asked(ctx.embedder, text, ctx.degraded)
        row = await ctx.one(sql, **params, model=used.model, vector=used.vector)
        assert row is not None
    live, is_semantic = row[-1]
    if used.vector is not None and used.model == live:
        ctx.degraded.back(PART)
        return row[:-1], COMPARED[is_semantic]
    if used.model != live:
        ctx.degraded.lost(PART, BY_WORDS)
    return row[:-1], WORDS_ALONE
