"""A request from its hand-off to its end: triage, a specialist, at most one more, and how it ended (S0 section 3)."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from mcp import MCPError

from ..errors import Refusal
from ..principal import Agent
from .calling import Models
from .journal import End, Ended, Event, Journal, Outcome, Point
from .meter import Meter
from .plan import Plan
from .prompting import asked, latest
from .providers import Providers
from .servers import Opens
from .specialist import Specialist, Worked, beginning
from .triage import Handed, Request, hand_over


class Hub:
    """Runs one request of one person. `opens` gives each agent a server that knows it by its own name.

    `agent` skips triage, and then nothing is handed back.
    """

    def __init__(self, plan: Plan, providers: Providers, meter: Meter, opens: Opens, journal: Journal) -> None:
        self._plan, self._opens, self._journal = plan, opens, journal
        self._models = Models(plan, providers, meter, journal.event)
        self._point: Point | None = None
        self._text = ""

    async def run(self, request: Request, *, run: str | None = None, agent: Agent | None = None) -> Outcome:
        """Run a request to its end, whatever that is; what waits for approval stands in the outcome."""
        return await self._to_the_end(self._whole(request, run or uuid.uuid4().hex, agent))

    async def go_on(self, request: Request, point: Point) -> Outcome:
        """Go on with a run from its last finished step."""
        self._models.spent.update(point.spent)
        return await self._to_the_end(self._from(request, point))

    async def _whole(self, request: Request, run: str, agent: Agent | None) -> None:
        if agent is not None:
            point = beginning(run, agent, {}, asked(request.text, _context(request)))
            await self._from(request, point.model_copy(update={"may_hand_back": False}))
            return
        handed = await self._handed(request)
        await self._from(request, beginning(run, handed.agent, handed.context, asked(request.text, handed.context)))

    async def _from(self, request: Request, point: Point) -> None:
        worked = await self._work(point)
        if worked.handed_back:
            assert self._point is not None
            handed = await self._handed(request, worked.handed_back)
            context = {**handed.context, "handedBack": worked.handed_back}
            after = beginning(point.run, handed.agent, context, asked(request.text, context), self._point)
            worked = await self._work(after.model_copy(update={"may_hand_back": False}))
        self._text = worked.text

    async def _handed(self, request: Request, handed_back: str = "") -> Handed:
        await self._going_on()
        self._models.ready(Agent.TRIAGE)
        case = self._plan.use_cases[Agent.TRIAGE]
        async with _within(Agent.TRIAGE, case.seconds), self._opens(Agent.TRIAGE) as client:
            handed = await hand_over(self._models, client, request, self._plan.fallback_agent, handed_back)
        about = {"agent": handed.agent.value, "reason": handed.context.get("handoffReason", "")}
        about |= {"dropped": list(handed.dropped), "is_fallback": handed.is_fallback}
        await self._journal.event(Event("handoff", about))
        return handed

    async def _work(self, point: Point) -> Worked:
        self._point = point
        await self._journal.step(point)
        self._models.ready(point.agent)
        case = self._plan.use_cases[point.agent]
        async with _within(point.agent, case.seconds), self._opens(point.agent) as client:
            specialist = Specialist(self._models, client, self._journal, case, point)
            try:
                return await specialist.work()
            finally:
                self._point = specialist.point

    async def _going_on(self) -> None:
        if await self._journal.is_cancelled():
            raise Ended(End.CANCELLED, "It was stopped.")

    async def _to_the_end(self, work: Coroutine[Any, Any, None]) -> Outcome:
        end, why = End.DONE, ""
        try:
            await work
        except Exception as problem:
            end, why = _end_of(problem)
        return await self.ended(end, why)

    async def ended(self, end: End, why: str = "") -> Outcome:
        """Tell the journal how the run ended; who cancels the task that ran it says so by this."""
        outcome = self._outcome(end, why)
        await self._journal.event(Event("ended", outcome.model_dump(mode="json")))
        return outcome

    def _outcome(self, end: End, why: str) -> Outcome:
        point = self._point
        return Outcome(
            end=end,
            why=why,
            agent=None if point is None else point.agent,
            text=self._text if end is End.DONE else "",
            waiting=[] if point is None else point.waiting,
            spent=sum(self._models.spent.values(), Decimal(0)),
            currency=self._plan.currency,
            degraded=[f"{part}: {instead}" for part, instead in self._models.degraded.items()],
            warnings=self._models.warnings,
        )


@asynccontextmanager
async def _within(agent: Agent, seconds: float) -> AsyncGenerator[None]:
    """End what runs inside after so many seconds, by the limit's name."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise Ended(End.TIME_LIMIT, f"The {agent} agent did not end within its {seconds:g} seconds.") from None


def _context(request: Request) -> dict[str, object]:
    page = None if request.page is None else request.page.body()
    return {"conversationHistory": latest(request.history), "pageContext": page}


def _end_of(problem: Exception) -> tuple[End, str]:
    """Return how a run ended by what stopped it.

    Raises:
        Exception: what is no end of a run but a mistake of ours.
    """
    cause = _alone_in(problem)
    match cause:
        case Ended():
            return cause.end, cause.why
        case Refusal():
            return End.REFUSED, cause.hint
        case MCPError():
            return End.REFUSED, f"The server serves nobody: {str(cause)[:500]}"
        case _:
            raise problem


def _alone_in(problem: Exception) -> Exception:
    """Return the one problem inside nested task groups."""
    inside: Sequence[Exception] = getattr(problem, "exceptions", ())
    return _alone_in(inside[0]) if len(inside) == 1 else problem
