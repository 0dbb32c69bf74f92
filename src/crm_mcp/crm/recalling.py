"""What is remembered, found by words and by vectors: the two rankings are fused, the vectors compared one by one.

Reciprocal rank fusion (Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank
learning methods", 2009). Of one person or one record there are some hundred at most, so no index is needed, and nothing that an
approximate one would lose is lost.
"""

from typing import Any, NamedTuple

from ..context import Read
from ..embedding.embedder import EmbedderAway
from ..memory.redaction import redact

PART = "embedder"
"""The part of the process that is away when no vectors are to be had."""
NEAR = 0.3
"""From which likeness of words something is found (pg_trgm's word similarity)."""
ALIKE = 0.3
"""From which cosine, where vectors know spelling alone; where they know meanings, the `NEAREST` are found."""
NEAREST = 10
_RANKS = 60


class Asked(NamedTuple):
    """What a list is asked by: words, their vector (as text; None without one), and how answers say it is found."""

    query: str | None
    vector: str | None
    model: str
    is_semantic: bool
    by: str | None

    def bound(self) -> dict[str, object]:
        """Return the parameters of `fused` and `VECTOR`."""
        return {
            "query": self.query,
            "vector": self.vector,
            "model": self.model,
            "near": NEAR,
            "alike": -1 if self.is_semantic else ALIKE,
            "nearest": NEAREST if self.is_semantic else 1_000_000,
        }

    def meta(self) -> dict[str, str]:
        return {} if self.by is None else {"foundBy": self.by}


async def asked(ctx: Read, query: str | None) -> Asked:
    """Return a query with its vector, made without the personal data in it; without one while the embedder is away."""
    model, is_semantic = ctx.embedder.name, ctx.embedder.is_semantic
    if query is None:
        return Asked(None, None, model, is_semantic, None)
    try:
        (vector,) = await ctx.embedder.embed([redact(query).text], "query")
    except EmbedderAway:
        ctx.degraded.lost(PART, "what is remembered is found by words alone, not by meaning")
        return Asked(query, None, model, is_semantic, "words alone")
    ctx.degraded.back(PART)
    return Asked(query, literal(vector), model, is_semantic, "meaning and words" if is_semantic else "lexical")


def literal(vector: list[float]) -> str | None:
    """Return a vector as pgvector reads it; None of one that points nowhere."""
    return "[" + ",".join(f"{place:.6g}" for place in vector) + "]" if any(vector) else None


def vector_sql(kind: str, row: str) -> str:
    """Return the SQL expression of a row's vector: of the embedder in force and of the row as it is now, else null."""
    return f"""(select v.vector from crm.memory_vectors v where v.org_id = %(org)s and v.kind = '{kind}' and v.record_id = {row}.id
    and v.model = %(model)s and v.version = {row}.version)"""


def fused(candidates: str) -> str:
    """Return the SQL of candidates (shown, text, at, vector) with `score` and `turn` from 1; the newest first where nothing is asked.

    It needs the parameters of `Asked.bound`.
    """
    return f"""(with given as materialized ({candidates}),
   compared as (select g.*, public.word_similarity(lower(%(query)s::text), lower(g.text)) as near,
     case when public.vector_dims(g.vector) = public.vector_dims(%(vector)s::public.halfvec)
      then nullif(1 - (g.vector operator(public.<=>) %(vector)s::public.halfvec), 'NaN') end as alike from given g),
   ranked as (select c.*, rank() over (order by near desc nulls last) as by_words, rank() over (order by alike desc nulls last) as by_vector from compared c),
   found as (select r.shown, r.text, r.at,
     case when near >= %(near)s then 1.0 / ({_RANKS} + by_words) else 0 end
      + case when alike >= %(alike)s and by_vector <= %(nearest)s then 1.0 / ({_RANKS} + by_vector) else 0 end as score from ranked r)
  select f.shown, f.text, f.at, f.score, row_number() over (order by f.score desc, f.at desc) as turn from found f
   where %(query)s::text is null or f.score > 0)"""


def listed(rows: Any) -> list[dict[str, Any]]:
    """Return the rows of a list that a statement gave as its first value."""
    return list(rows[0]) if rows and rows[0] else []
