"""One held run from where it stands to its end: remembered before, kept on the way, and said how it ended."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic_ai.messages import ModelRequest

from ..principal import Agent
from ..runs.holding import Hold, LeaseLost
from ..runs.names import show
from ..runs.summary import Sizes, Tell, remembered
from .calling import Models
from .hub import Hub
from .journal import End, Ended, Journal, Outcome
from .meter import ONCE_ENDED, Meter
from .plan import SUMMARY, Memory, Plan
from .prompting import Page
from .providers import Providers
from .remembering import PAGE, Remembering, carried, point_of, turns_of
from .servers import Opens
from .triage import Request

BEAT = 10.0
"""Seconds between two signs of life while a model thinks."""
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(hours=1)
"""How long a run waits for a model that is away: half as long as it waited so far, within these."""


@dataclass(frozen=True, slots=True)
class Conductor:
    """What a run needs besides itself. `meter` counts for the person whom it is for; `opens` serves each agent of theirs."""

    plan: Plan
    providers: Providers
    meter: Meter
    opens: Opens
    then: Journal | None = None
    may_go_on: Callable[[], Awaitable[None]] | None = None

    async def conduct(self, hold: Hold) -> Outcome:
        """Go on with a run to its end, without saying so to the database: `settle` does.

        Raises:
            LeaseLost: somebody else goes on with it.
        """
        so_far = await hold.so_far()
        journal = Remembering(hold, so_far, self.then, self.may_go_on)
        hub = Hub(self.plan, self.providers, self.meter, self.opens, journal)
        try:
            async with _beating(hold):
                outcome = await self._run(hold, so_far, hub, journal)
        except asyncio.CancelledError:
            if self.then is None:
                raise
            _uncancelled()
            outcome = await hub.ended(End.CANCELLED, "It was stopped.")
        await hold.spend(journal.spent())
        return outcome

    async def _run(self, hold: Hold, so_far: Mapping[str, Any], hub: Hub, journal: Remembering) -> Outcome:
        name = show(hold.run)
        page = carried(so_far).get(PAGE)
        if (restored := point_of(so_far, name)) is not None:
            journal.goes_on_from(restored)
            return await hub.go_on(Request(so_far["request"], page=_page(page)), restored.point)
        history = await remembered(hold, so_far, _sizes(self.plan.memory), self._tells(journal))
        request = Request(so_far["request"], turns_of(history), _page(page))
        agent = so_far["agent"]
        return await hub.run(request, run=name, agent=None if agent is None else Agent(agent))

    def _tells(self, journal: Remembering) -> Tell:
        models = Models(self.plan, self.providers, self.meter, journal.event)

        async def tell(text: str) -> str | None:
            try:
                return await models.generate(SUMMARY, [ModelRequest.user_text_prompt(text)])
            except Ended:
                return None

        return tell


async def settle(hold: Hold, outcome: Outcome, *, retries: bool) -> datetime | None:
    """Say how a run ended; where what stopped it goes by itself and it `retries`, return when it is to be tried again.

    Raises:
        LeaseLost: somebody else goes on with it.
    """
    drafts = [one.id for one in outcome.waiting]
    waits = f" {', '.join(drafts)} {'waits' if len(drafts) == 1 else 'wait'} for approval." if drafts else ""
    match outcome.end:
        case End.DONE:
            await hold.end("finished", f"Finished.{waits}", result=outcome.text, drafts=drafts)
        case End.CANCELLED:
            steps = (await hold.so_far())["done"]
            said = f"Cancelled after {steps} finished steps; what they did stands.{waits}"
            await hold.end("cancelled", said, drafts=drafts)
        case End.MODEL_AWAY | End.OVER_BUDGET if retries and _passes(outcome):
            so_far = await hold.so_far()
            at = next_try(datetime.fromisoformat(so_far["queued_at"]), datetime.now(UTC))
            why = (
                "No model answers"
                if outcome.end is End.MODEL_AWAY
                else "Its budget is held by a call that was interrupted"
            )
            await hold.put_off(at, f"{why}; it is tried again at {at:%H:%M} UTC.{waits}", outcome.end.value.upper())
            return at
        case _:
            await hold.end("failed", f"{outcome.why}{waits}", error=outcome.end.value.upper(), drafts=drafts)
    return None


def _passes(outcome: Outcome) -> bool:
    """Say whether what stopped a run goes by itself: a model that is away, or what a killed process had reserved."""
    return outcome.end is End.MODEL_AWAY or ONCE_ENDED in outcome.why


def next_try(since: datetime, now: datetime) -> datetime:
    """Return when a model that is away is asked again, by how long it was waited for."""
    return now + min(max((now - since) / 2, SHORTEST), LONGEST)


@asynccontextmanager
async def _beating(hold: Hold) -> AsyncGenerator[None]:
    """Give signs of life meanwhile; where somebody else took the run over, what runs inside is given up.

    Raises:
        LeaseLost: they did.
    """
    mine = asyncio.current_task()
    assert mine is not None
    lost = False

    async def beat() -> None:
        nonlocal lost
        while True:
            await asyncio.sleep(BEAT)
            try:
                await hold.beat()
            except LeaseLost:
                lost = True
                mine.cancel()
                return
            except Exception:  # noqa: S112 the database may be back by the next
                continue

    beating = asyncio.create_task(beat())
    try:
        yield
    except asyncio.CancelledError:
        if lost:
            _uncancelled()
            raise LeaseLost from None
        raise
    finally:
        beating.cancel()


def _uncancelled() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


def _page(said: Mapping[str, str] | None) -> Page | None:
    return None if said is None else Page(said["route"], said["entityType"], said["entityId"])


def _sizes(memory: Memory) -> Sizes:
    """Return how much of a conversation is told: a summary and turns of two messages, within one budget."""
    return Sizes(
        max(1, (memory.turns - 1) // 2),
        max(100, memory.history_tokens - memory.summary_tokens - 50),
        memory.summary_tokens,
    )
