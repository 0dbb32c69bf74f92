"""How many calls a principal may make in a minute, whichever process serves them: leased from Postgres a batch at a time."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from math import ceil
from time import monotonic
from typing import Any, Protocol

from .audit import Call, Statement, refused
from .errors import Refusal
from .log import logger
from .principal import Principal

PER_MINUTE = 600
"""Calls of a person."""
PER_MINUTE_OF_AGENTS = 300
"""Calls of one agent that acts for a person."""
SHARE, FIRST = 10, 8
"""A batch is at most a tenth of a minute's calls; the first an eighth of that, and each after it twice as large."""
LAPSE = 60.0
"""Seconds after which a batch is worth nothing: by then the database has refilled what was left of it."""
MOST = 10_000
"""Principals whose batches are remembered."""
SPAN = 10.0
"""Seconds in which refused calls of one principal leave two audit rows at the most."""
_LEASE = "select * from crm.lease_calls(%s, %s, %s, %s, %s, %s)"


class RateLimited(Refusal):
    """More calls in a minute than the principal may make; `is_told` says whether it gets an audit row of its own."""

    CODE = "RATE_LIMITED"

    def __init__(self, per_minute: int, wait: int, *, is_told: bool) -> None:
        super().__init__(
            self.CODE,
            f"More than {per_minute} calls a minute. Nothing was done. Go on in {wait} s, with fewer calls: lists take "
            "filters and pages, records take includes.",
            retryAfter=wait,
        )
        self.is_told = is_told


class Lends(Protocol):
    async def definer(self, org: int, statement: str, params: tuple[object, ...] = ()) -> tuple[Any, ...] | None: ...
    async def alone(self, org: int, *statements: Statement, durable: bool = True) -> None: ...


@dataclass(slots=True)
class _Lease:
    """What this process may still let through for one principal.

    `lent` are calls let through before the database could be asked; it is told with the next batch.
    """

    per_minute: int
    leased: int = 0
    credit: int = 0
    lent: int = 0
    next: int = 1
    lapses: float = 0.0
    opens: float = 0.0
    asking: "asyncio.Task[None] | None" = None

    @property
    def largest(self) -> int:
        return max(1, self.per_minute // SHARE)

    def begin(self, now: float) -> None:
        """Lend a batch, and ask for small ones first: many processes may serve one principal."""
        self.leased, self.credit, self.lapses = 0, self.largest, now + LAPSE
        self.next = max(1, self.largest // FIRST)

    def take(self) -> bool:
        if self.leased:
            self.leased -= 1
        elif self.credit:
            self.credit, self.lent = self.credit - 1, self.lent + 1
        else:
            return False
        return True


class Rates:
    """The rates of one process. A call waits for the database only where its principal's batch is used up.

    A first batch, and one after a minute's pause, is lent and asked for beside the calls: no call of a principal within
    their limit pays a round trip for it.
    """

    def __init__(self, per_minute: int = PER_MINUTE, of_agents: int = PER_MINUTE_OF_AGENTS) -> None:
        self._per_minute, self._of_agents = per_minute, min(per_minute, of_agents)
        self._leases: OrderedDict[tuple[int, int, str], _Lease] = OrderedDict()
        self._floods: dict[tuple[int, int, str], _Flood] = {}

    async def take(self, db: Lends, call: Call) -> None:
        """Let one call through.

        Raises:
            RateLimited: its principal has made too many, with the seconds to wait.
        """
        key, lease = self._of(call.principal)
        while not lease.take():
            if (wait := lease.opens - monotonic()) > 0:
                flood = self._floods.get(key)
                if flood is None:
                    flood = self._floods[key] = _Flood(db, self._floods, key)
                raise RateLimited(lease.per_minute, ceil(wait), is_told=flood.add(call))
            await asyncio.shield(self._ask(db, key, lease))
        if lease.leased <= lease.next // 2 and monotonic() >= lease.opens:
            self._ask(db, key, lease)

    def _of(self, who: Principal) -> "tuple[tuple[int, int, str], _Lease]":
        key = (who.org, who.user, who.agent or "")
        lease = self._leases.get(key)
        if lease is None:
            lease = self._leases[key] = _Lease(self._of_agents if who.agent else self._per_minute)
            if len(self._leases) > MOST:
                self._leases.popitem(last=False)
        self._leases.move_to_end(key)
        now = monotonic()
        if max(lease.lapses, lease.opens) <= now and lease.asking is None:
            lease.begin(now)
        return key, lease

    def _ask(self, db: Lends, key: tuple[int, int, str], lease: _Lease) -> "asyncio.Task[None]":
        if lease.asking is None:
            lease.asking = asyncio.create_task(self._lease(db, key, lease))
            lease.asking.add_done_callback(_seen)
        return lease.asking

    async def _lease(self, db: Lends, key: tuple[int, int, str], lease: _Lease) -> None:
        try:
            lent = lease.lent
            row = await db.definer(key[0], _LEASE, (*key, lent, lease.next, lease.per_minute))
            assert row is not None
            granted, wait = row
            now = monotonic()
            lease.lent -= lent
            lease.leased, lease.credit = lease.leased + granted, 0
            lease.lapses, lease.opens = now + LAPSE, now + wait
            lease.next = min(lease.largest, 2 * lease.next)
        finally:
            lease.asking = None

    async def close(self) -> None:
        """Ask for nothing more, and write of floods what is not written."""
        asking = [lease.asking for lease in self._leases.values() if lease.asking is not None]
        for one in asking:
            one.cancel()
        if asking:
            await asyncio.wait(asking)
        for flood in list(self._floods.values()):
            await flood.end()


class _Flood:
    """Refused calls of one principal: the first has an audit row of its own, those of the next seconds one together."""

    def __init__(self, db: Lends, floods: "dict[tuple[int, int, str], _Flood]", key: tuple[int, int, str]) -> None:
        self._db, self._floods, self._key = db, floods, key
        self._calls = 0
        self._last: Call | None = None
        self._ending = asyncio.create_task(self._end())

    def add(self, call: Call) -> bool:
        """Count a call; say whether it is the first."""
        is_first = self._last is None
        self._calls, self._last = self._calls + (not is_first), call
        return is_first

    async def _end(self) -> None:
        await asyncio.sleep(SPAN)
        await self._write()

    async def end(self) -> None:
        """Write what is not written, now."""
        self._ending.cancel()
        await asyncio.wait([self._ending])
        await self._write()

    async def _write(self) -> None:
        self._floods.pop(self._key, None)
        count, last, self._calls = self._calls, self._last, 0
        if last is None or not count:
            return
        row = Call(last.principal, last.tool, {"refusedCalls": count}, client=last.client)
        try:
            await self._db.alone(last.principal.org, refused(row, RateLimited.CODE))
        except Exception as problem:
            logger().error("audit row lost", outcome=RateLimited.CODE, calls=count, problem=type(problem).__name__)


def _seen(asked: "asyncio.Task[None]") -> None:
    """Look at what went wrong beside the calls: who needs the batch asks again, and hears it then."""
    if not asked.cancelled() and (problem := asked.exception()) is not None:
        logger().info("no calls were leased", problem=type(problem).__name__)
