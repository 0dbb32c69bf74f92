"""Runs that a worker does: taken by crm_worker, acted by crm_agent as the person with an agent's rights of now."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mcp import Client
from mcp.types import Implementation

from .. import __version__
from ..app import App
from ..app import Client as Served
from ..db import Database
from ..delivery.tries import Again
from ..errors import SignInFailed, is_lost
from ..log import logger
from ..principal import Agent, Principal
from ..runs.holding import Hold, LeaseLost, take
from ..runs.opening import PATIENCE
from ..server import build_server
from .conducting import Conductor, settle
from .journal import End, Ended
from .meter import PostgresMeter
from .plan import Plan
from .providers import Providers
from .servers import Opens

AGAIN = timedelta(seconds=10)
"""After so long a run is looked at again where the database went away meanwhile."""
NOBODY = (
    "The person whom this run was for is no longer a member of the org, or the API key that it was asked for by has ended. "
    "What it did so far stands."
)
NAME = "crm-mcp agents in the background"
AppFor = Callable[[Served], App]
"""Makes what serves one agent of one run; its database is crm_agent's and stays open."""


@dataclass(frozen=True, slots=True)
class Background:
    """Goes on with runs of any org. `worker` connects as crm_worker, `agent` as crm_agent."""

    worker: Database
    agent: Database
    plan: Plan
    providers: Providers
    app_for: AppFor
    patience: timedelta = PATIENCE

    async def __call__(self, org: int, run: int) -> None:
        """Do a run, or the rest of it, where nobody else does.

        Raises:
            Again: it is to be tried later.
        """
        taken = await take(self.worker, org, run, self.patience)
        if taken.later is not None:
            raise Again(taken.later)
        if taken.hold is None:
            return
        logger().info("run of an agent", org=org, run=run, attempt=taken.attempt)
        try:
            at = await self._done(taken.hold)
        except LeaseLost:
            logger().warning("run taken over by another worker", org=org, run=run)
            return
        except asyncio.CancelledError:
            await asyncio.shield(_let_go(taken.hold))
            raise
        if at is not None:
            raise Again(at)

    async def _done(self, hold: Hold) -> datetime | None:
        """Do the run and say how it ended; return when it is to be tried again, if it is."""
        try:
            who = await self._person(hold)
            if who is None:
                await hold.end("failed", NOBODY, error="REFUSED", drafts=(await hold.so_far())["drafts"])
                return None
            outcome = await self._conductor(hold, who).conduct(hold)
            return await settle(hold, outcome, retries=True)
        except (LeaseLost, asyncio.CancelledError):
            raise
        except Exception as problem:
            if is_lost(problem):
                return datetime.now(UTC) + AGAIN
            logger().error("run of an agent crashed", org=hold.org, run=hold.run, exc_info=problem)
            await hold.end("failed", "It crashed on our side; what it did so far stands.", error="INTERNAL")
            return None

    async def _person(self, hold: Hold) -> Principal | None:
        """Return whom the run is for, as the agent that was asked for; None where they may not be served any more."""
        wanted = (await hold.so_far())["agent"]
        try:
            return await self.agent.sign_in(hold.proof(Agent(wanted) if wanted else Agent.TRIAGE))
        except SignInFailed:
            return None

    def _conductor(self, hold: Hold, who: Principal) -> Conductor:
        meter = PostgresMeter(self.agent, who)

        async def may_go_on() -> None:
            if await self._person(hold) is None:
                raise Ended(End.REFUSED, NOBODY)

        return Conductor(self.plan, self.providers, meter, self._opens(hold), may_go_on=may_go_on)

    def _opens(self, hold: Hold) -> Opens:
        return lambda agent: _served(self.app_for(Served(hold.proof(agent))))


@asynccontextmanager
async def _served(app: App) -> AsyncGenerator[Client]:
    """Serve an agent in this process, over the protocol and by the same rights as any client."""
    try:
        async with Client(build_server(app), client_info=Implementation(name=NAME, version=__version__)) as client:
            yield client
    finally:
        await app.tasks.close()
        await app.leave()
        if app.flusher is not None:
            await app.flusher.flush()


async def _let_go(hold: Hold) -> None:
    """Leave a run to the next worker, since this one stops."""
    try:
        await hold.put_off(datetime.now(UTC), "The worker stopped; the next one takes it up.", "INTERRUPTED")
    except Exception:
        logger().warning("run is left as it is; it is taken up when it was silent for a while", run=hold.run)
