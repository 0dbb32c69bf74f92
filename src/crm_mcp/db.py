"""The only source of transactions. Reads: one psycopg pipeline. Writes: SQLAlchemy, imported on the first."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import psycopg

from . import audit, revision
from .auth import principal_of
from .binding import bearer_of, own, to_org, token_of, with_settings
from .errors import SignInFailed
from .giving_up import ended_with
from .news import RUNS, News
from .pools import Pools
from .principal import Principal, Proof
from .standing import MembershipChanged, Standing, standing_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

Rows = Callable[[Principal], Iterable[audit.Statement]]
"""Makes the audit rows of a person who is known only within the transaction."""


class Database:
    """Connections of one login. `conninfo` is libpq's; it holds the password and is never logged."""

    def __init__(self, conninfo: str, *, size: int = 4, revive: Callable[[], Awaitable[None]] | None = None) -> None:
        """`revive` is awaited when connections broke: the embedded server may have to be started again."""
        self._pools = Pools(conninfo, size, revive)
        self._news, self._news_of_runs = News(conninfo), News(conninfo, RUNS)

    async def sign_in(self, proof: Proof) -> Principal:
        """Return who a proof proves.

        Raises:
            SignInFailed: nobody.
        """
        try:
            row = await self._pools.again(lambda: self._first(proof))
        except psycopg.errors.InvalidAuthorizationSpecification:
            raise SignInFailed("This database needs an API key; an e-mail address is not enough.") from None
        return principal_of(row, proof, revision.CURRENT)

    async def _first(self, proof: Proof) -> tuple[Any, ...] | None:
        pool = await self._pools.readers()
        async with pool.connection() as conn:
            return await (await conn.execute(own(proof.statement), proof.arguments)).fetchone()

    async def one(
        self,
        who: Principal,
        sql: str,
        params: Mapping[str, object],
        begun: audit.Statement | None,
        since: object,
        *,
        is_long: bool = False,
    ) -> tuple[tuple[Any, ...] | None, Standing]:
        """Ask one statement in one round trip, its audit row before it in a transaction of its own.

        Returns the first row, and where the principal stands with decisions since `since`. What `is_long` ends on the
        server when it is given up.

        Raises:
            MembershipChanged: the principal's rights have changed; what was read is thrown away.
        """
        return await self._pools.again(lambda: self._one(who, sql, params, begun, since, is_long))

    async def _one(
        self,
        who: Principal,
        sql: str,
        params: Mapping[str, object],
        begun: audit.Statement | None,
        since: object,
        is_long: bool,
    ) -> tuple[tuple[Any, ...] | None, Standing]:
        pool = await self._pools.readers()
        async with pool.connection() as conn:
            asking = _asked(conn, who, sql, params, begun, since)
            stands, row = await (ended_with(conn, asking) if is_long else asking)
        if stands is None or stands[0] != who.stamp:
            raise MembershipChanged
        return row, Standing(*stands)

    async def stream(
        self, who: Principal, sql: str, params: Mapping[str, object], *, size: int = 1000
    ) -> AsyncGenerator[list[tuple[Any, ...]]]:
        """Yield the rows of one statement in batches of `size`, as of one moment, through a server-side cursor.

        Raises:
            MembershipChanged: the principal's rights have changed.
        """
        pool = await self._pools.readers()
        async with pool.connection() as conn, conn.transaction():
            await conn.execute("set transaction isolation level repeatable read, read only")
            await conn.execute(to_org(who.org))
            # a statement reads on for as long as somebody takes the rows
            await conn.execute("set local statement_timeout = 0")
            await conn.execute("set local idle_in_transaction_session_timeout = '10min'")
            asked, about = standing_of(who, None)
            stands = await (await conn.execute(own(asked), about)).fetchone()
            if stands is None or stands[0] != who.stamp:
                raise MembershipChanged
            async with conn.cursor("stream") as cursor:
                await cursor.execute(own(sql), params)
                while batch := await cursor.fetchmany(size):
                    yield batch

    async def alone(self, org: int, *statements: audit.Statement, durable: bool = True) -> None:
        """Commit statements as a transaction of their own, in one round trip; once more where the connection broke."""
        await self._pools.again(lambda: self._alone(org, statements, durable))

    async def _alone(self, org: int, statements: tuple[audit.Statement, ...], durable: bool) -> None:
        pool = await self._pools.readers()
        async with pool.connection() as conn, conn.pipeline():
            await conn.execute("begin")
            await conn.execute(to_org(org))
            if not durable:
                await conn.execute("set local synchronous_commit = off")
            for sql, params in statements:
                await conn.execute(own(sql), params)
            await conn.execute("commit")

    @asynccontextmanager
    async def begin(
        self, who: Principal, call: int, *, draft: int | None = None
    ) -> "AsyncGenerator[AsyncConnection]":
        """One transaction bound to an org, a call and a proven principal; commits at the end, rolls back on error."""
        async with self.opened(who, call, draft=draft) as (conn, _):
            yield conn

    @asynccontextmanager
    async def opened(
        self,
        who: Principal,
        call: int,
        *asked: audit.Statement,
        draft: int | None = None,
        begun: audit.Statement | None = None,
    ) -> "AsyncGenerator[tuple[AsyncConnection, list[Any]]]":
        """The transaction of `begin`, with the rows of what is asked first: all in the round trip that opens it.

        `begun`, the call's audit row, is committed before it as a transaction of its own.
        """
        stack, conn, found = await self._pools.again(lambda: self._opened(who, call, asked, draft, begun))
        async with stack:
            yield conn, found

    async def _opened(
        self,
        who: Principal,
        call: int,
        asked: tuple[audit.Statement, ...],
        draft: int | None,
        begun: audit.Statement | None,
    ) -> "tuple[AsyncExitStack, AsyncConnection, list[Any]]":
        from .pipelined import together

        engine = await self._pools.engine()
        org = str(int(who.org))
        async with AsyncExitStack() as stack:
            conn = await stack.enter_async_context(engine.connect())
            token = await token_of(conn, who)
            await stack.enter_async_context(conn.begin())
            before = (
                () if begun is None else (("begin", ()), with_settings({"crm.org_id": org}), begun, ("commit", ()))
            )
            bind = {
                "crm.org_id": org,
                "crm.call_id": str(int(call)),
                "crm.token": token,
                "crm.draft_id": str(int(draft)) if draft is not None else "",
                **bearer_of(who),
            }
            found = await together(conn, *before, ("begin", ()), with_settings(bind), *asked)
            return stack.pop_all(), conn, found[len(found) - len(asked) :]
        raise AssertionError

    async def ready(self, who: Principal) -> None:
        """Open a connection of writes and have its token, before the first that needs them."""
        engine = await self._pools.engine()
        async with engine.connect() as conn:
            await token_of(conn, who)

    @staticmethod
    async def bear(conn: "AsyncConnection", who: Principal) -> None:
        """Let the rows of this transaction bear another name: the requester's, when a held call is run again."""
        await conn.exec_driver_sql(*with_settings(bearer_of(who)))

    async def is_settled(self, org: int, call: int) -> bool:
        """Say whether a call's ended row was committed: what a lost COMMIT answer left open."""
        pool = await self._pools.readers()
        async with pool.connection() as conn, conn.transaction():
            await conn.execute(to_org(org))
            row = await (await conn.execute("select crm.call_ended(%s)", (call,))).fetchone()
            return bool(row and row[0])

    async def schema(self) -> tuple[str, str]:
        """Return the revision of the schema and the oldest program that may use it."""

        async def ask() -> tuple[str, str]:
            pool = await self._pools.readers()
            async with pool.connection() as conn:
                row = await (await conn.execute("select revision, oldest_client from crm.schema_state")).fetchone()
            assert row is not None
            return row[0], row[1]

        return await self._pools.again(ask)

    async def orgs(self) -> list[int]:
        """Return the orgs there are: for work that nobody asked for."""
        pool = await self._pools.readers()
        async with pool.connection() as conn:
            return [row[0] for row in await (await conn.execute("select id from crm.orgs order by id")).fetchall()]

    async def unbound(self, statement: str, params: tuple[object, ...]) -> Any:
        """Commit one call of a definer function before anybody is known; return its value."""
        pool = await self._pools.readers()
        async with pool.connection() as conn:
            row = await (await conn.execute(own(statement), params)).fetchone()
            return row[0] if row else None

    async def enter(self, use: str, params: tuple[object, ...], proof: Proof, rows: Rows) -> Principal | None:
        """Use up a way in and add the rows of whoever `proof` then proves, both or neither; None where it leads nowhere.

        Raises:
            SignInFailed: it was good, but its person is no longer in the org; it is not used up.
        """
        pool = await self._pools.readers()
        async with pool.connection() as conn, conn.transaction():
            used = await (await conn.execute(own(use), params)).fetchone()
            if used is None or not used[0]:
                return None
            row = await (await conn.execute(own(proof.statement), proof.arguments)).fetchone()
            who = principal_of(row, proof, revision.CURRENT)
            await _add(conn, who, rows(who))
        return who

    async def leave(self, who: Principal, end: str, params: tuple[object, ...], rows: Rows) -> bool:
        """End what somebody came in by and add their rows, both or neither; false where it had ended before."""
        pool = await self._pools.readers()
        async with pool.connection() as conn, conn.transaction():
            ended = await (await conn.execute(own(end), params)).fetchone()
            if ended is None or not ended[0]:
                return False
            await _add(conn, who, rows(who))
        return True

    async def definer(
        self, org: int, statement: str, params: tuple[object, ...] | Mapping[str, object] = ()
    ) -> tuple[Any, ...] | None:
        """Commit one statement bound to an org but to no principal; return its first row."""
        pool = await self._pools.readers()
        async with pool.connection() as conn, conn.transaction():
            await conn.execute(to_org(org))
            return await (await conn.execute(own(statement), params)).fetchone()

    @asynccontextmanager
    async def lent(self) -> "AsyncGenerator[psycopg.AsyncConnection[Any]]":
        """Lend a connection in autocommit, bound to nothing: for work of several transactions that nobody asked for."""
        pool = await self._pools.readers()
        async with pool.connection() as conn:
            yield conn

    async def renew(self) -> None:
        """Drop connections that broke, so that the next ones are new, to a server that runs."""
        await self._pools.renew()

    def news(self) -> News:
        """Return what listens for news of drafts, on one connection of its own from the first follower on."""
        return self._news

    def news_of_runs(self) -> News:
        """Return what listens for news of agents' runs."""
        return self._news_of_runs

    async def close(self) -> None:
        await self._news.close()
        await self._news_of_runs.close()
        await self._pools.close()


