"""Vectors follow the passages: whatever a model that is live or being built lacks is embedded, in small batches.

What is due is asked of the database each time, so a worker that is killed has lost the batch it was at and nothing else. A vector
is kept beside the digest of the text that it was made of, and only while that is still the passage's.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import psycopg

from ..binding import to_org
from ..db import Database
from ..embedding.asking import written
from ..embedding.choosing import Embedders
from ..embedding.embedder import Embedder, EmbedderAway
from ..log import logger

BATCH = 64
"""Passages of one request and one transaction."""
TICK = 5.0
"""Seconds between two looks at what is due, at least."""
REST = 10
"""Between two looks it rests so many times as long as the first took: a large index is looked through by each."""
_MODELS = """select id, name, dimensions from crm.embedding_models where state in ('live', 'building')
 order by state = 'live' desc, id"""

LONGEST_REST = 120.0

Pause = Callable[[float], Awaitable[None]]


class Model(NamedTuple):
    """A model whose vectors are kept: those of model 3 in `crm.vectors_3`."""

    id: int
    name: str
    dimensions: int

    @property
    def table(self) -> str:
        return f"crm.vectors_{int(self.id)}"


class Keeper:
    """Keeps vectors for one worker. `db` connects as crm_worker; `pause` is how it rests.

    It rests after each batch for as long as that took, so that a build leaves half of a machine, and of an endpoint, to others.
    """

    def __init__(self, db: Database, embedders: Embedders, pause: Pause = asyncio.sleep) -> None:
        self._db, self._embedders, self._pause = db, embedders, pause

    async def keep(self, is_over: Callable[[], bool]) -> None:
        """Embed what is due until it `is_over`; what goes wrong is logged and tried again."""
        while not is_over():
            began, made = time.monotonic(), 0
            try:
                made = await self.catch_up(is_over)
            except psycopg.OperationalError as problem:
                logger().warning("vectors are not kept for now", problem=type(problem).__name__)
                await self._db.renew()
            except Exception as problem:
                logger().error("vectors are not kept", exc_info=problem)
            await self._pause(TICK if made else min(max(TICK, REST * (time.monotonic() - began)), LONGEST_REST))

    async def catch_up(self, is_over: Callable[[], bool] = lambda: False) -> int:
        """Embed all that is due, for every model and org; return how many passages that were."""
        made = 0
        for model in await self._models():
            embedder = self._embedders.of(model.name)
            try:
                for org in await self._db.orgs():
                    made += await self._of_org(org, model, embedder, is_over)
                    if is_over():
                        return made
            except EmbedderAway:
                continue
            except psycopg.errors.UndefinedTable:
                continue  # the model was removed meanwhile
        return made

    async def live(self) -> Embedder:
        """Return the embedder of the model that is live."""
        return self._embedders.of((await self._models())[0].name)

    async def build(self, name: str, told: Callable[[int], None]) -> None:
        """Embed all that one model lacks, without rest; `told` is called with each number of passages that were.

        Raises:
            EmbedderAway: it gives no vectors now; what was made is kept.
        """
        for model in await self._models():
            if model.name == name:
                for org in await self._db.orgs():
                    await self._of_org(org, model, self._embedders.of(name), told=told, rests=False)

    async def _models(self) -> list[Model]:
        async with self._db.lent() as conn:
            return [Model(*row) for row in await (await conn.execute(_MODELS)).fetchall()]

    async def _of_org(
        self,
        org: int,
        model: Model,
        embedder: Embedder,
        is_over: Callable[[], bool] = lambda: False,
        told: Callable[[int], None] = lambda count: None,
        *,
        rests: bool = True,
    ) -> int:
        """Embed what is due of one org."""
        made, after = 0, 0
        while due := await self._due(org, model, after):
            if is_over():
                return made
            began = time.monotonic()
            vectors = await embedder.embed([text for _, _, text in due], "document")
            if any(len(one) != model.dimensions for one in vectors):
                came = len(vectors[0])
                logger().error("vectors of other dimensions", model=model.name, due=model.dimensions, came=came)
                raise EmbedderAway
            await self._put(org, model, due, vectors)
            made, after = made + len(due), due[-1][0]
            told(len(due))
            if rests:
                await self._pause(time.monotonic() - began)
        return made

    async def _due(self, org: int, model: Model, after: int) -> list[tuple[int, str, str]]:
        """Return the next passages that have no vector of their text: number, digest and text."""
        statement = f"""select c.id, c.digest, concat_ws(e'\\n', nullif(c.title, ''), nullif(c.section, ''), c.body) from crm.search_chunks c
          left join {model.table} v on v.org_id = c.org_id and v.chunk_id = c.id and v.chunk_id > %(after)s
         where c.org_id = %(org)s and c.id > %(after)s and v.digest is distinct from c.digest order by c.id limit %(most)s"""
        asked = {"org": org, "after": after, "most": BATCH}
        async with self._db.lent() as conn, conn.transaction():
            await conn.execute(to_org(org))
            return await (await conn.execute(statement.encode(), asked)).fetchall()

    async def _put(
        self, org: int, model: Model, due: Sequence[tuple[int, str, str]], vectors: Sequence[Sequence[float]]
    ) -> None:
        """Keep vectors of passages that are still there and still say the same."""
        statement = f"""insert into {model.table}(org_id, chunk_id, embedding, digest)
          select c.org_id, c.id, u.vector::public.halfvec, u.digest
          from unnest(%s::bigint[], %s::text[], %s::text[]) u(id, digest, vector)
          join crm.search_chunks c on c.org_id = %s and c.id = u.id and c.digest = u.digest for key share of c
         on conflict (org_id, chunk_id) do update set embedding = excluded.embedding, digest = excluded.digest"""
        rows = [one for one, _, _ in due], [digest for _, digest, _ in due], [written(one) for one in vectors]
        async with self._db.lent() as conn, conn.transaction():
            await conn.execute(to_org(org))
            await conn.execute(statement.encode(), (*rows, org))
