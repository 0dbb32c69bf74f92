"""What a run tells of itself while it goes, and the point from which it can go on."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter

from ..principal import Agent

Kind = Literal["handoff", "tool", "answered", "text", "again", "degraded", "spent", "warning", "ended"]


class Event(NamedTuple):
    """One thing that happened.

    handoff: agent, reason, dropped, is_fallback · tool: tool, arguments · answered: tool, ok, said, draft · text: text,
    as it comes · again: why the model is asked again, so that text since the last event counts no more · degraded: part,
    instead · spent: use_case, model, tokens_in, tokens_out, money, currency · warning: text · ended: an `Outcome`.
    """

    kind: Kind
    about: Mapping[str, Any]

    def body(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {"type": self.kind, **self.about}


class Waiting(BaseModel):
    """A draft that waits for a person, as the server's answer said."""

    model_config = ConfigDict(frozen=True)

    id: str
    summary: str
    url: str | None = None
    expires: str | None = None


class Point(BaseModel):
    """Where a run stands after a finished step; a run goes on from here in whatever process.

    `messages` are pydantic-ai's, as JSON of `ModelMessagesTypeAdapter`; `turns` were taken by this agent and `spent` by
    use case, in the plan's currency. `handoff` is what the server checked.
    """

    run: str
    agent: Agent
    handoff: dict[str, Any]
    messages: list[Any]
    turns: int = 0
    waiting: list[Waiting] = []
    spent: dict[str, Decimal] = {}
    may_hand_back: bool = True

    def history(self) -> list[ModelMessage]:
        """Return the messages."""
        return ModelMessagesTypeAdapter.validate_python(self.messages)


def as_json(messages: Sequence[ModelMessage]) -> list[Any]:
    """Return messages as a point keeps them."""
    return ModelMessagesTypeAdapter.dump_python(list(messages), mode="json")


class End(StrEnum):
    """How a run ended."""

    DONE = "done"
    NO_KEY = "no_key"
    MODEL_AWAY = "model_away"
    BAD_ANSWER = "bad_answer"
    """The model said nothing that can be used, again and again."""
    OVER_BUDGET = "over_budget"
    TURN_LIMIT = "turn_limit"
    TIME_LIMIT = "time_limit"
    REFUSED = "refused"
    """The server let the agent do nothing: nobody signed in, no such role."""
    CANCELLED = "cancelled"


class Ended(Exception):
    """The run ends here, and how."""

    def __init__(self, end: End, why: str) -> None:
        super().__init__(why)
        self.end, self.why = end, why


class Outcome(BaseModel):
    """What a run came to. `text` is the model's; `waiting` and everything else is the server's and ours."""

    end: End
    why: str = ""
    agent: Agent | None = None
    text: str = ""
    waiting: list[Waiting] = []
    spent: Decimal = Decimal(0)
    currency: str
    degraded: list[str] = []
    warnings: list[str] = []


class Journal(Protocol):
    """Is told what a run does, keeps each finished step, and says whether somebody wants it to stop."""

    async def event(self, event: Event) -> None:
        """Hear of what happens, as it happens."""
        ...

    async def step(self, point: Point) -> None:
        """Keep where the run stands: an answer of the model, or the results of its calls, is whole."""
        ...

    async def is_cancelled(self) -> bool:
        """Say whether the run shall stop before its next step."""
        ...


class Kept:
    """The journal of a run that lives and dies with its process."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.points: list[Point] = []
        self.is_stopped = False

    async def event(self, event: Event) -> None:
        self.events.append(event)

    async def step(self, point: Point) -> None:
        self.points.append(point)

    async def is_cancelled(self) -> bool:
        return self.is_stopped
