"""The connection of writes: what can travel together does, in one round trip."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, LiteralString, cast

import psycopg

from .audit import Statement

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_ANSWERLESS = ("SAVEPOINT ", "RELEASE SAVEPOINT ", "ROLLBACK TO SAVEPOINT ")
"""How the statements begin by which SQLAlchemy opens and ends a savepoint."""


class Cursor(psycopg.AsyncCursor[Any]):
    """A cursor that keeps savepoint statements back until the next statement, and sends both together."""

    async def execute(self, query: Any, params: Any = None, **how: Any) -> Any:
        conn = cast("Pipelined", self.connection)
        if str(query).startswith(_ANSWERLESS):
            conn.waiting.append((str(query), ()))
        elif conn.waiting:
            async with conn.pipeline():
                await conn.send_waiting()
                await super().execute(query, params, **how)
        else:
            await super().execute(query, params, **how)
        return self

    async def executemany(self, query: Any, params_seq: Any, *, returning: bool = False) -> None:
        async with cast("Pipelined", self.connection).pipeline() as together:
            await cast("Pipelined", self.connection).send_waiting()
            await together.sync()
        await super().executemany(query, params_seq, returning=returning)


class Pipelined(psycopg.AsyncConnection[Any]):
    """A psycopg connection with autocommit, on which transactions are begun and ended by statements.

    What answers nothing waits, in its turn, for the next statement or the COMMIT. Its error, too, comes with those.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.cursor_factory = Cursor
        self.waiting: list[Statement] = []

    async def send_waiting(self) -> None:
        """Queue what waits, inside a pipeline."""
        waiting, self.waiting = self.waiting, []
        for sql, params in waiting:
            if sql.startswith(_ANSWERLESS):
                await self._send_unremembered(sql)
            else:
                await psycopg.AsyncCursor(self).execute(_sql(sql), params)

    async def _send_unremembered(self, sql: str) -> None:
        """Queue a savepoint statement: psycopg forgets every prepared statement when it remembers a ROLLBACK TO."""
        threshold, self.prepare_threshold = self.prepare_threshold, None
        try:
            await psycopg.AsyncCursor(self).execute(_sql(sql))
        finally:
            self.prepare_threshold = threshold

    async def together(self, statements: Sequence[Statement]) -> list[Any]:
        """Send statements in one round trip, what waits before them; return the rows of each that has some."""
        sent: list[psycopg.AsyncCursor[Any]] = []
        async with self.pipeline():
            await self.send_waiting()
            for sql, params in statements:
                cursor = psycopg.AsyncCursor(self)
                sent.append(cursor)
                await cursor.execute(_sql(sql), params)
        return [await cursor.fetchall() for cursor in sent if cursor.description is not None]

    async def commit(self) -> None:
        if self.waiting:
            async with self.pipeline():
                await self.send_waiting()
                await super().commit()
        else:
            await super().commit()

    async def rollback(self) -> None:
        self.waiting.clear()
        await super().rollback()


async def together(conn: "AsyncConnection", *statements: Statement) -> list[Any]:
    """Send statements on the connection under a unit of work in one round trip; return the rows of each that has some.

    Raises:
        psycopg.Error: the first that fails; those after it were not carried out.
    """
    try:
        return await (await _under(conn)).together(statements)
    except Exception:
        raise
    except BaseException:
        await conn.invalidate()
        raise


async def later(conn: "AsyncConnection", *statements: Statement) -> None:
    """Have statements without an answer travel with the next that has one, or with the COMMIT."""
    (await _under(conn)).waiting.extend(statements)


async def _under(conn: "AsyncConnection") -> Pipelined:
    found = (await conn.get_raw_connection()).driver_connection
    assert isinstance(found, Pipelined)
    return found


def _sql(text: str) -> LiteralString:
    """Mark a statement of this program's own as such: values always travel apart from it."""
    return cast(LiteralString, text)
