"""The only source of transactions. Reads: one psycopg pipeline. Writes: SQLAlchemy, imported on the first."""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple, TypeVar, cast

import psycopg
from psycopg_pool import AsyncConnectionPool

from . import audit, revision
from .auth import principal_of
from .errors import SignInFailed, is_lost
from .news import News
from .principal import Principal, Proof

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

T = TypeVar("T")
Rows = Callable[[Principal], Iterable[audit.Statement]]
"""Makes the audit rows of a person who is known only within the transaction."""
_TOKEN = re.compile(r"[0-9a-z.]+")
_DECIDED = """select d.id, d.state, d.decision_reason, d.approver, d.editors from crm.drafts d
  where d.org_id = m.org_id and d.requester = m.user_id and d.decided_at > %s
   and d.state in ('approved', 'rejected', 'stale', 'failed', 'expired')
 union all select d.id, 'expired', null, null, d.editors from crm.drafts d
  where d.org_id = m.org_id and d.requester = m.user_id and d.state = 'pending'
   and d.expires_at > %s and d.expires_at <= clock_timestamp()"""
"""Not what the requester withdrew, nor what a call of their own superseded. Nobody may have looked since it expired."""
_STANDING = f"""select m.version, (select count(*) from crm.drafts d where d.org_id = m.org_id and d.requester = m.user_id
   and d.state = 'pending' and d.expires_at > clock_timestamp()),
 (select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('draft', 'draft_' || d.id, 'state', d.state,
    'by', (select a.name from crm.users a where a.id = d.approver), 'reason', left(d.decision_reason, 500),
    'editedBy', case when d.editors <> '{{}}' then
     (select jsonb_agg(e.name order by e.id) from crm.users e where e.id = any (d.editors) and e.id <> m.user_id) end)) order by d.id)
   from ({_DECIDED}) d),
 clock_timestamp()
 from crm.memberships m where m.org_id = %s and m.user_id = %s and m.active"""
_WHILE_THE_KEY_LIVES = " and crm.key_lives(%s)"
MOST_TOLD = 20
"""Decisions that one result tells of."""


class Standing(NamedTuple):
    """Where the principal stands: the membership's stamp, drafts that wait, decisions since they last looked."""

    stamp: int
    waiting: int
    decided: list[dict[str, Any]] | None
    at: datetime

    def meta(self) -> dict[str, Any]:
        """Return what a result's `_meta` says of it: nothing where nothing waits."""
        said: dict[str, Any] = {"waiting": self.waiting} if self.waiting else {}
        if self.decided:
            said["decided"] = self.decided[:MOST_TOLD]
            if (more := len(self.decided) - MOST_TOLD) > 0:
                said["decidedBesides"] = more
        return said


class MembershipChanged(Exception):
    """The principal's role, rights or key are no longer what the call was judged by; what was read is thrown away."""


def standing_of(who: Principal, since: object) -> audit.Statement:
    """Return the statement of where a principal stands, with decisions since `since`; no row: nowhere any more."""
    asked = (since, since, who.org, who.user)
    if who.proof is None or who.proof.key is None:
        return _STANDING, asked
    return _STANDING + _WHILE_THE_KEY_LIVES, (*asked, who.proof.key)


