"""What another model would find: the same queries asked of two, side by side."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import ids
from ..binding import to_org
from ..db import Database
from ..embedding.asking import written
from ..embedding.embedder import Embedder

MOST = 200
"""Queries that are compared."""
STORED = """select q.query from (select payload::jsonb ->> 'query' as query, max(id) as id from crm.audit_log
  where org_id = %s and tool = 'search_documents' and phase = 'begun' and payload is json object group by 1) q
 where q.query <> '' order by q.id desc limit %s"""
"""What was asked in an org, the latest first; for crm_owner."""
_NEAREST = "select entity, record_id from crm.nearest(%s, %s, 'admin', null, null, null, 200)"


class Question(NamedTuple):
    """A query; `expected` are the ids of records that answer it, where somebody knows them."""

    query: str
    expected: frozenset[str] = frozenset()


class QuestionsInvalid(ValueError):
    """A line of queries is none; the text names it."""


class Compared(NamedTuple):
    """The best records of one query by two models, as ids, best first."""

    question: Question
    one: list[str]
    other: list[str]

    @property
    def overlap(self) -> float:
        """The share of records that both found, of the longer list; 1 where neither found any."""
        longer = max(len(self.one), len(self.other))
        return len({*self.one} & {*self.other}) / longer if longer else 1.0

    def recall(self, found: Sequence[str]) -> float:
        return len(self.question.expected & {*found}) / len(self.question.expected)


def questions(text: str) -> list[Question]:
    """Read queries: one a line; behind a tab, ids of records that answer it, separated by commas.

    Raises:
        QuestionsInvalid: a line has no query, or what stands behind its tab is no id.
    """
    found: list[Question] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        query, _, rest = line.partition("\t")
        expected = frozenset(word.strip().lower() for word in rest.split(",") if word.strip())
        if not query.strip() or not all(ids.is_id(word) for word in expected):
            raise QuestionsInvalid(
                f"line {number}: a query, then a tab and ids such as note_12,cust_4 where they are known"
            )
        found.append(Question(query.strip(), expected))
    return found


async def compare(
    db: Database, org: int, models: tuple[Embedder, Embedder], asked: Sequence[Question], most: int
) -> list[Compared]:
    """Return the `most` best records of each query by both models; `db` connects as crm_worker.

    Raises:
        EmbedderAway: one of the models gives no vectors now.
    """
    one, other = [await _found(db, org, model, [question.query for question in asked], most) for model in models]
    return [Compared(*row) for row in zip(asked, one, other, strict=True)]


async def _found(db: Database, org: int, model: Embedder, queries: list[str], most: int) -> list[list[str]]:
    found: list[list[str]] = []
    for query in queries:
        (vector,) = await model.embed([query], "query")
        rows: list[tuple[Any, ...]] = []
        if (asked := written(vector)) is not None:
            async with db.lent() as conn, conn.transaction():
                await conn.execute(to_org(org))
                rows = await (await conn.execute(_NEAREST, (model.name, asked))).fetchall()
        found.append(list(dict.fromkeys(ids.show(entity, number) for entity, number in rows))[:most])
    return found
