"""Runs judged statements: as a login of its own, bound to one org by a signed token, bounded in time, rows and size.

Nothing of a statement outlives it: the transaction is read only and rolled back, the session is discarded.
"""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import psycopg
from psycopg import AsyncRawCursor, pq
from psycopg.abc import Transformer
from psycopg.adapt import Transformer as Adapting
from psycopg_pool import AsyncConnectionPool

from .binding import own
from .db import Database
from .errors import Refusal, is_lost
from .giving_up import ended_with
from .log import logger
from .principal import Principal
from .query.cursor import declared
from .turns import Turns

SECONDS = 5
"""For which Postgres runs one statement."""
DEADLINE = SECONDS + 3
"""Seconds after which nobody waits for it any more, whatever Postgres does."""
AT_ONCE = 2
"""Statements that one process runs at a time; more wait, each person's behind those of others who wait."""
PATIENCE = DEADLINE * 2
"""Seconds that a statement waits for its turn."""
MOST_BYTES = 2 << 20
"""What a result's values may take."""
_BATCH = 50
"""Rows that are fetched at a time."""
_MINT = "select crm.mint_query(%s, %s)"
_NAMES: Mapping[int, str] = {
    16: "boolean", 20: "bigint", 21: "smallint", 23: "integer", 25: "text", 114: "json", 700: "real", 701: "double precision",
    1042: "text", 1043: "text", 1082: "date", 1083: "time", 1114: "timestamp", 1184: "timestamptz", 1186: "interval",
    1266: "timetz", 1700: "numeric", 2950: "uuid", 3802: "jsonb", 2249: "record", 705: "text",
    1000: "boolean[]", 1007: "integer[]", 1009: "text[]", 1016: "bigint[]", 1231: "numeric[]", 1182: "date[]", 1185: "timestamptz[]",
    1005: "smallint[]", 1015: "text[]", 1021: "real[]", 1022: "double precision[]", 2951: "uuid[]",
}  # fmt: skip
"""The names of Postgres' types by their numbers, which are the same everywhere."""
_READ: Mapping[int, Callable[[str], Any]] = {
    16: lambda text: text == "t", 20: int, 21: int, 23: int, 114: json.loads, 3802: json.loads,
    700: float, 701: float,
}  # fmt: skip
_TIMES = frozenset({1114, 1184})
_ARRAYS = frozenset({1000, 1005, 1007, 1009, 1015, 1016, 1021, 1022, 1182, 1185, 1231, 2951})
_NO_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity"})


@dataclass(frozen=True, slots=True)
class Found:
    """What a statement gave: its columns with their types, its rows, whether there were more, and of which moment."""

    columns: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Any]]
    is_cut: bool
    as_of: datetime


class Queries:
    """Connections of crm_query, whose conninfo holds the password and is never logged."""

    def __init__(self, conninfo: str | Callable[[], str], agent: Callable[[], Awaitable[Database]]) -> None:
        """`conninfo` may be found on the first need, once the server runs.

        `agent` gives the database of crm_agent, which vouches for the org that a statement is bound to.
        """
        self._conninfo, self._agent = conninfo, agent
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] | None = None
        self._opening, self._turns = asyncio.Lock(), Turns(AT_ONCE)

    async def run(self, who: Principal, sql: str, params: Sequence[object], most: int) -> Found:
        """Run a judged statement for a principal and return its first `most` rows.

        Raises:
            psycopg.Error: what Postgres says of the statement; it must not reach a client as it is.
            Refusal: BUSY, no turn came.
        """
        turn = AsyncExitStack()
        try:
            await turn.enter_async_context(self._turns.turn((who.org, who.user), PATIENCE))
        except TimeoutError:
            raise Refusal("BUSY", "Other queries run, and some wait. Try again in a moment.") from None
        async with turn:
            try:
                return await self._run(who, sql, params, most)
            except psycopg.Error as problem:
                if not is_lost(problem):
                    raise
                logger().info("the connection of a query broke", problem=type(problem).__name__)
            await (await self._agent()).renew()
            await (await self._connections()).check()
            return await self._run(who, sql, params, most)

    async def _run(self, who: Principal, sql: str, params: Sequence[object], most: int) -> Found:
        db = await self._agent()
        pool = await self._connections()
        async with pool.connection() as conn:
            token = await _token(db, who, conn.info.backend_pid)
            try:
                async with asyncio.timeout(DEADLINE):
                    return await ended_with(conn, _found(conn, who, token, sql, params, most))
            except TimeoutError:
                await conn.close()
                raise psycopg.errors.QueryCanceled from None

    async def _connections(self) -> AsyncConnectionPool[psycopg.AsyncConnection[Any]]:
        async with self._opening:
            if self._pool is None:
                found = self._conninfo if isinstance(self._conninfo, str) else self._conninfo()
                pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] = AsyncConnectionPool(
                    found,
                    min_size=0,
                    max_size=AT_ONCE,
                    open=False,
                    timeout=10,
                    max_idle=60,
                    reconnect_timeout=2,
                    reset=_discard,
                    kwargs={"autocommit": True, "prepare_threshold": None},
                )
                await pool.open()
                self._pool = pool
        return self._pool

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()


