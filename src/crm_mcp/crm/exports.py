"""Exports: files of rows that a person takes from the approvals page, in parts of the database until they expire."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from ..context import Write
from ..errors import Refusal
from ..sheets.cells import Row
from ..sheets.sheet import About, Csv, Sheet
from ..sheets.source import Source, Statement
from ..sheets.workbook import SheetTooLarge, Workbook
from .models import Export

Format = Literal["xlsx", "csv"]
MOST_ROWS = 100_000
MOST_BYTES = 25 << 20
"""Of one file; crm.finish_export holds it too."""
MOST_LIVE = 50
"""Exports of one person that have not expired."""
_BATCH = 1000
"""Rows that are read and written at a time."""
_PART = 1 << 19
"""Bytes of a part."""
_LIVE = """select count(*) from crm.exports e where e.org_id = %(org)s and e.created_by = %(user)s
 and e.expires_at > clock_timestamp()"""
# whoever asks for the next waits a moment for the one before, and is told BUSY
_TURN = (
    "select pg_advisory_xact_lock(hashtextextended(concat_ws('.', 'export', %(org)s::bigint, %(user)s::bigint), 0))"
)


@dataclass(frozen=True, slots=True)
class Filled:
    """A file: its rows without the header, its size in bytes, its digest in hexadecimal, and until when it is there."""

    rows: int
    size: int
    sha256: str
    expires: datetime


async def begin(ctx: Write, source: Source, form: Format) -> Export:
    """Record that a file is asked for; it is filled once that is let run.

    Raises:
        Refusal: EXPORTS_FULL, EXPORT_TOO_LARGE.
    """
    conn = await ctx.session.connection()
    bound = {"org": ctx.principal.org, "user": ctx.principal.user}
    if (await conn.exec_driver_sql(_LIVE, bound)).scalar_one() >= MOST_LIVE:
        hint = f"There are {MOST_LIVE} exports already. Delete some on the approvals page, or wait: they go within a day."
        raise Refusal("EXPORTS_FULL", hint)
    if source.count > MOST_ROWS:
        raise _too_large(f"more than {MOST_ROWS:,} rows")
    export = Export(
        org_id=ctx.principal.org, name=f"{source.name}.{form}", format=form, question=dict(source.question)
    )
    ctx.session.add(export)
    await ctx.session.flush()
    return export


async def fill(ctx: Write, export: int, source: Source, form: Format) -> Filled:
    """Fill an export of this call, a batch of rows at a time, telling the client how far it is.

    Raises:
        Refusal: EXPORT_TOO_LARGE, EXPORTS_FULL.
    """
    conn = await ctx.session.connection()
    await conn.exec_driver_sql(_TURN, {"org": ctx.principal.org, "user": ctx.principal.user})
    zone = ZoneInfo(ctx.principal.timezone)
    sheet: Sheet = Csv(source.columns) if form == "csv" else Workbook(source.columns, source.title, zone)
    file, rows = _File(conn, export), 0
    as_of = datetime.now(UTC)
    try:
        await file.add(sheet.head())
        async for batch in _batches(ctx, source.rows):
            rows += len(batch)
            if rows > MOST_ROWS:
                raise _too_large(f"more than {MOST_ROWS:,} rows")
            await file.add(await asyncio.to_thread(sheet.rows, batch))
            await ctx.progress(rows, max(rows, source.count), f"{rows} rows written")
        about = [*source.about, *_circumstances(ctx, rows, as_of)]
        await file.add(await asyncio.to_thread(sheet.end, about))
    except SheetTooLarge:
        raise _too_large("more text than a sheet holds") from None
    return await file.finish(rows)


def _circumstances(ctx: Write, rows: int, as_of: datetime) -> About:
    who = ctx.principal
    return [
        ("Rows", f"{rows:,}"),
        ("As of", as_of.isoformat(timespec="seconds")),
        ("Times", f"in the zone {who.timezone}"),
        ("Made for", f"{who.name} <{who.email}>" + (f", by the {who.agent.value} agent" if who.agent else "")),
        ("Org", who.org_name),
    ]


async def _batches(ctx: Write, rows: Sequence[Row] | Statement) -> AsyncGenerator[Sequence[Row]]:
    """Yield rows some at a time; those of a statement as of one moment, through a cursor, so that few are ever held."""
    if not isinstance(rows, Statement):
        for at in range(0, len(rows), _BATCH):
            yield rows[at : at + _BATCH]
        return
    conn = await ctx.session.connection()
    params = {**rows.params, "org": ctx.principal.org, "user": ctx.principal.user}
    await conn.exec_driver_sql(f"declare export no scroll cursor for {rows.sql}", params)
    while batch := (await conn.exec_driver_sql(f"fetch forward {_BATCH} from export")).fetchall():
        yield batch
        if len(batch) < _BATCH:
            break
    await conn.exec_driver_sql("close export")


class _File:
    """The parts of one export, put down as they are full."""

    def __init__(self, conn: AsyncConnection, export: int) -> None:
        self._conn, self._export = conn, export
        self._waiting = bytearray()
        self._digest = hashlib.sha256()
        self._size, self._parts = 0, 0

    async def add(self, piece: bytes) -> None:
        self._waiting += piece
        while len(self._waiting) >= _PART:
            await self._put(bytes(self._waiting[:_PART]))
            del self._waiting[:_PART]

    async def finish(self, rows: int) -> Filled:
        if self._waiting:
            await self._put(bytes(self._waiting))
        digest = self._digest.hexdigest()
        done = await self._conn.exec_driver_sql(
            "select * from crm.finish_export(%s, %s, %s)", (self._export, rows, digest)
        )
        size, expires = tuple(done.one())
        return Filled(rows, size, digest, expires)

    async def _put(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > MOST_BYTES:
            raise _too_large(f"more than {MOST_BYTES >> 20} MB")
        self._parts += 1
        self._digest.update(part)
        await self._conn.exec_driver_sql("select crm.put_export_part(%s, %s, %s)", (self._export, self._parts, part))


def _too_large(what: str) -> Refusal:
    return Refusal("EXPORT_TOO_LARGE", f"It would have {what}. Narrow it by filters, a shorter period or columns.")