async def _add(conn: psycopg.AsyncConnection[Any], who: Principal, rows: Iterable[audit.Statement]) -> None:
    """Add audit rows within a transaction that was not bound to an org before."""
    await conn.execute(to_org(who.org))
    for sql, params in rows:
        await conn.execute(own(sql), params)


async def _asked(
    conn: psycopg.AsyncConnection[Any],
    who: Principal,
    sql: str,
    params: Mapping[str, object],
    begun: audit.Statement | None,
    since: object,
) -> tuple[tuple[Any, ...] | None, tuple[Any, ...] | None]:
    """Ask where the principal stands and one statement in a pipeline; return the first row of each."""
    bind = to_org(who.org)
    try:
        async with conn.pipeline():
            if begun is not None:
                await conn.execute("begin")
                await conn.execute(bind)
                await conn.execute("set local synchronous_commit = off")
                await conn.execute(own(begun[0]), begun[1])
                await conn.execute("commit")
            await conn.execute("begin read only")
            await conn.execute(bind)
            asked, about = standing_of(who, since)
            standing = await conn.execute(own(asked), about)
            found = await conn.execute(own(sql), params)
            await conn.execute("commit")
        return await standing.fetchone(), await found.fetchone()
    except BaseException:
        if not conn.closed and conn.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            await conn.rollback()
        raise
