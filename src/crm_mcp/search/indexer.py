"""The index follows the record of changes: each round re-derives the passages of what was touched, and moves on its place, in
one transaction. A worker that is killed has done a round or has not.

A build from scratch walks every record of every kind in rounds of the same sort; what changes meanwhile lies behind the place
that was noted when the build began. It is due for an org that has no index yet, whose passages were cut by older rules, or whose
database was restored, for there transaction ids begin anew.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import sql

from ..binding import to_org
from ..db import Database
from .chunking import RULES, passages

KINDS = (
    "customers", "organizations", "individuals", "contacts", "deals", "leads", "projects", "tasks", "notes", "activities",
    "issues", "emails", "documents", "articles",
)  # fmt: skip
"""What has passages, in the order of a build."""
PARTS = ("jobs", "opportunities", "partnerships")
"""What is a lead's own, and is found with it."""
BATCH = 500
"""Changes, or records of a build, in one round."""
Connection = psycopg.AsyncConnection[Any]

_STATE = """select crm.search_origin(), s.origin, s.rules, s.xact::text, s.change_id, s.building, s.after_id
 from (select 1) one left join crm.search_state s on s.org_id = %s"""
_BEGIN = """insert into crm.search_state(org_id, origin, rules, xact, building) values (%s, crm.search_origin(), %s,
  pg_snapshot_xmin(pg_current_snapshot()), %s)
 on conflict (org_id) do update set origin = excluded.origin, rules = excluded.rules, xact = excluded.xact, change_id = 0,
  building = excluded.building, after_id = 0, built_at = null, worked_at = clock_timestamp()"""
_CHUNKS: LiteralString = """select entity, record_id, part, digest, version, tags, roles, subject_type, subject_id, assignee_id, parts, changed_at, handles
 from crm.search_chunks where org_id = %s and (entity, record_id) in (select k, n from unnest(%s::text[], %s::bigint[]) u(k, n))"""
_PUT = """insert into crm.search_chunks(org_id, entity, record_id, part, parts, title, section, handles, body, tags, roles, subject_type,
  subject_id, assignee_id, version, changed_at, digest)
 values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
 on conflict (org_id, entity, record_id, part) do update set parts = excluded.parts, title = excluded.title, section = excluded.section,
  handles = excluded.handles, body = excluded.body, tags = excluded.tags, roles = excluded.roles, subject_type = excluded.subject_type,
  subject_id = excluded.subject_id, assignee_id = excluded.assignee_id, version = excluded.version, changed_at = excluded.changed_at,
  digest = excluded.digest"""
_CUT = """delete from crm.search_chunks c using unnest(%s::text[], %s::bigint[], %s::int[]) u(k, n, p)
 where c.org_id = %s and c.entity = u.k and c.record_id = u.n and c.part >= u.p"""
"""Passages of a record from the one that there no longer is."""


class Source(NamedTuple):
    """A record as `crm.search_source` tells it."""

    entity: str
    record_id: int
    title: str
    handles: str | None
    body: str | None
    tags: list[str] | None
    roles: list[str] | None
    subject_type: str | None
    subject_id: int | None
    assignee_id: int | None
    version: int
    changed_at: Any


async def catch_up(db: Database, org: int, rounds: int = 1_000_000) -> int:
    """Bring an org's index up to date, in so many rounds at most; return how many there was work for.

    `db` connects as crm_worker. Two at once for an org take turns.
    """
    done = 0
    async with db.lent() as conn:
        while done < rounds and await _round(conn, org):
            done += 1
    return done


async def rebuild(db: Database, org: int) -> None:
    """Have the index of an org be built from scratch by the next rounds; until then the old one answers."""
    async with db.lent() as conn, conn.transaction():
        await _alone(conn, org)
        await conn.execute(_BEGIN, (org, RULES, KINDS[0]))


async def _alone(conn: Connection, org: int) -> None:
    await conn.execute(to_org(org))
    await conn.execute("select pg_advisory_xact_lock(hashtextextended('search of ' || %s::text, 0))", (org,))


async def _round(conn: Connection, org: int) -> bool:
    """Do the next piece of work in one transaction; False where there was none."""
    async with conn.transaction():
        await _alone(conn, org)
        row = await (await conn.execute(_STATE, (org,))).fetchone()
        assert row is not None
        here, origin, rules, xact, change, building, after = row
        if (origin, rules) != (here, RULES):
            await conn.execute(_BEGIN, (org, RULES, KINDS[0]))
            return True
        if building is not None:
            await _build(conn, org, building, after)
            return True
        return await _follow(conn, org, xact, change)


async def _follow(conn: Connection, org: int, xact: str, change: int) -> bool:
    row = await (await conn.execute("select crm.search_touched(%s)", (BATCH,))).fetchone()
    assert row is not None
    horizon, touched = row[0]["horizon"], row[0]["touched"]
    if touched:
        await _derive(conn, org, await _records(conn, org, touched))
    # where all of it was taken, the place is the horizon: before it nothing is committed any more
    place = (touched[-1][0], touched[-1][1]) if len(touched) == BATCH else (horizon, 0)
    if (int(place[0]), place[1]) > (int(xact), change):
        await conn.execute(
            "update crm.search_state set xact = %s::text::xid8, change_id = %s, worked_at = clock_timestamp() where org_id = %s",
            (*place, org),
        )
    return bool(touched)


