"""What one serving process has: its database, its catalog, who it serves, where the approvals page is."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from .audit import Call, Flusher, Statement
from .catalog import Catalog
from .cursor import Cursors
from .db import Database
from .degraded import Degraded
from .embedding.embedder import Embedder
from .embedding.ngrams import HashedNgrams
from .errors import SignInFailed
from .log import logger
from .principal import Principal, Proof
from .standing import MOST_TOLD, Standing
from .tasks import Tasks
from .waiting import Waits
from .working.keeping import Working
from .working.memory import Memory, Whose

if TYPE_CHECKING:
    from .queries import Queries
    from .rates import Rates
    from .reports.report import Report
    from .updates import Updates

COMMITTING = timedelta(minutes=1)
"""The longest that a decision may take from its time to its commit."""
MOST_REMEMBERED = 1000
"""Decisions remembered as told."""


@dataclass(slots=True)
class Client:
    """Whom this connection serves, in which org for as long as it lasts, and what they have been told."""

    proof: Proof
    principal: Principal | None = None
    org: int | None = None
    seen: datetime = field(default_factory=lambda: datetime.now(UTC))
    name: str | None = None
    _told: dict[str, None] = field(default_factory=dict[str, None])

    def fresh(self, standing: Standing) -> Standing:
        """Return where the principal stands, without decisions that this client was told of before."""
        untold = [one for one in standing.decided or () if one["draft"] not in self._told]
        return standing._replace(decided=untold or None)

    def heard(self, standing: Standing) -> None:
        """Remember that decisions up to now were told.

        A decision bears the time at which it was made, and is seen once it is committed: so what lies a little back
        is asked again, and left out where it was told. What one result had no room for is told with the next.
        """
        decided = standing.decided or []
        if len(decided) <= MOST_TOLD:
            self.seen = max(self.seen, standing.at - COMMITTING)
        self._told |= dict.fromkeys(one["draft"] for one in decided[:MOST_TOLD])
        for draft in list(self._told)[:-MOST_REMEMBERED]:
            del self._told[draft]


@dataclass(slots=True)
class App:
    """`database` connects on the first need, so that a client is answered before a database is."""

    connect: Callable[[], Awaitable[Database]]
    catalog: Catalog
    client: Client
    page_url: Callable[[], str]
    cursors: Cursors = field(default_factory=lambda: Cursors(secrets.token_bytes(32)))
    keeps: dict[str, Any] = field(default_factory=dict[str, Any])
    """What tools keep for the next call; shared by the clients of one process."""
    sync_reads: bool = False
    announce: Callable[[int], None] = lambda draft: None
    """Called with a draft's number once it waits: the local home opens its page."""
    rings: bool = True
    """Whether a client that can open pages is asked to open a new draft's."""
    waits: Waits = field(default_factory=Waits)
    """The client's calls that wait; shared by the clients of one key."""
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the client's list of tools is on its way."""
    tasks: Tasks = field(default_factory=Tasks)
    """Calls that go on after their request; shared by the clients of one process."""
    updates: "Updates | None" = None
    """What the client follows, from its first subscription on."""
    queries: "Queries | None" = None
    """Runs free-form SQL; None where there is no login for it."""
    reports: "Sequence[Report]" = ()
    """Own reports from files; the orgs' own rows are read with each call."""
    flusher: Flusher | None = None
    """Of the process, where it serves several clients; else made with the first read."""
    embedder: Embedder = field(default_factory=HashedNgrams)
    degraded: Degraded = field(default_factory=Degraded)
    """What the process works without for now; shared by its clients."""
    rates: "Rates | None" = None
    """How many calls its principals may make, shared by its clients; None: as many as they like."""
    working: Working = field(default_factory=Working)
    """What people looked at and did lately; shared by the clients of one process."""
    _db: Database | None = None
    _connecting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _signing_in: asyncio.Lock = field(default_factory=asyncio.Lock)
    _beside: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def db(self) -> Database:
        if self._db is None:
            async with self._connecting:
                if self._db is None:
                    self._db = await self.connect()
        return self._db

    async def principal(self) -> Principal:
        """Return who is served, signed in on the first need."""
        if self.client.principal is None:
            async with self._signing_in:
                if self.client.principal is None:
                    await self.renew_principal()
        assert self.client.principal is not None
        return self.client.principal

    async def renew_principal(self) -> None:
        """Sign in anew, with the rights of now.

        Raises:
            SignInFailed: nobody, or only another org is left: what was meant for one must not land in another.
        """
        db = await self.db()
        self.client.principal = None
        signed_in = await db.sign_in(self.client.proof)
        if self.client.org not in (None, signed_in.org):
            raise SignInFailed("You are no longer a member of the org that was served here. Connect again.")
        self.client.org, self.client.principal = signed_in.org, signed_in

    async def pace(self, call: Call) -> None:
        """Let a call through that its principal may still make.

        Raises:
            RateLimited: they may not, for some seconds.
        """
        if self.rates is not None:
            await self.rates.take(await self.db(), call)

    async def audit_ended(self, call: Call, statement: Statement) -> None:
        """Write a read's last row: with the next flush, or now where CRM_AUDIT_READS=sync."""
        db = await self.db()
        if self.sync_reads:
            await db.alone(call.principal.org, statement)
            return
        self._flusher(db).add(statement)

    async def remember(self, who: Principal, what: Callable[[], Memory]) -> None:
        """Have `what` is to be remembered of a call kept, beside the answers."""
        self._flusher(await self.db())
        self.working.note(_whose(who), what)

    def may(self, who: Principal, tool: str) -> bool:
        """Say whether a principal may call a tool, in their usual list or not."""
        return self.catalog.permits(tool, who)

    async def recall(self, who: Principal) -> Memory:
        """Return what a principal looked at and did lately, as far as this process and the store know.

        An agent is told its own and its person's, and nobody what came by a tool that is not theirs.
        """
        whose = [_whose(who), *([Whose(who.org, who.user)] if who.agent else [])]
        return await self.working.recall(whose, partial(self.may, who))

    def _flusher(self, db: Database) -> Flusher:
        if self.flusher is None:
            self.flusher = Flusher(db)
        self.flusher.take_along(self.working)
        return self.flusher

    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the calls; what goes wrong with it is logged, and it ends with the app."""
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._is_done)

    def _is_done(self, task: asyncio.Task[None]) -> None:
        self._beside.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            logger().info("beside the calls", problem=type(problem).__name__)

    async def leave(self) -> None:
        """End what is done for the client beside its calls."""
        if self.updates is not None:
            await self.updates.close()
        for task in self._beside - {asyncio.current_task()}:
            task.cancel()

    async def close(self) -> None:
        """Write what waits and let go of the database."""
        await self.tasks.close()
        await self.leave()
        if self.flusher is not None:
            await self.flusher.close()
        await self.working.close()
        if self._db is not None:
            await self._db.close()


def _whose(who: Principal) -> Whose:
    return Whose(who.org, who.user, who.agent.value if who.agent else "")