async def _discard(conn: psycopg.AsyncConnection[Any]) -> None:
    """Leave nothing of a statement behind on a connection that is used again."""
    if conn.info.transaction_status != pq.TransactionStatus.IDLE:
        await conn.rollback()
    await conn.execute("discard all")


async def _token(db: Database, who: Principal, backend: int) -> str:
    row = await db.definer(who.org, _MINT, (backend, who.user))
    assert row is not None
    return str(row[0])


async def _found(
    conn: psycopg.AsyncConnection[Any], who: Principal, token: str, sql: str, params: Sequence[object], most: int
) -> Found:
    """Run the statement through a cursor of its own, in a transaction that is rolled back whatever happens."""
    settings = {
        "crm.org_id": str(int(who.org)),
        "crm.query_token": token,
        "timezone": who.timezone,
        "statement_timeout": f"{SECONDS}s",
        "search_path": "",
        "intervalstyle": "iso_8601",
        "datestyle": "iso, ymd",
        "extra_float_digits": "1",
        "bytea_output": "hex",
    }
    names = ", ".join(["set_config(%s, %s, true)"] * len(settings))
    try:
        async with conn.pipeline():
            await conn.execute("begin transaction isolation level repeatable read, read only")
            bound = await conn.execute(
                own(f"select clock_timestamp(), {names}"), [part for pair in settings.items() for part in pair]
            )
        moment = await bound.fetchone()
        assert moment is not None
        cursor = AsyncRawCursor(conn)
        # a binary result, though there is none, makes it one statement of the extended protocol: a second one is an error;
        # without it psycopg sends what has no parameters by the simple protocol, which takes many
        await cursor.execute(own(declared(sql)), params, binary=True)
        columns, rows, is_cut = await _fetched(cursor, most)
    finally:
        if not conn.closed and conn.info.transaction_status != pq.TransactionStatus.IDLE:
            await conn.rollback()
    return Found(columns, rows, is_cut, moment[0].astimezone(UTC))


async def _fetched(cursor: AsyncRawCursor[Any], most: int) -> tuple[list[tuple[str, str]], list[list[Any]], bool]:
    columns: list[tuple[str, str]] = []
    rows: list[list[Any]] = []
    size, arrays = 0, Adapting(cursor.connection)
    while True:
        wanted = min(_BATCH, most + 1 - len(rows))
        await cursor.execute(own(f"fetch forward {wanted} from found"), ())
        got = cursor.pgresult
        assert got is not None
        columns = columns or [(_name(got, at), _NAMES.get(got.ftype(at), "other")) for at in range(got.nfields)]
        for at in range(got.ntuples):
            raw = [got.get_value(at, column) for column in range(got.nfields)]
            size += sum(len(value) for value in raw if value is not None)
            if len(rows) == most or size > MOST_BYTES:
                return columns, rows, True
            rows.append([_value(value, got.ftype(column), arrays) for column, value in enumerate(raw)])
        if got.ntuples < wanted:
            return columns, rows, False


def _name(got: Any, at: int) -> str:
    return (got.fname(at) or b"").decode("utf-8", "replace")


def _value(raw: bytes | None, kind: int, arrays: Transformer) -> Any:
    """Return a value as JSON has it; numeric, dates and all else that JSON does not have stay text."""
    if raw is None:
        return None
    if kind in _ARRAYS:
        return _plain(arrays.get_loader(kind, pq.Format.TEXT).load(raw))
    text = bytes(raw).decode("utf-8", "replace")
    if kind in _TIMES:
        return _iso(text)
    return text if text in _NO_NUMBERS or kind not in _READ else _READ[kind](text)


def _iso(text: str) -> str:
    """Return a time as ISO 8601 writes it, its zone with minutes."""
    date, _, time = text.partition(" ")
    zone = ":00" if time and time[-3] in "+-" else ""
    return f"{date}T{time}{zone}" if time[:1].isdigit() else text


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in cast("list[Any]", value)]
    is_number = isinstance(value, float) and math.isfinite(value)
    return value if value is None or is_number or isinstance(value, str | int | bool) else str(value)
