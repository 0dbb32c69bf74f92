"""What waits long for Postgres, ended there when its caller gives up.

Left alone, a driver that is interrupted drops its connection, and the server works on for nobody: a cancellation is given
again and again until it gets through, so the request to cancel the statement may never be sent.
"""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import anyio
import psycopg

T = TypeVar("T")
PATIENCE = 5.0
"""Seconds that the server has to end a statement; then the connection is dropped."""
AGAIN = 0.25
"""Seconds after which it is asked again: what arrives between two statements stops neither."""


async def ended_with(conn: psycopg.AsyncConnection[Any], work: Coroutine[Any, Any, T]) -> T:
    """Do what waits for a statement on a connection; where the caller is cancelled, cancel the statement and see it end."""
    doing = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        with anyio.CancelScope(shield=True):
            await _end(conn, doing)
        raise


async def _end(conn: psycopg.AsyncConnection[Any], doing: asyncio.Future[Any]) -> None:
    until = time.monotonic() + PATIENCE
    while not doing.done() and not conn.closed and (left := until - time.monotonic()) > 0:
        with suppress(psycopg.Error):
            await conn.cancel_safe(timeout=left)
        await asyncio.wait({doing}, timeout=AGAIN)
    if not doing.done():
        await conn.close()
        doing.cancel()
    with suppress(Exception, asyncio.CancelledError):
        await doing  # what the statement ended with is nobody's any more
