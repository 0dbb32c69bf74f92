"""The worker's part of memory: what is remembered gets its vectors, and many old memories about one record get a digest."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from . import ids
from .binding import own, to_org
from .crm.learnings_shown import LIVE
from .db import Database
from .degraded import Degraded
from .embedding.embedder import Embedder, EmbedderAway
from .log import logger
from .memory import digest

TICK = 15.0
"""Seconds between two looks."""
AT_A_TIME = 200
"""Texts that get vectors in one round of an org."""
GROUPS = 5
"""Records whose memories are summed up in one round of an org."""
_LINES = """(select string_agg(e.value #>> '{}', E'\\n') from jsonb_each(l.data) f,
   lateral jsonb_array_elements(case jsonb_typeof(f.value) when 'array' then f.value else '[]' end) e)"""
_WITHOUT = f"""select coalesce(jsonb_agg(jsonb_build_array(y.kind, y.id, y.version, y.text)), '[]') from (select x.* from (
  select 'preference' as kind, p.id, p.version, p.content as text from crm.preferences p
   where p.org_id = %(org)s and p.forgotten_at is null and p.archived_at is null
  union all select 'learning', l.id, l.version, concat_ws(E'\\n', l.content, {_LINES}) from crm.learnings l where l.org_id = %(org)s and {LIVE}) x
 where not exists (select from crm.memory_vectors v where v.org_id = %(org)s and v.kind = x.kind and v.record_id = x.id
  and v.model = %(model)s and v.version = x.version) limit {AT_A_TIME}) y"""
_KEEP = "select crm.keep_vectors(%s, %s, %s::jsonb)"
_ALONE = "select pg_advisory_xact_lock(hashtextextended('digests of ' || %s::text, 0))"
_OLD = f"""select l.subject_type, l.subject_id, min(l.customer_id), l.user_id, l.retention, min(l.confidence),
  jsonb_agg(jsonb_build_object('id', l.id, 'kind', l.kind, 'content', l.content, 'data', l.data, 'at', l.created_at) order by l.created_at, l.id)
 from crm.learnings l where l.org_id = %(org)s and {LIVE} and l.kind <> 'digest' and l.retention = any (%(kept)s)
  and l.created_at < clock_timestamp() - make_interval(days => %(age)s)
  and 'mem_' || l.id not in (select jsonb_array_elements_text(d.data -> 'of') from crm.learnings d where d.org_id = %(org)s and d.kind = 'digest')
 group by l.subject_type, l.subject_id, l.user_id, l.retention
 having count(*) > (%(threshold)s::jsonb ->> l.retention)::int limit {GROUPS}"""
_INSERT = """insert into crm.learnings(org_id, subject_type, subject_id, customer_id, user_id, retention, confidence, kind, content, data,
  source, contains_pii, redacted) values (%s, %s, %s, %s, %s, %s, %s, 'digest', %s, %s, 'system', false, '[]')"""


async def follow(db: Database, live: Callable[[], Awaitable[Embedder]], degraded: Degraded) -> None:
    """Do rounds until cancelled, apart from the worker's others, which wait for no embedder; what fails is tried again.

    `live` gives the embedder in force.
    """
    while True:
        try:
            await look(db, await live(), degraded)
        except Exception as problem:
            logger().error("memories are not kept", exc_info=problem)
        await asyncio.sleep(TICK)


async def look(db: Database, embedder: Embedder, degraded: Degraded) -> None:
    """Do one round for every org. One org's trouble is not another's."""
    for org in await db.orgs():
        try:
            await recollect(db, org, embedder, degraded)
        except Exception as problem:
            logger().error("an org's memories are not kept", org=org, exc_info=problem)


async def recollect(db: Database, org: int, embedder: Embedder, degraded: Degraded) -> None:
    """Do one round for an org; `db` connects as crm_worker."""
    await sum_up(db, org)
    await embed(db, org, embedder, degraded)


async def embed(db: Database, org: int, embedder: Embedder, degraded: Degraded) -> int:
    """Make the vectors that are missing, of texts without personal data; return how many. What has no vector is found by words."""
    row = await db.definer(org, _WITHOUT, {"org": org, "model": embedder.name})
    texts: list[tuple[str, int, int, str]] = row[0] if row else []
    if not texts:
        return 0
    try:
        vectors = await embedder.embed([text for *_, text in texts], "document")
    except EmbedderAway:
        degraded.lost("embedder", "what is remembered is found by words alone, not by meaning")
        return 0
    degraded.back("embedder")
    for kind in ("preference", "learning"):
        made = [
            [number, version, "[" + ",".join(f"{place:.6g}" for place in vector) + "]"]
            for (what, number, version, _), vector in zip(texts, vectors, strict=True)
            if what == kind
        ]
        if made:
            await db.definer(org, _KEEP, (kind, embedder.name, json.dumps(made)))
    return len(texts)


async def sum_up(db: Database, org: int) -> int:
    """Make a digest of many old memories of one record that are kept equally long; return how many digests.

    What it sums up goes when its own time is over; the digest is kept as long again, and is not summed up itself.
    """
    asked = {
        "org": org,
        "kept": list(digest.THRESHOLD),
        "age": digest.AGE_DAYS,
        "threshold": json.dumps(digest.THRESHOLD),
    }
    async with db.lent() as conn, conn.transaction():
        await conn.execute(to_org(org))
        await conn.execute(own("select set_config('crm.call_id', %s, true)"), (str(ids.new_call()),))
        await conn.execute(own(_ALONE), (org,))
        found = await (await conn.execute(own(_OLD), asked)).fetchall()
        for *about, old in found:
            await _keep(conn, org, about, old)
    return len(found)


async def _keep(
    conn: psycopg.AsyncConnection[Any], org: int, about: Sequence[Any], old: Sequence[dict[str, Any]]
) -> None:
    texts = [digest.sentences(one["content"], one["data"]) for one in old]
    since, until = digest.span(str(one["at"])[:10] for one in old)
    data = {
        "of": [ids.show("learnings", one["id"]) for one in old],
        "count": len(old),
        "kinds": sorted({str(one["kind"]) for one in old}),
        "since": since,
        "until": until,
    }
    content = digest.digest(texts) or f"{len(old)} memories."
    await conn.execute(own(_INSERT), (org, *about, content, Jsonb(data)))