class Database:
    """Connections of one login. `conninfo` is libpq's; it holds the password and is never logged."""

    def __init__(self, conninfo: str, *, size: int = 4, revive: Callable[[], Awaitable[None]] | None = None) -> None:
        """`revive` is awaited when connections broke: the embedded server may have to be started again."""
        self._conninfo, self._size, self._revive = conninfo, size, revive
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] | None = None
        self._engine: AsyncEngine | None = None
        self._opening = asyncio.Lock()
        self._news: News | None = None

    async def _readers(self) -> AsyncConnectionPool[psycopg.AsyncConnection[Any]]:
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] = AsyncConnectionPool(
                        self._conninfo,
                        min_size=1,
                        max_size=self._size,
                        open=False,
                        timeout=10,
                        max_idle=300,
                        # Attempts grow rarer; given up soon, they begin anew with the next call, when all may be well.
                        reconnect_timeout=2,
                        kwargs={"autocommit": True, "prepare_threshold": 2},
                    )
                    await pool.open()
                    self._pool = pool
        return self._pool

    async def sign_in(self, proof: Proof) -> Principal:
        """Return who a proof proves.

        Raises:
            SignInFailed: nobody.
        """
        try:
            row = await self._again(lambda: self._first(proof))
        except psycopg.errors.InvalidAuthorizationSpecification:
            raise SignInFailed("This database needs an API key; an e-mail address is not enough.") from None
        return principal_of(row, proof, revision.CURRENT)

    async def _first(self, proof: Proof) -> tuple[Any, ...] | None:
        pool = await self._readers()
        async with pool.connection() as conn:
            return await (await conn.execute(_sql(proof.statement), proof.arguments)).fetchone()

    async def _again(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do what may safely be done twice; once more, on new connections, where the connection broke."""
        try:
            return await work()
        except Exception as problem:
            if not is_lost(problem):
                raise
        await self.renew()
        return await work()

    async def one(
        self, who: Principal, sql: str, params: Mapping[str, object], begun: audit.Statement | None, since: object
    ) -> tuple[tuple[Any, ...] | None, Standing]:
        """Ask one statement in one round trip, its audit row before it in a transaction of its own.

        Returns the first row, and where the principal stands with decisions since `since`.

        Raises:
            MembershipChanged: the principal's rights have changed; what was read is thrown away.
        """
        return await self._again(lambda: self._one(who, sql, params, begun, since))

    async def _one(
        self, who: Principal, sql: str, params: Mapping[str, object], begun: audit.Statement | None, since: object
    ) -> tuple[tuple[Any, ...] | None, Standing]:
        pool = await self._readers()
        async with pool.connection() as conn:
            bind, asked = _sql(f"set local crm.org_id = '{int(who.org)}'"), standing_of(who, since)
            try:
                async with conn.pipeline():
                    if begun is not None:
                        await conn.execute("begin")
                        await conn.execute(bind)
                        await conn.execute("set local synchronous_commit = off")
                        await conn.execute(_sql(begun[0]), begun[1])
                        await conn.execute("commit")
                    await conn.execute("begin read only")
                    await conn.execute(bind)
                    standing = await conn.execute(_sql(asked[0]), asked[1])
                    found = await conn.execute(_sql(sql), params)
                    await conn.execute("commit")
                stands = await standing.fetchone()
                row = await found.fetchone()
            except BaseException:
                if not conn.closed and conn.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                    await conn.rollback()
                raise
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
        pool = await self._readers()
        async with pool.connection() as conn, conn.transaction():
            await conn.execute("set transaction isolation level repeatable read, read only")
            await conn.execute(_sql(f"set local crm.org_id = '{int(who.org)}'"))
            # a statement reads on for as long as somebody takes the rows
            await conn.execute("set local statement_timeout = 0")
            await conn.execute("set local idle_in_transaction_session_timeout = '10min'")
            asked = standing_of(who, None)
            stands = await (await conn.execute(_sql(asked[0]), asked[1])).fetchone()
            if stands is None or stands[0] != who.stamp:
                raise MembershipChanged
            async with conn.cursor("stream") as cursor:
                await cursor.execute(_sql(sql), params)
                while batch := await cursor.fetchmany(size):
                    yield batch

    async def alone(self, org: int, *statements: audit.Statement, durable: bool = True) -> None:
        """Commit statements as a transaction of their own, in one round trip; once more where the connection broke."""
        await self._again(lambda: self._alone(org, statements, durable))

    async def _alone(self, org: int, statements: tuple[audit.Statement, ...], durable: bool) -> None:
        pool = await self._readers()
        async with pool.connection() as conn, conn.pipeline():
            await conn.execute("begin")
            await conn.execute(_sql(f"set local crm.org_id = '{int(org)}'"))
            if not durable:
                await conn.execute("set local synchronous_commit = off")
            for sql, params in statements:
                await conn.execute(_sql(sql), params)
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
        stack, conn, found = await self._again(lambda: self._opened(who, call, asked, draft, begun))
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

        engine = await self.engine()
        org = str(int(who.org))
        async with AsyncExitStack() as stack:
            conn = await stack.enter_async_context(engine.connect())
            token = await self._token(conn, who)
            await stack.enter_async_context(conn.begin())
            before = () if begun is None else (("begin", ()), _bound({"crm.org_id": org}), begun, ("commit", ()))
            bind = {
                "crm.org_id": org,
                "crm.call_id": str(int(call)),
                "crm.token": token,
                "crm.draft_id": str(int(draft)) if draft is not None else "",
                **_bearer(who),
            }
            found = await together(conn, *before, ("begin", ()), _bound(bind), *asked)
            return stack.pop_all(), conn, found[len(found) - len(asked) :]
        raise AssertionError

    async def ready(self, who: Principal) -> None:
        """Open a connection of writes and have its token, before the first that needs them."""
        engine = await self.engine()
        async with engine.connect() as conn:
            await self._token(conn, who)

    @staticmethod
    async def bear(conn: "AsyncConnection", who: Principal) -> None:
        """Let the rows of this transaction bear another name: the requester's, when a held call is run again."""
        await conn.exec_driver_sql(*_bound(_bearer(who)))

    async def _token(self, conn: "AsyncConnection", who: Principal) -> str:
        """Return the signed token of a principal on this connection: asked once an hour, never an argument."""
        assert who.proof is not None
        info = cast("dict[object, tuple[str, float]]", conn.sync_connection.info if conn.sync_connection else {})
        now = asyncio.get_running_loop().time()
        key = (who.proof, who.org)
        kept = info.get(key)
        if kept is None or kept[1] < now:
            raw = await conn.exec_driver_sql(who.proof.statement, cast("Any", who.proof.arguments))
            row = raw.one_or_none()
            await conn.rollback()
            if row is None or row.org_id != who.org or not _TOKEN.fullmatch(row.token):
                raise SignInFailed("You are no longer signed in. Sign in again.")
            if len(info) > 200:
                info.clear()
            kept = info[key] = (row.token, now + 3000)
        return kept[0]

    async def engine(self) -> "AsyncEngine":
        """Return the engine of writes, made on the first."""
        if self._engine is None:
            from sqlalchemy.ext.asyncio import create_async_engine

            from .pipelined import Pipelined

            async def connect() -> psycopg.AsyncConnection[Any]:
                return await Pipelined.connect(self._conninfo, autocommit=True, prepare_threshold=2)

            self._engine = create_async_engine(
                "postgresql+psycopg://",
                async_creator=connect,
                pool_size=self._size,
                hide_parameters=True,
                pool_timeout=10,
            )
        return self._engine

    async def is_settled(self, org: int, call: int) -> bool:
        """Say whether a call's ended row was committed: what a lost COMMIT answer left open."""
        pool = await self._readers()
        async with pool.connection() as conn, conn.transaction():
            await conn.execute(_sql(f"set local crm.org_id = '{int(org)}'"))
            row = await (await conn.execute("select crm.call_ended(%s)", (call,))).fetchone()
            return bool(row and row[0])

    async def orgs(self) -> list[int]:
        """Return the orgs there are: for work that nobody asked for."""
        pool = await self._readers()
        async with pool.connection() as conn:
            return [row[0] for row in await (await conn.execute("select id from crm.orgs order by id")).fetchall()]

    async def unbound(self, statement: str, params: tuple[object, ...]) -> Any:
        """Commit one call of a definer function before anybody is known; return its value."""
        pool = await self._readers()
        async with pool.connection() as conn:
            row = await (await conn.execute(_sql(statement), params)).fetchone()
            return row[0] if row else None

    async def enter(self, use: str, params: tuple[object, ...], proof: Proof, rows: Rows) -> Principal | None:
        """Use up a way in and add the rows of whoever `proof` then proves, both or neither; None where it leads nowhere.

        Raises:
            SignInFailed: it was good, but its person is no longer in the org; it is not used up.
        """
        pool = await self._readers()
        async with pool.connection() as conn, conn.transaction():
            used = await (await conn.execute(_sql(use), params)).fetchone()
            if used is None or not used[0]:
                return None
            row = await (await conn.execute(_sql(proof.statement), proof.arguments)).fetchone()
            who = principal_of(row, proof, revision.CURRENT)
            await _add(conn, who, rows(who))
        return who

    async def leave(self, who: Principal, end: str, params: tuple[object, ...], rows: Rows) -> bool:
        """End what somebody came in by and add their rows, both or neither; false where it had ended before."""
        pool = await self._readers()
        async with pool.connection() as conn, conn.transaction():
            ended = await (await conn.execute(_sql(end), params)).fetchone()
            if ended is None or not ended[0]:
                return False
            await _add(conn, who, rows(who))
        return True

    async def definer(self, org: int, statement: str, params: tuple[object, ...] = ()) -> tuple[Any, ...] | None:
        """Commit one statement bound to an org but to no principal; return its first row."""
        pool = await self._readers()
        async with pool.connection() as conn, conn.transaction():
            await conn.execute(_sql(f"set local crm.org_id = '{int(org)}'"))
            return await (await conn.execute(_sql(statement), params)).fetchone()

    @asynccontextmanager
    async def lent(self) -> "AsyncGenerator[psycopg.AsyncConnection[Any]]":
        """Lend a connection in autocommit, bound to nothing: for work of several transactions that nobody asked for."""
        pool = await self._readers()
        async with pool.connection() as conn:
            yield conn

    async def renew(self) -> None:
        """Drop connections that broke, so that the next ones are new, to a server that runs."""
        if self._revive is not None:
            await self._revive()
        if self._engine is not None:
            await self._engine.dispose()
        pool = await self._readers()
        await pool.check()

    def news(self) -> News:
        """Return what listens for news of drafts, on one connection of its own from the first follower on."""
        if self._news is None:
            self._news = News(self._conninfo)
        return self._news

    async def close(self) -> None:
        if self._news is not None:
            await self._news.close()
        if self._engine is not None:
            await self._engine.dispose()
        if self._pool is not None:
            await self._pool.close()


async def _add(conn: psycopg.AsyncConnection[Any], who: Principal, rows: Iterable[audit.Statement]) -> None:
    """Add audit rows within a transaction that was not bound to an org before."""
    await conn.execute(_sql(f"set local crm.org_id = '{int(who.org)}'"))
    for sql, params in rows:
        await conn.execute(_sql(sql), params)


def _bearer(who: Principal) -> dict[str, str]:
    return {"crm.user_id": str(int(who.user)), "crm.agent": who.agent.value if who.agent else ""}


def _bound(settings: dict[str, str]) -> audit.Statement:
    """Return the statement that binds settings to the transaction, as SET LOCAL would, whatever their number."""
    one = "set_config(%s, %s, true)"
    return f"select {', '.join([one] * len(settings))}", tuple(part for pair in settings.items() for part in pair)


def _sql(text: str) -> LiteralString:
    """Mark a statement of this program's own as such: values always travel apart from it."""
    return cast(LiteralString, text)