async def _records(conn: Connection, org: int, touched: Sequence[Sequence[Any]]) -> set[tuple[str, int]]:
    """Return the records whose passages changes may have changed: a lead's where a part of it did."""
    found = {(tbl, record) for _, _, tbl, record, _ in touched if tbl in KINDS}
    found |= {("leads", lead) for _, _, tbl, _, lead in touched if tbl in PARTS and lead is not None}
    for part in PARTS:
        if ids := [record for _, _, tbl, record, _ in touched if tbl == part]:
            asked = sql.SQL("select lead_id from crm.{} where org_id = %s and id = any (%s)").format(
                sql.Identifier(part)
            )
            found |= {("leads", lead) for (lead,) in await (await conn.execute(asked, (org, ids))).fetchall()}
    return found


async def _build(conn: Connection, org: int, kind: str, after: int) -> None:
    """Do the next records of a kind; what has passages and is among them no longer loses them."""
    asked = sql.SQL("select id from crm.{} where org_id = %s and id > %s order by id limit %s").format(
        sql.Identifier(kind)
    )
    ids = [number for (number,) in await (await conn.execute(asked, (org, after, BATCH))).fetchall()]
    is_last = len(ids) < BATCH
    left = """select distinct record_id from crm.search_chunks where org_id = %s and entity = %s and record_id > %s
     and (%s or record_id <= %s)"""
    gone = await (await conn.execute(left, (org, kind, after, is_last, ids[-1] if ids else 0))).fetchall()
    await _derive(conn, org, {(kind, number) for number in ids} | {(kind, number) for (number,) in gone})
    if not is_last:
        await _at(conn, org, kind, ids[-1])
    elif kind != KINDS[-1]:
        await _at(conn, org, KINDS[KINDS.index(kind) + 1], 0)
    else:
        await conn.execute(
            "update crm.search_state set building = null, after_id = 0, built_at = clock_timestamp(), worked_at = clock_timestamp() where org_id = %s",
            (org,),
        )


async def _at(conn: Connection, org: int, kind: str, after: int) -> None:
    await conn.execute(
        "update crm.search_state set building = %s, after_id = %s, worked_at = clock_timestamp() where org_id = %s",
        (kind, after, org),
    )


async def _derive(conn: Connection, org: int, records: Iterable[tuple[str, int]]) -> None:
    """Make the passages of records what they are to be; what is so already stays untouched."""
    ordered = sorted(records)
    if not ordered:
        return
    kinds, numbers = [kind for kind, _ in ordered], [number for _, number in ordered]
    asked = "select * from crm.search_source(%s::text[], %s::bigint[])"
    sources = [Source(*row) for row in await (await conn.execute(asked, (kinds, numbers))).fetchall()]
    there = {row[:3]: row[3:] for row in await (await conn.execute(_CHUNKS, (org, kinds, numbers))).fetchall()}
    wanted = [row for source in sources for row in rows_of(source)]
    lasting = {(row[0], row[1]): row[3] for row in wanted}
    cut = [(kind, number, lasting.get((kind, number), 0)) for kind, number in ordered]
    if there:
        await conn.execute(_CUT, ([c[0] for c in cut], [c[1] for c in cut], [c[2] for c in cut], org))
    put = [(org, *row) for row in wanted if there.get(row[:3]) != _known(row)]
    if put:
        async with conn.cursor() as cursor:
            await cursor.executemany(_PUT, put)


def _known(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return of a passage's row what `_CHUNKS` asks of the one that is there."""
    _, _, _, parts, _, _, handles, _, tags, roles, subject, number, assignee, version, changed, digest = row
    return (digest, version, tags, roles, subject, number, assignee, parts, changed, handles)


def rows_of(source: Source) -> list[tuple[Any, ...]]:
    """Return the rows of a record's passages: one at least where it has a name, else none where it says nothing."""
    cut = [(passage.section, passage.body) for passage in passages(source.body or "")]
    if not cut and source.title:
        cut = [("", "")]
    handles = source.handles or None
    return [
        (
            source.entity,
            source.record_id,
            part,
            len(cut),
            source.title,
            section,
            handles if part == 0 else None,
            body,
            source.tags,
            source.roles,
            source.subject_type,
            source.subject_id,
            source.assignee_id,
            source.version,
            source.changed_at,
            digest_of(source.title, section, body),
        )
        for part, (section, body) in enumerate(cut)
    ]


def digest_of(title: str, section: str, body: str) -> str:
    """Return the SHA-256 of what a passage says, in hexadecimal."""
    return hashlib.sha256("\0".join((title, section, body)).encode()).hexdigest()


def text_of(row: Mapping[str, str]) -> str:
    """Return what a passage says as one text, as it is to be given a vector."""
    return "\n".join(part for part in (row["title"], row["section"], row["body"]) if part)
